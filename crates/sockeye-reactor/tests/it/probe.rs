//! The server's side of the tests: a reactor with a listener, and a handler that reports.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use sockeye_proto::handler::Sender as Remote;
use sockeye_proto::{CloseInfo, Config, Connection, Error, MessageRef, Server, Side};
use sockeye_reactor::{Adopted, Handler, Out, Reactor, Sent, now};

use crate::peer::Peer;

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

/// A reactor, and how connections come to it.
pub(crate) struct Host {
    pub(crate) reactor: Arc<Reactor<Probe>>,
    pub(crate) config: Arc<Config>,
    listener: TcpListener,
}

impl Host {
    /// Starts a reactor of so many threads.
    pub(crate) fn start(threads: usize, config: Config) -> Self {
        Self::over(Reactor::start(threads).unwrap(), config)
    }

    /// Makes a host of a reactor.
    pub(crate) fn over(reactor: Reactor<Probe>, config: Config) -> Self {
        Self {
            reactor: Arc::new(reactor),
            config: Arc::new(config),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// Starts a reactor of one thread, as a server is by default.
    pub(crate) fn one() -> Self {
        Self::start(1, Config::server())
    }

    /// Makes both ends of a connection; the reactor's is not adopted yet.
    pub(crate) fn pair(&self) -> (Peer, TcpStream) {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        server.set_nodelay(true).unwrap();
        (Peer::new(client), server)
    }

    /// Makes the state of a connection.
    pub(crate) fn core(&self) -> Connection<Server> {
        Connection::new(Server, self.config.clone(), now())
    }

    /// Connects a peer, with bytes that came with its handshake.
    pub(crate) fn connect_with(&self, received: &[u8], probe: Probe) -> Peer {
        let (peer, server) = self.pair();
        self.reactor.adopt(Adopted::new(server, self.core(), probe).received(received));
        peer
    }

    /// Connects a peer to a handler.
    pub(crate) fn connect(&self, probe: Probe) -> Peer {
        self.connect_with(b"", probe)
    }

    /// Connects a peer whose messages come back, and tells what its handler sees.
    pub(crate) fn echo(&self) -> (Peer, Watch) {
        let (probe, watch) = Probe::new();
        (self.connect(probe), watch)
    }

    /// Holds a thread up inside a handler until the guard is released. For reactors of one thread.
    pub(crate) fn hold_up(&self) -> HeldUp {
        let (entered, has_entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (probe, _) = Probe::new();
        let probe = probe.on_message(move |_, _| {
            entered.send(()).unwrap();
            let _ = released.recv_timeout(PATIENCE);
        });
        let mut peer = self.connect(probe);
        peer.text("wait");
        has_entered.recv_timeout(PATIENCE).unwrap();
        HeldUp { release, _peer: peer }
    }

    /// Counts this process's sockets that are the server's ends of connections.
    pub(crate) fn server_sockets(&self) -> usize {
        let port = self.listener.local_addr().unwrap().port();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let local = format!(":{port:04X}");
        let column = |line: &str, at| line.split_whitespace().nth(at).unwrap_or("").to_owned();
        // Of a socket that no process has any more, the inode is 0; a listener's state is 0A.
        let ours = |line: &&str| {
            column(line, 1).ends_with(&local) && column(line, 3) != "0A" && column(line, 9) != "0"
        };
        table.lines().filter(ours).count()
    }

    /// Waits until there are so many connections.
    pub(crate) fn wait_for_len(&self, len: usize) {
        eventually(|| self.reactor.len() == len);
    }
}

/// A thread that waits inside a handler, until this is dropped.
pub(crate) struct HeldUp {
    release: Sender<()>,
    _peer: Peer,
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        let _ = self.release.send(());
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
