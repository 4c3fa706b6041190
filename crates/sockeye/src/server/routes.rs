//! Which handler serves which path.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use matchit::Router;
use percent_encoding::percent_decode_str;
use sockeye_proto::CloseCode;
use sockeye_proto::handshake::{Accepted, Rejection, RequestHead, accept as judge};
use tokio::sync::oneshot;

use super::callbacks::{Starter, Stay, starter};
use super::drain::{Asked, Leaving, Life, REASON};
use super::handover::{HandedOver, Place, Transport};
use super::{Acceptor, Incoming};
use crate::control::Control;
use crate::error::Result;
use crate::handler::{self, Topics};
use crate::held;
use crate::io::AnyIo;
use crate::link::Link;
use crate::log::{self, Stage};
use crate::race::{First, both, race};
use crate::websocket::WebSocket;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Handler = Arc<dyn Fn(WebSocket, Incoming) -> BoxFuture<Result<()>> + Send + Sync>;
type Taker = Arc<dyn Fn(HandedOver) + Send + Sync>;
type Hook = Arc<dyn Fn(&Incoming) -> BoxFuture<Result<(), Rejection>> + Send + Sync>;
type Check = Arc<dyn Fn(&mut Incoming) -> Result<(), Rejection> + Send + Sync>;

/// The handlers of a server and what a request must pass before one runs.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Destination>,
    check: Option<Check>,
    hook: Option<Hook>,
    pub(super) acceptor: Acceptor,
    /// For the handlers of the callback form.
    pub(super) topics: Topics,
}

/// Where the connections of a path go.
#[derive(Clone)]
enum Destination {
    /// To a handler, here.
    Handler(Handler),
    /// To a handler of the callback form, here.
    Callbacks(Starter),
    /// To another host.
    Elsewhere(Taker),
}

/// A request that passed every check, and where its connection goes.
pub(crate) struct Admitted {
    pub(crate) accepted: Accepted,
    incoming: Incoming,
    destination: Destination,
    topics: Topics,
}

impl Routes {
    /// Adds a route.
    ///
    /// # Errors
    /// A path that is no pattern or stands in the way of another.
    pub(super) fn add<F, Fut>(&mut self, path: &str, handler: F) -> Result<(), matchit::InsertError>
    where
        F: Fn(WebSocket, Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |ws, incoming| Box::pin(handler(ws, incoming)));
        self.router.insert(path, Destination::Handler(handler))
    }

    /// Adds a route to handlers of the callback form.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn add_callbacks<F, H>(
        &mut self,
        path: &str,
        make: F,
    ) -> Result<(), matchit::InsertError>
    where
        F: Fn(&Incoming) -> H + Send + Sync + 'static,
        H: handler::Handler,
    {
        self.router.insert(path, Destination::Callbacks(starter(make)))
    }

    /// Adds a route to another host.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn add_taker(
        &mut self,
        path: &str,
        taker: impl Fn(HandedOver) + Send + Sync + 'static,
    ) -> Result<(), matchit::InsertError> {
        self.router.insert(path, Destination::Elsewhere(Arc::new(taker)))
    }

    pub(super) fn set_hook<F, Fut>(&mut self, hook: F)
    where
        F: Fn(&Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |incoming| Box::pin(hook(incoming))));
    }

    pub(super) fn set_check(
        &mut self,
        check: impl Fn(&mut Incoming) -> Result<(), Rejection> + Send + Sync + 'static,
    ) {
        self.check = Some(Arc::new(check));
    }

    /// Judges a request: the handshake's rules, the path, then the application's check and hook.
    pub(super) async fn admit(
        &self,
        head: &RequestHead<'_>,
        peer: SocketAddr,
    ) -> Result<Admitted, Rejection> {
        let admitted = self.admit_by_rules(head, peer)?;
        if let Some(hook) = &self.hook {
            let verdict = guard(AssertUnwindSafe(|| hook(&admitted.incoming)));
            let verdict = verdict.ok_or_else(judge_panicked)?.await;
            verdict.unwrap_or_else(|| Err(judge_panicked()))?;
        }
        Ok(admitted)
    }

    /// Judges a request for another host; `None` for all else, and where judging may take time.
    pub(super) fn admit_elsewhere(
        &self,
        head: &RequestHead<'_>,
        peer: SocketAddr,
    ) -> Option<Result<Admitted, Rejection>> {
        if self.hook.is_some() || !head.wants_upgrade() {
            return None;
        }
        match self.admit_by_rules(head, peer) {
            Ok(admitted) if !admitted.is_for_elsewhere() => None,
            judged => Some(judged),
        }
    }

    /// Judges a request as far as that takes no time.
    fn admit_by_rules(
        &self,
        head: &RequestHead<'_>,
        peer: SocketAddr,
    ) -> Result<Admitted, Rejection> {
        let accepted = judge(head, &self.acceptor.policy)?;
        let Ok(found) = self.router.at(head.path()) else {
            let text = "There is no WebSocket at this path.\n";
            return Err(Rejection::new(404, text).with_rule("path"));
        };
        let mut incoming = Incoming::new(head, Some(peer))?;
        let params = found.params.iter().map(|(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name.to_owned(), value.into_owned()))
        });
        let params = params.collect::<Option<_>>();
        let text = "The path is not percent-encoded UTF-8.\n";
        let not_decoded = || Rejection::new(400, text).with_rule("target");
        incoming.set_params(params.ok_or_else(not_decoded)?);
        if let Some(check) = &self.check {
            let verdict = catch_unwind(AssertUnwindSafe(|| check(&mut incoming)));
            verdict.unwrap_or_else(|_| Err(judge_panicked()))?;
        }
        let (destination, topics) = (found.value.clone(), self.topics.clone());
        Ok(Admitted { accepted, incoming, destination, topics })
    }
}

