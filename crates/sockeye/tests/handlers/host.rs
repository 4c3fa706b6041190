//! A runtime with a listener, and how connections come to their handlers.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use sockeye::handler::{Error, Handler, MessageRef, Out, Sender, Topics};
use sockeye::{Acceptor, CloseInfo, Config, Rewound};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use crate::peer::Peer;
use crate::probe::{PATIENCE, Probe, Watch, eventually};

/// A runtime whose tasks run handlers.
pub(crate) struct Host {
    pub(crate) config: Arc<Config>,
    runtime: Runtime,
    topics: Topics,
    listener: TcpListener,
    everyone: Arc<Everyone>,
}

/// What a host does with all of its connections.
#[derive(Default)]
struct Everyone {
    len: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    senders: Vec<Sender>,
    closing: Option<(u16, String)>,
}

impl Host {
    /// Starts a runtime of so many threads.
    pub(crate) fn start(threads: usize, config: Config) -> Self {
        Self {
            config: Arc::new(config),
            runtime: Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()
                .unwrap(),
            topics: Topics::new(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            everyone: Arc::default(),
        }
    }

    /// Starts a runtime of one thread, with what a server is by default.
    pub(crate) fn one() -> Self {
        Self::start(1, Config::server())
    }

    /// Connects a peer, with bytes that came with its handshake.
    pub(crate) fn connect_with(&self, received: &[u8], probe: Probe) -> Peer {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        server.set_nodelay(true).unwrap();
        let _context = self.runtime.enter();
        let tcp = tokio::net::TcpStream::from_std(server).unwrap();
        // The handshake is played here, so that it needs none of the runtime's threads.
        let request = [REQUEST, received].concat();
        let io = Rewound::new(request, Unanswered { tcp, is_answered: false });
        let acceptor = Acceptor::new().config((*self.config).clone());
        let accepted = acceptor.accept(io).now_or_never().expect("it is there already");
        let everyone = self.everyone.clone();
        let run = accepted.unwrap().0.run_with(Member { probe, everyone }, &self.topics);
        self.everyone.len.fetch_add(1, Ordering::Relaxed);
        self.runtime.spawn(run);
        Peer::new(client)
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

    /// Holds a thread up inside a handler until the guard is released. For runtimes of one thread.
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

    /// Sends a message to all subscribers of a topic.
    pub(crate) fn publish(&self, topic: &str, message: &str) {
        self.topics.publish(topic, message);
    }

    /// Closes all connections, and those that still come.
    pub(crate) fn close_all(&self, code: u16, reason: &str) {
        let mut state = self.everyone.state.lock().unwrap();
        state.senders.iter().for_each(|sender| sender.close(code.into(), reason));
        state.closing = Some((code, reason.to_owned()));
    }

    /// Waits until there are so many connections.
    pub(crate) fn wait_for_len(&self, len: usize) {
        eventually(|| self.everyone.len.load(Ordering::Relaxed) == len);
    }
}

/// A thread that waits inside a handler, until this is dropped.
pub(crate) struct HeldUp {
    release: mpsc::Sender<()>,
    _peer: Peer,
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        let _ = self.release.send(());
    }
}

/// A handler that its host knows of.
struct Member {
    probe: Probe,
    everyone: Arc<Everyone>,
}

impl Handler for Member {
    fn open(&mut self, out: &mut Out<'_>) {
        let closing = {
            let mut state = self.everyone.state.lock().unwrap();
            state.senders.push(out.sender());
            state.closing.clone()
        };
        self.probe.open(out);
        if let Some((code, reason)) = closing {
            out.close(code.into(), &reason);
        }
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        self.probe.message(message, out);
    }

    fn drain(&mut self, out: &mut Out<'_>) {
        self.probe.drain(out);
    }

    fn wake(&mut self, out: &mut Out<'_>) {
        self.probe.wake(out);
    }

    fn fail(&mut self, error: &Error) {
        self.probe.fail(error);
    }

    fn panicked(&mut self) {
        self.probe.panicked();
    }

    fn close(&mut self, info: &CloseInfo) {
        self.probe.close(info);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.everyone.len.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that keeps the answer to the handshake to itself.
struct Unanswered {
    tcp: tokio::net::TcpStream,
    is_answered: bool,
}

impl AsyncRead for Unanswered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unanswered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_answered {
            return Pin::new(&mut self.tcp).poll_write(cx, bytes);
        }
        self.is_answered = bytes.ends_with(b"\r\n\r\n");
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// The request of RFC 6455 section 1.3, without its extras.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
