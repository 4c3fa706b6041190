//! A reactor with a listener.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use sockeye_proto::{Config, Connection, Server};
use sockeye_reactor::{Adopted, Reactor, now};

use crate::peer::Peer;
use crate::probe::{PATIENCE, Probe, Watch, eventually};

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

    /// Sends a message to all subscribers of a topic.
    pub(crate) fn publish(&self, topic: &str, message: &str) {
        self.reactor.publish(topic, message);
    }

    /// Closes all connections, and those that still come.
    pub(crate) fn close_all(&self, code: u16, reason: &str) {
        self.reactor.close_all(code.into(), reason);
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
