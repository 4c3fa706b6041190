//! The real binary, serving, and a client that knows nothing but bytes.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sockeye::{Message, WebSocket};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use crate::scratch::Scratch;

/// No step of a test takes longer on a machine that is not stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// A command that serves.
pub(crate) struct Served {
    process: Process,
    stdout: BufReader<ChildStdout>,
    pub(crate) scheme: String,
    pub(crate) address: SocketAddr,
}

/// A process that serves; however it ends, nothing in it has panicked.
struct Process(Option<Child>);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with these arguments and nothing of the tests' environment that could change it.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SOCKEYE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(args: &[&str]) -> Ended {
    timeout(PATIENCE, command(args).output()).await.expect("it ends").unwrap().into()
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Served {
    /// Starts serving at a free port and waits for the line that says where.
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::spawn(command(args).args(["--listen", "127.0.0.1:0"])).await
    }

    /// Starts serving with a configuration.
    pub(crate) async fn configured(scratch: &Scratch, config: &str) -> Self {
        let file = scratch.write("sockeye.toml", config);
        Self::start(&["serve", "--config", &file]).await
    }

    pub(crate) async fn spawn(command: &mut Command) -> Self {
        Self::try_spawn(command).await.expect("it serves")
    }

    /// As [`spawn`](Self::spawn), for a start that may fail; returns how it did.
    pub(crate) async fn try_spawn(command: &mut Command) -> Result<Self, Ended> {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let reading = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        reading.expect("the line comes").unwrap();
        if line.is_empty() {
            let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends");
            return Err(Ended::from(output.unwrap()));
        }
        let url = line.strip_prefix("listening on ").expect(&line).strip_suffix('\n').unwrap();
        let (scheme, address) = url.split_once("://").unwrap();
        let (scheme, address) = (scheme.to_owned(), address.parse().unwrap());
        Ok(Self { process: Process(Some(child)), stdout, scheme, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.as_ref().unwrap().id().unwrap()
    }

    /// Returns standard error, which `end` knows nothing of then.
    pub(crate) fn take_stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.process.0.as_mut().unwrap().stderr.take().unwrap())
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Opens a WebSocket by hand.
    pub(crate) async fn open(&self, path: &str) -> Raw {
        let mut raw = self.raw().await;
        raw.write(handshake(path).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Joins a topic for certain: what a member sends comes back to it.
    pub(crate) async fn join(&self, topic: &str) -> WebSocket {
        let mut ws = self.connect(&format!("/t/{topic}")).await;
        ws.send("joined").await.unwrap();
        assert_eq!(receive(&mut ws).await, Message::from("joined"));
        ws
    }

    pub(crate) async fn connect(&self, path: &str) -> WebSocket {
        sockeye::connect(&format!("ws://{}{path}", self.address)).await.unwrap()
    }

    /// Opens a WebSocket by hand, with more headers.
    pub(crate) async fn open_with(&self, path: &str, headers: &[(&str, &str)]) -> Raw {
        let mut raw = self.raw().await;
        raw.write(handshake_with(path, headers).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Publishes over HTTP, and returns the message's id.
    pub(crate) async fn publish(&self, topic: &str, text: &str) -> String {
        let (length, host) = (text.len(), self.address);
        let request = format!(
            "POST /t/{topic} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}"
        );
        let answer = self.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Sends one request and returns all of the answer, to the end of the connection.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut raw = self.raw().await;
        raw.write(request.as_bytes()).await;
        String::from_utf8_lossy(&raw.rest().await).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.process.0.as_mut().unwrap().kill().await.unwrap();
    }

    /// Waits for its end; what it printed after the first line is all of `stdout`.
    pub(crate) async fn end(mut self) -> Ended {
        let ending = async {
            let mut printed = String::new();
            self.stdout.read_to_string(&mut printed).await.unwrap();
            let output = self.process.0.take().unwrap().wait_with_output().await.unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(!tells_of_panic(&stderr), "{stderr}");
            Ended { code: output.status.code(), stdout: printed, stderr }
        };
        timeout(PATIENCE, ending).await.expect("it ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // Its end of the pipe goes with it.
        let _ = child.start_kill();
        let Some(stderr) = child.stderr.take().filter(|_| !std::thread::panicking()) else {
            return;
        };
        let mut log = Vec::new();
        File::from(stderr.into_owned_fd().unwrap()).read_to_end(&mut log).unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(!tells_of_panic(&log), "{log}");
    }
}

/// Whether a log, in either of its forms, tells of a panic.
pub(crate) fn tells_of_panic(log: &str) -> bool {
    log.contains(" ERROR panic ") || log.contains(r#""event":"panic""#)
}

/// A back end that answers questions of JSON.
pub(crate) struct BackEnd {
    pub(crate) address: SocketAddr,
    /// What it was asked and has answered.
    pub(crate) questions: UnboundedReceiver<Value>,
}

impl BackEnd {
    pub(crate) async fn start(answer: impl Fn(&Value) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, questions) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut io, _)) = listener.accept().await {
                let question = read_json(&mut io).await;
                let body = answer(&question);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                io.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                let _ = asked.send(question);
            }
        });
        Self { address, questions }
    }
}

/// Reads a request whose body is JSON.
async fn read_json(io: &mut TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        assert!(io.read_buf(&mut bytes).await.unwrap() > 0);
        let text = String::from_utf8_lossy(&bytes);
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(question) = serde_json::from_str(body) {
            return question;
        }
    }
}

