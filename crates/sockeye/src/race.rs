//! Waiting for one of two futures, or for both: what tokio's macros do, without the five crates of
//! procedural macros that they bring along.

use std::future::{Future, poll_fn};
use std::pin::Pin;
#[cfg(feature = "server")]
use std::pin::pin;
use std::task::Poll;

/// Which of two futures was ready first.
pub(crate) enum First<A, B> {
    /// The one named first, which also goes before when both are ready.
    One(A),
    /// The other.
    Other(B),
}

/// Waits for the first of two futures. They are taken by reference, `pin!` in the caller, so that its
/// own future holds each of them once.
pub(crate) fn race<A, B>(
    mut one: A,
    mut other: B,
) -> impl Future<Output = First<A::Output, B::Output>>
where
    A: Future + Unpin,
    B: Future + Unpin,
{
    poll_fn(move |cx| match Pin::new(&mut one).poll(cx) {
        Poll::Ready(output) => Poll::Ready(First::One(output)),
        Poll::Pending => Pin::new(&mut other).poll(cx).map(First::Other),
    })
}

/// Waits for both of two futures, which run side by side.
#[cfg(feature = "server")]
pub(crate) async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_done, mut other_done) = (false, false);
    poll_fn(|cx| {
        one_done = one_done || one.as_mut().poll(cx).is_ready();
        other_done = other_done || other.as_mut().poll(cx).is_ready();
        if one_done && other_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
