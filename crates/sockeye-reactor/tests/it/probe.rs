//! The server's side of the tests, the same on every host of handlers: a handler that reports.

use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use sockeye_proto::handler::{Handler, Out, Sender as Remote, Sent};
use sockeye_proto::{CloseInfo, Error, MessageRef, Side};

pub(crate) use crate::host::Host;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

type Act = Box<dyn FnMut(&mut Out<'_>) + Send>;
type ActOn = Box<dyn FnMut(MessageRef<'_>, &mut Out<'_>) + Send>;

/// A handler that reports what happens to it, and does what a test says. Echoes unless told
/// otherwise.
pub(crate) struct Probe {
    seen: Sender<Seen>,
    on_open: Act,
    on_message: ActOn,
    on_drain: Act,
    on_panicked: Box<dyn FnMut() + Send>,
    on_close: Box<dyn FnMut() + Send>,
}

/// What a handler was told.
#[derive(Debug)]
pub(crate) enum Seen {
    Open(Remote),
    Message(Vec<u8>),
    Drain,
    Wake,
    #[allow(dead_code, reason = "not every host publishes at positions")]
    Missed(String, u64),
    Fail(Error),
    Panicked,
    Close(CloseInfo),
}

/// What one connection's handler was told, in order.
pub(crate) struct Watch(Receiver<Seen>);

impl Probe {
    pub(crate) fn new() -> (Self, Watch) {
        let (seen, watch) = mpsc::channel();
        let probe = Self {
            seen,
            on_open: Box::new(|_| {}),
            on_message: Box::new(|message, out| ignore(out.send(message))),
            on_drain: Box::new(|_| {}),
            on_panicked: Box::new(|| {}),
            on_close: Box::new(|| {}),
        };
        (probe, Watch(watch))
    }

    pub(crate) fn on_open(mut self, act: impl FnMut(&mut Out<'_>) + Send + 'static) -> Self {
        self.on_open = Box::new(act);
        self
    }

    pub(crate) fn on_message(
        mut self,
        act: impl FnMut(MessageRef<'_>, &mut Out<'_>) + Send + 'static,
    ) -> Self {
        self.on_message = Box::new(act);
        self
    }

    pub(crate) fn on_drain(mut self, act: impl FnMut(&mut Out<'_>) + Send + 'static) -> Self {
        self.on_drain = Box::new(act);
        self
    }

    pub(crate) fn on_panicked(mut self, act: impl FnMut() + Send + 'static) -> Self {
        self.on_panicked = Box::new(act);
        self
    }

    pub(crate) fn on_close(mut self, act: impl FnMut() + Send + 'static) -> Self {
        self.on_close = Box::new(act);
        self
    }

    fn report(&self, seen: Seen) {
        let _ = self.seen.send(seen);
    }
}

impl Handler for Probe {
    fn open(&mut self, out: &mut Out<'_>) {
        self.report(Seen::Open(out.sender()));
        (self.on_open)(out);
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        self.report(Seen::Message(message.as_bytes().to_vec()));
        (self.on_message)(message, out);
    }

    fn drain(&mut self, out: &mut Out<'_>) {
        self.report(Seen::Drain);
        (self.on_drain)(out);
    }

    fn wake(&mut self, out: &mut Out<'_>) {
        self.report(Seen::Wake);
        ignore(out.send("awake"));
    }

    fn missed(&mut self, topic: &str, position: u64, _: &mut Out<'_>) {
        self.report(Seen::Missed(topic.to_owned(), position));
    }

    fn fail(&mut self, error: &Error) {
        self.report(Seen::Fail(error.clone()));
    }

    fn panicked(&mut self) {
        self.report(Seen::Panicked);
        (self.on_panicked)();
    }

    fn close(&mut self, info: &CloseInfo) {
        self.report(Seen::Close(info.clone()));
        (self.on_close)();
    }
}

impl Watch {
    /// Waits for what the handler is told next.
    pub(crate) fn next(&self) -> Seen {
        self.0.recv_timeout(PATIENCE).expect("the handler is told something")
    }

    pub(crate) fn opened(&self) -> Remote {
        match self.next() {
            Seen::Open(remote) => remote,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        match self.next() {
            Seen::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn failed(&self) -> Error {
        match self.next() {
            Seen::Fail(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end, which is the last that a handler is told, whatever comes before.
    pub(crate) fn closed(&self) -> CloseInfo {
        loop {
            if let Seen::Close(info) = self.next() {
                // Its end of the channel goes with the handler.
                assert!(self.0.recv_timeout(PATIENCE).is_err(), "something follows the end");
                return info;
            }
        }
    }

    /// Takes what the handler has been told so far.
    pub(crate) fn so_far(&self) -> Vec<Seen> {
        self.0.try_iter().collect()
    }

    /// Whether the handler is gone and told nothing more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }
}

/// Waits, within bounds, until something is so.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to be");
        std::thread::yield_now();
    }
}

/// An end that the transport brought, without a Close frame.
pub(crate) fn abnormal() -> CloseInfo {
    CloseInfo { code: 1006.into(), reason: String::new(), clean: false, by: Side::Transport }
}

/// Takes what became of a message that a test does not care for, or finds out from the peer.
pub(crate) const fn ignore(_: Sent) {}