impl Admitted {
    /// Serves a connection whose 101 has been written, elsewhere or here in a task of its own.
    /// Returns when its handler has had a first turn.
    pub(crate) async fn serve(
        self,
        io: AnyIo,
        received: Vec<u8>,
        acceptor: &Acceptor,
        place: Place,
        life: Life,
    ) {
        if self.is_for_elsewhere() {
            let Ok(transport) = Transport::leaving(io) else { return };
            return self.leave(transport, received, acceptor, place);
        }
        let Self { accepted, incoming, destination, topics } = self;
        let ws = acceptor.start(io, &accepted, &received, Some(place.peer_addr()));
        let mut running = match destination {
            Destination::Handler(handler) => Running::start(&handler, ws, incoming),
            Destination::Callbacks(starter) => {
                return starter(ws, &incoming, place, Stay { life, topics });
            }
            Destination::Elsewhere(_) => return,
        };
        running.begin().await;
        // This task had room for TLS and for heads; the next holds only what lasts.
        tokio::spawn(running.run(life, place));
    }

    fn is_for_elsewhere(&self) -> bool {
        matches!(self.destination, Destination::Elsewhere(_))
    }

    /// Gives a connection whose 101 has been written to the host that its path is for.
    pub(super) fn leave(
        self,
        transport: Transport,
        received: Vec<u8>,
        acceptor: &Acceptor,
        place: Place,
    ) {
        let Self { accepted, incoming, destination, .. } = self;
        if let Destination::Elsewhere(taker) = destination {
            let config = acceptor.config.clone();
            taker(HandedOver { transport, accepted, received, config, incoming, place });
        }
    }
}

/// The refusal of a request that the application panicked over.
fn judge_panicked() -> Rejection {
    log::handler_panic(Stage::Handshake);
    let text = "The server failed to judge the request.\n";
    Rejection::new(500, text).with_rule("hook_panic")
}

/// A handler that has its connection.
struct Running {
    /// `None` when it panicked before it began.
    handler: Option<Guarded<Result<()>>>,
    parted: oneshot::Receiver<Box<Link<AnyIo>>>,
    control: Arc<Control>,
}

