//! Many subscribers of one topic of `sockeye serve`, over WebSocket and server-sent events at once:
//! `subscribers --serve PATH`, and of the rest what is not as below.
//!
//! `--websockets 10000 --events 1000 --stalled 0 --messages 200 --bytes 100 --path /t/crowd`
//!
//! Starts the server on its default settings (with history and recovery), connects the WebSockets,
//! then the streams, publishes over HTTP, one message when all have the one before, and checks that each
//! subscriber gets every message once and in order. Those that are stalled, every second one of them a stream, read nothing and
//! are waited for by nobody. Prints JSON: private memory of the server for each
//! idle subscriber, processor time per delivery, and how long all had to wait for a message. Pin it with
//! `taskset -c 1`; it pins the server to the first core itself.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use sockeye_bench::flags::Flags;
use sockeye_bench::load::Failure;
use sockeye_bench::load::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut flags = Flags::parse(std::env::args().skip(1), &[])?;
    let serve: String = flags.take("serve")?.ok_or("--serve PATH is missing")?;
    let websockets = flags.take("websockets")?.unwrap_or(10_000);
    let events = flags.take("events")?.unwrap_or(1_000);
    let stalled = flags.take("stalled")?.unwrap_or(0);
    let messages: u64 = flags.take("messages")?.unwrap_or(200);
    let bytes = flags.take("bytes")?.unwrap_or(100);
    let path = flags.take("path")?.unwrap_or_else(|| "/t/crowd".to_owned());
    flags.finish()?;
    raise_descriptors();
    let served = Served::start(&serve)?;
    let server = Server::new(served.child.id());
    let crowd = Arc::new(Crowd::default());
    let mut subscribers = JoinSet::new();
    let open = Subscriber { path, messages, bytes };

    let empty = server.private_memory()?;
    open.connect(&served, Form::WebSocket, websockets, &crowd, &mut subscribers).await?;
    let with_websockets = server.private_memory()?;
    open.connect(&served, Form::Events, events, &crowd, &mut subscribers).await?;
    let with_all = server.private_memory()?;

    let _stalled = open.stall(&served, stalled).await?;
    let before = server.usage()?;
    let mut waits = publish(&served, &open, &crowd, (websockets + events) as u64).await?;
    let after = server.usage()?;
    while let Some(ended) = subscribers.join_next().await {
        ended??;
    }
    waits.sort_unstable();
    let wait = |part: usize| waits.get(waits.len() * part / 100).map(|wait| wait.as_micros());
    let each = |bytes: u64, count: usize| bytes.checked_div(count as u64);
    println!(
        "{}",
        json!({
            "websockets": websockets,
            "events": events,
            "stalled": stalled,
            "messages": messages,
            "bytes of an idle websocket": each(with_websockets - empty, websockets),
            "bytes of an idle stream": each(with_all - with_websockets, events),
            "deliveries": before.per(&after, messages * (websockets + events) as u64),
            "all have it after us": { "median": wait(50), "99 of 100": wait(99) },
        })
    );
    Ok(())
}

