//! Connections that a server serves with handlers of the callback form, each in a task of its own that
//! holds only what lasts.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sockeye_proto::CloseCode;
use sockeye_proto::handler::Handler;

use super::Incoming;
use super::drain::{Asked, Leaving, Life, REASON};
use super::handover::Place;
use crate::handler::{Run, Topics};
use crate::held;
use crate::io::AnyIo;
use crate::log::{self, Stage};
use crate::websocket::WebSocket;

/// Serves a connection of some path.
pub(super) type Starter = Arc<dyn Fn(WebSocket, &Incoming, Place, Stay) + Send + Sync>;

/// What the connections of a server have in common while they stay.
pub(super) struct Stay {
    pub(super) life: Life,
    pub(super) topics: Topics,
}

/// Makes what serves the connections of a path, each with a handler that `make` makes.
pub(super) fn starter<F, H>(make: F) -> Starter
where
    F: Fn(&Incoming) -> H + Send + Sync + 'static,
    H: Handler,
{
    Arc::new(move |ws, incoming, place, stay| {
        match catch_unwind(AssertUnwindSafe(|| make(incoming))) {
            Ok(handler) => start(ws, handler, place, stay),
            Err(_) => dismiss(ws, place),
        }
    })
}

/// Starts a handler. Its first turn comes as soon as the 101 is out: what a handler does first, such
/// as to join a topic, is then done before the client's next message can arrive, on this connection
/// or another.
fn start<H: Handler>(mut ws: WebSocket, handler: H, place: Place, stay: Stay) {
    let Stay { life, topics } = stay;
    ws.held().end_with_server();
    let mut run = Run::new(ws.into_held(), handler, topics);
    // The task's own first turn registers whom to wake.
    if Pin::new(&mut run).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        tokio::spawn(Served { run, leaving: Leaving::new(life), place });
    }
}

/// Drives a connection until it ends, or the server drops it.
struct Served<H: Handler> {
    run: Run<AnyIo, H>,
    leaving: Leaving,
    #[expect(dead_code, reason = "held, not read")]
    place: Place,
}

impl<H: Handler> Future for Served<H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { run, leaving, .. } = &mut *self;
        match leaving.poll(cx) {
            Asked::Nothing => {}
            Asked::Close(code) => run.close(code, REASON),
            Asked::Drop => return Poll::Ready(()),
        }
        Pin::new(run).poll(cx).map(drop)
    }
}

/// Closes a connection that has no handler, because to make one panicked.
fn dismiss(ws: WebSocket, place: Place) {
    log::handler_panic(Stage::Handler);
    if let Some(link) = ws.into_held().into_link() {
        tokio::spawn(async move {
            held::part(link, CloseCode::INTERNAL).await;
            drop(place);
        });
    }
}
