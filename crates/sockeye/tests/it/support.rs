//! What the tests share: frames built and read by hand, a transport that gives and takes as much as
//! it is told, a raw peer, an echo server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use sockeye::{Acceptor, Client, Config, Io, Server, WebSocket};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The request of RFC 6455 section 1.3, without its extras.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A frame as it was on the wire, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
    pub(crate) opcode: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>()?;
        (self.opcode == CLOSE).then(|| u16::from_be_bytes(*code))
    }
}

/// Which end the frames come from: a client's are masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// Builds a frame whose first byte is `first`.
pub(crate) fn frame(from: From, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if from == From::Client { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(mask | len as u8),
        len @ 126..=0xffff => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if from == From::Server {
        out.extend_from_slice(payload);
        return out;
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Builds a whole, final frame.
pub(crate) fn whole(from: From, opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(from, 0x80 | opcode, payload)
}

/// Reads one frame off the front of `bytes`, if it is all there.
pub(crate) fn parse_one(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (len, mut at) = match second & 0x7f {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()) as usize, 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        len => (len as usize, 2),
    };
    let masked = second & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        key.copy_from_slice(bytes.get(at..at + 4)?);
        at += 4;
    }
    let payload = bytes.get(at..at + len)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let (fin, rsv1, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
    assert_eq!(first & 0x30, 0, "no reserved bit of another extension");
    Some((Frame { fin, rsv1, opcode, masked, payload }, at + len))
}

/// Reads frames that must fill `bytes` exactly.
pub(crate) fn parse_all(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, len) = parse_one(bytes).expect("a whole frame");
        frames.push(frame);
        bytes = &bytes[len..];
    }
    frames
}

/// A transport that gives and takes as many bytes as it is told to.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    input: VecDeque<u8>,
    readable: usize,
    ends: bool,
    output: Vec<u8>,
    writable: usize,
    is_shut: bool,
    wakers: Vec<Waker>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Adds bytes that can be read once allowed.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.lock().input.extend(bytes);
    }

    /// Lets `count` more bytes be read.
    pub(crate) fn allow_read(&self, count: usize) {
        self.change(|state| state.readable = state.readable.saturating_add(count));
    }

    /// Lets `count` more bytes be written.
    pub(crate) fn allow_write(&self, count: usize) {
        self.change(|state| state.writable = state.writable.saturating_add(count));
    }

    pub(crate) fn end(&self) {
        self.change(|state| state.ends = true);
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.lock().output.clone()
    }

    pub(crate) fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().output)
    }

    /// Returns how many bytes nobody has read.
    pub(crate) fn unread(&self) -> usize {
        self.lock().input.len()
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.lock().is_shut
    }

    /// Whether only the test still holds the transport.
    pub(crate) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.lock();
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let count = state.readable.min(state.input.len()).min(buf.remaining());
        if count == 0 && !(state.ends && state.input.is_empty()) {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.readable -= count;
        state.input.drain(..count).for_each(|byte| buf.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let count = state.writable.min(bytes.len());
        if count == 0 {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.writable -= count;
        state.output.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// Opens a connection over a script, as the end that does not send `from`'s frames. Nothing may be
/// read or written of it after the handshake.
pub(crate) async fn scripted(from: From, config: Config) -> (WebSocket<Script>, Script) {
    scripted_after(from, config, "\r\n").await
}

/// As [`scripted`], of a client whose request ends with `end`.
pub(crate) async fn scripted_after(
    from: From,
    config: Config,
    end: &str,
) -> (WebSocket<Script>, Script) {
    let script = Script::new();
    script.allow_write(usize::MAX);
    let ws = match from {
        From::Client => {
            let request = REQUEST.strip_suffix("\r\n").unwrap().to_owned() + end;
            script.push(request.as_bytes());
            script.allow_read(request.len());
            Acceptor::new().config(config).accept(script.clone()).await.unwrap().0
        }
        From::Server => {
            let (client, server) = tokio::join!(
                Client::builder().config(config).build().request("ws://x/").over(script.clone()),
                async {
                    while !script.written().ends_with(b"\r\n\r\n") {
                        tokio::task::yield_now().await;
                    }
                    let answer = answer(&script.written());
                    script.push(&answer);
                    script.allow_read(answer.len());
                }
            );
            let () = server;
            client.unwrap()
        }
    };
    script.take_written();
    script.change(|state| state.writable = 0);
    (ws, script)
}

/// Makes the 101 that answers a client's request.
pub(crate) fn answer(request: &[u8]) -> Vec<u8> {
    let request = String::from_utf8(request.to_vec()).unwrap();
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
    });
    let accept = sockeye_proto::handshake::accept_key(&key.unwrap());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
    format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
}

/// A peer that knows nothing but bytes.
pub(crate) struct Raw<S> {
    pub(crate) io: S,
    pub(crate) is: From,
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn new(io: S, is: From) -> Self {
        Self { io, is, received: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let bytes = whole(self.is, opcode, payload);
        self.write(&bytes).await;
    }

    /// Reads up to the blank line that ends a head.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                return String::from_utf8(std::mem::replace(&mut self.received, rest)).unwrap();
            }
            assert!(self.more().await, "the head ends");
        }
    }

    /// Reads a frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = parse_one(&self.received) {
                self.received.drain(..len);
                return Some(frame);
            }
            if !self.more().await {
                assert!(self.received.is_empty(), "no frame is cut");
                return None;
            }
        }
    }

    /// Reads `count` bytes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.more().await, "the stream goes on");
        }
        self.received.drain(..count).collect()
    }

    /// Reads everything up to the end of the stream, which a reset counts as.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.received)
    }

    /// Reads to the end, which comes inside a frame, and returns how many bytes there were.
    pub(crate) async fn frame_is_cut(&mut self) -> usize {
        while self.more().await {}
        assert!(parse_one(&self.received).is_none());
        self.received.len()
    }

    async fn more(&mut self) -> bool {
        self.io.read_buf(&mut self.received).await.unwrap_or(0) > 0
    }
}