/// The server, ended with this.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(program: &str) -> Result<Self, Failure> {
        let mut child = Command::new("taskset")
            .args(["-c", "0", program, "serve", "--listen", "127.0.0.1:0", "--log", "warn"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().rsplit_once("//").ok_or("it does not listen")?.1.to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How far the subscribers are, all together.
#[derive(Default)]
struct Crowd {
    joined: AtomicU64,
    got: AtomicU64,
    moved: Notify,
}

impl Crowd {
    async fn wait(&self, counter: &AtomicU64, count: u64) -> Result<(), Failure> {
        let waiting = async {
            while counter.load(Ordering::Acquire) < count {
                self.moved.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| "subscribers got too little")?;
        Ok(())
    }

    /// Counts; the publisher is woken where it may have what it waits for.
    fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Release);
        self.moved.notify_one();
    }
}

#[derive(Clone, Copy)]
enum Form {
    Events,
    WebSocket,
}

/// What all subscribers are like.
#[derive(Clone)]
struct Subscriber {
    path: String,
    messages: u64,
    bytes: usize,
}

impl Subscriber {
    async fn connect(
        &self,
        served: &Served,
        form: Form,
        count: usize,
        crowd: &Arc<Crowd>,
        subscribers: &mut JoinSet<Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let before = crowd.joined.load(Ordering::Acquire);
        for number in 0..count {
            let mut io = TcpStream::connect(&served.address).await?;
            io.write_all(self.request(form).as_bytes()).await?;
            let (this, all) = (self.clone(), crowd.clone());
            subscribers.spawn(async move { this.follow(io, form, &all).await });
            if number % 500 == 499 {
                crowd.wait(&crowd.joined, before + number as u64 + 1).await?;
            }
        }
        crowd.wait(&crowd.joined, before + count as u64).await
    }

    /// Connects subscribers that never read, and take little before they have to.
    async fn stall(&self, served: &Served, count: usize) -> Result<Vec<TcpStream>, Failure> {
        let mut stalled = Vec::new();
        for number in 0..count {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4_096)?;
            let mut io = socket.connect(served.address.parse()?).await?;
            let form = if number % 2 == 0 { Form::WebSocket } else { Form::Events };
            io.write_all(self.request(form).as_bytes()).await?;
            io.readable().await?;
            stalled.push(io);
        }
        Ok(stalled)
    }

    fn request(&self, form: Form) -> String {
        let headers = match form {
            Form::Events => "Accept: text/event-stream",
            Form::WebSocket => {
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
            }
        };
        format!("GET {} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n", self.path)
    }

    /// Reads until all messages have come, and checks that they come once and in order.
    async fn follow(&self, mut io: TcpStream, form: Form, crowd: &Crowd) -> Result<(), Failure> {
        let mut received = Vec::new();
        let head = read_until(&mut io, &mut received, b"\r\n\r\n").await?;
        let expected: &[u8] = match form {
            Form::Events => b"HTTP/1.1 200 ",
            Form::WebSocket => b"HTTP/1.1 101 ",
        };
        if !head.starts_with(expected) {
            return Err(String::from_utf8_lossy(&head).into());
        }
        if let Form::Events = form {
            // The first block is the cursor's: from here on it is a subscriber.
            read_until(&mut io, &mut received, b"id: ").await?;
            read_until(&mut io, &mut received, b"\n\n").await?;
        }
        crowd.count(&crowd.joined);
        for number in 0..self.messages {
            let message = self.message(number);
            let before = read_until(&mut io, &mut received, message.as_bytes()).await?;
            // Whatever stands between two messages is short: a frame's head, or an event's id.
            if before.len() > message.len() + 120 {
                return Err(format!("something else came before {number}").into());
            }
            crowd.count(&crowd.got);
        }
        Ok(())
    }

    fn message(&self, number: u64) -> String {
        format!("{number:010}{:x<width$}", "", width = self.bytes.saturating_sub(10))
    }
}

/// Reads up to and with a mark, and returns what that is.
async fn read_until(
    io: &mut TcpStream,
    received: &mut Vec<u8>,
    mark: &[u8],
) -> Result<Vec<u8>, Failure> {
    loop {
        if let Some(at) = received.windows(mark.len()).position(|bytes| bytes == mark) {
            let rest = received.split_off(at + mark.len());
            return Ok(std::mem::replace(received, rest));
        }
        if io.read_buf(received).await? == 0 {
            return Err("the server ended a subscription".into());
        }
    }
}

/// Publishes, one message when all have the one before; returns how long each took to reach all.
async fn publish(
    served: &Served,
    subscriber: &Subscriber,
    crowd: &Crowd,
    subscribers: u64,
) -> Result<Vec<Duration>, Failure> {
    let mut io = TcpStream::connect(&served.address).await?;
    let mut waits = Vec::new();
    let mut received = Vec::new();
    for number in 0..subscriber.messages {
        let message = subscriber.message(number);
        let start = Instant::now();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            subscriber.path,
            message.len()
        );
        io.write_all((request + &message).as_bytes()).await?;
        read_until(&mut io, &mut received, b"}\n").await?;
        crowd.wait(&crowd.got, (number + 1) * subscribers).await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How long all may take to get one message.
const PATIENCE: Duration = Duration::from_secs(60);