/// The request of RFC 6455 section 1.3, without its extras.
pub(crate) fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The request of [`handshake`] with more headers.
pub(crate) fn handshake_with(path: &str, headers: &[(&str, &str)]) -> String {
    let lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
    let head = handshake(path);
    let head = head.strip_suffix("\r\n\r\n").unwrap();
    format!("{head}{}\r\n\r\n", lines.concat())
}

/// A frame as a server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.opcode(), TEXT, "{self:?}");
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap()
    }

    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk()?;
        (self.opcode() == CLOSE).then(|| u16::from_be_bytes(*code))
    }
}

/// A client that knows nothing but bytes.
pub(crate) struct Raw {
    pub(crate) io: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(io: TcpStream) -> Self {
        Self { io, received: Vec::new() }
    }

    /// Writes what the other end takes; it may have closed.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.io.write_all(bytes)).await.expect("it is read");
    }

    /// Sends a masked frame whose first byte is `first`.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(&masked(first, payload)).await;
    }

    /// Reads up to the blank line that ends a head.
    pub(crate) async fn head(&mut self) -> String {
        self.try_head().await.expect("the head ends")
    }

    /// As [`head`](Self::head); `None` where the connection ends first.
    pub(crate) async fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                let head = std::mem::replace(&mut self.received, rest);
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads a response with its body.
    pub(crate) async fn response(&mut self) -> String {
        self.try_response().await.expect("the response ends")
    }

    /// As [`response`](Self::response); `None` where the connection ends first.
    pub(crate) async fn try_response(&mut self) -> Option<String> {
        let head = self.try_head().await?;
        let lower = head.to_ascii_lowercase();
        let length =
            lower.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
        let length = length.parse().unwrap();
        while self.received.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(head + &String::from_utf8(self.received.drain(..length).collect()).unwrap())
    }

    /// Reads a frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = parse(&self.received) {
                self.received.drain(..len);
                return Some(frame);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads everything up to the end of the stream, which a reset counts as.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.received)
    }

    /// Reads what comes next.
    pub(crate) async fn piece(&mut self) -> Vec<u8> {
        assert!(!self.received.is_empty() || self.more().await, "more comes");
        std::mem::take(&mut self.received)
    }

    /// Reads what comes until the end or until nothing comes for a while: not every refusal ends its
    /// connection.
    pub(crate) async fn so_far(&mut self) -> String {
        let quiet = Duration::from_millis(200);
        while timeout(quiet, self.more()).await.unwrap_or(false) {}
        String::from_utf8_lossy(&self.received).into_owned()
    }

    async fn more(&mut self) -> bool {
        let reading = self.io.read_buf(&mut self.received);
        timeout(PATIENCE, reading).await.expect("the server is not stuck").unwrap_or(0) > 0
    }
}

/// Builds a masked frame whose first byte is `first`.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => out.push(0x80 | u8::try_from(len).unwrap()),
        Ok(len) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let (len, at) = match second {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()).into(), 4),
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap());
            (usize::try_from(len).unwrap(), 10)
        }
        len => (usize::from(len), 2),
    };
    let payload = bytes.get(at..at + len)?.to_vec();
    Some((Frame { first, payload }, at + len))
}

/// Receives a message within reason.
pub(crate) async fn receive(ws: &mut WebSocket) -> Message {
    timeout(PATIENCE, ws.recv()).await.expect("a message comes").unwrap().unwrap()
}