/// Opens a connection of which the other end is a raw peer that plays `peer`.
pub(crate) async fn with_raw(
    peer: From,
    config: Config,
    capacity: usize,
) -> (WebSocket<DuplexStream>, Raw<DuplexStream>) {
    let (ours, theirs) = duplex(capacity);
    let mut raw = Raw::new(theirs, peer);
    let ws = open(ours, config, &mut raw).await;
    (ws, raw)
}

async fn open<S: Io>(
    io: S,
    config: Config,
    raw: &mut Raw<impl AsyncRead + AsyncWrite + Unpin>,
) -> WebSocket<S> {
    if raw.is == From::Client {
        let (acceptor, shake) = (Acceptor::new().config(config), async {
            raw.write(REQUEST.as_bytes()).await;
            raw.head().await
        });
        let (accepted, head) = tokio::join!(acceptor.accept(io), shake);
        assert!(head.starts_with("HTTP/1.1 101 "));
        return accepted.unwrap().0;
    }
    let client = Client::builder().config(config).build();
    let shake = async {
        let request = raw.head().await;
        raw.write(&answer(request.as_bytes())).await;
    };
    tokio::join!(client.request("ws://x/").over(io), shake).0.unwrap()
}

/// Connects a raw client to a server and shakes hands.
pub(crate) async fn raw_client(address: SocketAddr) -> Raw<tokio::net::TcpStream> {
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut raw = Raw::new(tcp, From::Client);
    raw.write(REQUEST.as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw
}

/// Starts serving in the background and returns the address.
pub(crate) async fn start(server: Server) -> SocketAddr {
    let server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve());
    address
}

/// A server that sends back what it receives.
pub(crate) fn echo(config: Config) -> Server {
    Server::bind("127.0.0.1:0").config(config).route("/", |mut ws, _| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    })
}
