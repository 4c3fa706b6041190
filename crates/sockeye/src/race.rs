//! Waiting for one of two futures, or for both: what tokio's macros do, without the five crates of
//! procedural macros that they bring along.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Which of two futures was ready first.
pub(crate) enum First<A, B> {
    /// The one named first, which also goes before when both are ready.
    One(A),
    /// The other.
    Other(B),
}

/// Waits for the first of two futures; the other is dropped.
pub(crate) async fn race<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(First::One(output)),
        Poll::Pending => other.as_mut().poll(cx).map(First::Other),
    })
    .await
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