impl Running {
    /// Starts a handler on its connection.
    fn start(handler: &Handler, mut ws: WebSocket, incoming: Incoming) -> Self {
        let (parting, parted) = oneshot::channel();
        let control = Arc::new(Control::default());
        let held = ws.held();
        held.set_parting(parting);
        held.set_control(control.clone());
        Self { handler: guard(AssertUnwindSafe(|| handler(ws, incoming))), parted, control }
    }

    /// Polls the handler a first time. To be called as soon as the 101 is out: what a handler does
    /// first, such as to join a topic, is then done before the client's next message can arrive,
    /// on this connection or another.
    async fn begin(&mut self) {
        poll_fn(|cx| {
            if let Some(handler) = &mut self.handler {
                handler.poll_early(cx);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Drives the handler and its connection until both are done, or the server drops them. This is
    /// all that the task of an idle connection holds, so it is kept small: goodbyes go into boxes, and
    /// the block takes in place what the arguments of an `async fn` would have twice.
    fn run(self, life: Life, place: Place) -> impl Future<Output = ()> + Send {
        let Self { mut handler, mut parted, control } = self;
        let mut leaving = Leaving::new(life);
        async move {
            let left = poll_fn(|cx| match leaving.poll(cx) {
                Asked::Nothing => Poll::Pending,
                Asked::Close(code) => {
                    control.close(code, REASON);
                    Poll::Pending
                }
                Asked::Drop => Poll::Ready(()),
            });
            race(pin!(serve(&mut handler, &mut parted)), left).await;
            // The place is free when the connection is gone.
            drop((handler, parted));
            drop(place);
        }
    }
}

async fn serve(
    handler: &mut Option<Guarded<Result<()>>>,
    parted: &mut oneshot::Receiver<Box<Link<AnyIo>>>,
) {
    let Some(running) = handler else {
        log::handler_panic(Stage::Handler);
        return hand_over(parted, CloseCode::INTERNAL).await;
    };
    match race(&mut *running, &mut *parted).await {
        First::One(outcome) => {
            let code = match outcome {
                Some(Ok(())) => CloseCode::NORMAL,
                Some(Err(_)) => CloseCode::INTERNAL,
                None => {
                    log::handler_panic(Stage::Handler);
                    CloseCode::INTERNAL
                }
            };
            *handler = None;
            hand_over(parted, code).await;
        }
        // The handler let go of the connection and does something else.
        First::Other(link) => {
            let goodbye = async {
                if let Ok(link) = link {
                    held::part(link, CloseCode::NORMAL).await;
                }
            };
            let rest = async {
                if running.await.is_none() {
                    log::handler_panic(Stage::Handler);
                }
            };
            Box::pin(both(goodbye, rest)).await;
        }
    }
}

/// Closes the connection that a finished handler left.
async fn hand_over(parted: &mut oneshot::Receiver<Box<Link<AnyIo>>>, code: CloseCode) {
    if let Ok(link) = parted.await {
        Box::pin(held::part(link, code)).await;
    }
}

/// A future that ends with `None` when it panics.
struct Guarded<T> {
    future: BoxFuture<T>,
    /// How it ended, if it did so when it was polled early.
    early: Option<Option<T>>,
}

impl<T> Guarded<T> {
    fn poll_early(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(outcome) = self.poll_future(cx) {
            self.early = Some(outcome);
        }
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}

impl<T: Unpin> Future for Guarded<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.early.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => self.poll_future(cx),
        }
    }
}

/// Calls `make` and makes its future safe to poll: a panic in either ends in `None`, and the thread
/// goes on serving others.
fn guard<T>(make: AssertUnwindSafe<impl FnOnce() -> BoxFuture<T>>) -> Option<Guarded<T>> {
    catch_unwind(make).ok().map(|future| Guarded { future, early: None })
}
