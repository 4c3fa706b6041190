//! A server that is killed under load: whoever comes back with its cursor misses nothing untold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, Served, TEXT, command, handshake_with};

/// What a client was given, in order.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Number(u32),
    Gap,
}

/// A client that comes back whenever its connection ends.
struct Client {
    address: SocketAddr,
    cursor: Option<String>,
    got: Vec<Got>,
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Events,
    Lines,
    Poll,
    WebSocket,
}

/// The number after which clients leave.
const LAST: u32 = LIVES * A_LIFE;

/// How often the server is killed, and what is published in each of its lives.
const LIVES: u32 = 4;
const A_LIFE: u32 = 400;

impl Client {
    /// Follows the topic over a transport until the last number has come.
    async fn follow(mut self, transport: Transport) -> Vec<Got> {
        while self.got.last() != Some(&Got::Number(LAST)) {
            // Between two lives of the server nobody listens.
            let Ok(io) = TcpStream::connect(self.address).await else {
                tokio::task::yield_now().await;
                continue;
            };
            match transport {
                Transport::Events => self.stream(io, "text/event-stream").await,
                Transport::Lines => self.stream(io, "application/x-ndjson").await,
                Transport::Poll => self.poll(io).await,
                Transport::WebSocket => self.session(io).await,
            };
        }
        self.got
    }

    fn target(&self) -> String {
        let since = self.cursor.as_ref().map(|id| format!("?since={id}"));
        format!("/t/a{}", since.unwrap_or_default())
    }

    /// Takes an object of one of the JSON forms.
    fn take(&mut self, object: &Value) {
        match object["type"].as_str() {
            Some("message") => {
                let number = object["data"].as_str().unwrap().parse().unwrap();
                self.got.push(Got::Number(number));
            }
            Some("gap") => self.got.push(Got::Gap),
            _ => {}
        }
        // Gaps come before the cursor behind them, and have none of their own.
        if let Some(id) = object["id"].as_str() {
            self.cursor = Some(id.to_owned());
        }
    }

    fn is_done(&self) -> bool {
        self.got.last() == Some(&Got::Number(LAST))
    }

    async fn stream(&mut self, io: TcpStream, accept: &str) -> Option<()> {
        let mut io = BufReader::new(io);
        let request =
            format!("GET {} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n", self.target());
        io.write_all(request.as_bytes()).await.ok()?;
        let (mut id, mut event, mut data) = (None, String::new(), String::new());
        while !self.is_done() {
            let mut line = String::new();
            let read =
                timeout(PATIENCE, io.read_line(&mut line)).await.expect("it goes on").ok()?;
            // One that is cut is none.
            if read == 0 || !line.ends_with('\n') {
                return None;
            }
            let line = line.trim_end();
            if line.starts_with('{') {
                self.take(&serde_json::from_str(line).unwrap());
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("event: ") {
                event = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = text.to_owned();
            } else if line.is_empty() {
                match (event.as_str(), data.as_str()) {
                    ("gap", _) => self.got.push(Got::Gap),
                    (_, "") => {}
                    (_, number) => self.got.push(Got::Number(number.parse().unwrap())),
                }
                self.cursor = id.take().or(self.cursor.take());
                (event, data) = Default::default();
            }
        }
        Some(())
    }

    async fn poll(&mut self, io: TcpStream) -> Option<()> {
        let mut raw = Raw::new(io);
        while !self.is_done() {
            let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", self.target());
            raw.io.write_all(request.as_bytes()).await.ok()?;
            let answer = raw.try_response().await?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            if let Ok(Value::Array(objects)) = serde_json::from_str(body) {
                objects.iter().for_each(|object| self.take(object));
            }
            let tag = head.lines().find_map(|line| line.strip_prefix("etag: "))?;
            self.cursor = Some(tag.trim_matches('"').to_owned());
        }
        Some(())
    }

    async fn session(&mut self, io: TcpStream) -> Option<()> {
        let mut raw = Raw::new(io);
        raw.io.write_all(handshake_with("/ws", &[]).as_bytes()).await.ok()?;
        raw.try_head().await?;
        let welcome = raw.frame().await?.json();
        let since = self.cursor.clone().map_or(welcome["id"].clone(), Value::String);
        let subscribe =
            serde_json::json!({"type": "subscribe", "topics": ["a"], "since": since}).to_string();
        raw.send(0x80 | TEXT, subscribe.as_bytes()).await;
        // The answer's cursor counts once all that it announces has come.
        let answer = raw.frame().await?.json();
        let announced = |name: &str| answer[name].as_u64().unwrap();
        for _ in 0..announced("gaps") + announced("messages") {
            let frame = raw.frame().await?.json();
            self.take(&frame);
        }
        self.cursor = answer["id"].as_str().map(str::to_owned);
        while !self.is_done() {
            let frame = raw.frame().await?;
            if frame.opcode() == TEXT {
                self.take(&frame.json());
            }
        }
        Some(())
    }
}

/// Publishes numbers as fast as they are taken, until it is told to stop.
async fn publish(address: SocketAddr, next: Arc<AtomicU32>, until: u32) {
    while next.load(Ordering::Relaxed) < until {
        let Ok(io) = TcpStream::connect(address).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut raw = Raw::new(io);
        while next.load(Ordering::Relaxed) < until {
            // One whose answer was lost may have been published: it is not used again.
            let number = next.fetch_add(1, Ordering::Relaxed);
            if put(&mut raw, number).await.is_none() {
                break;
            }
        }
    }
}

async fn put(raw: &mut Raw, number: u32) -> Option<String> {
    let text = number.to_string();
    let request = format!(
        "POST /t/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    raw.io.write_all(request.as_bytes()).await.ok()?;
    raw.try_response().await
}

// SIG-005, REC-009, REC-010
#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_comes_back_and_every_client_gets_all_or_is_told() {
    let mut served = Served::start(&["serve"]).await;
    let address = served.address;
    let mut clients = JoinSet::new();
    for transport in
        [Transport::Events, Transport::Lines, Transport::Poll, Transport::WebSocket].repeat(8)
    {
        let client = Client { address, cursor: None, got: Vec::new() };
        clients.spawn(async move { (transport, client.follow(transport).await) });
    }
    let next = Arc::new(AtomicU32::new(0));
    for life in 1..=LIVES {
        let until = life * A_LIFE;
        // In the midst of publishing.
        let publishing = tokio::spawn(publish(address, next.clone(), until));
        while next.load(Ordering::Relaxed) < until - A_LIFE / 2 {
            tokio::task::yield_now().await;
        }
        served.kill().await;
        let listen = address.to_string();
        served = Served::spawn(command(&["serve"]).args(["--listen", &listen])).await;
        publishing.await.unwrap();
    }
    let mut raw = served.raw().await;
    put(&mut raw, LAST).await.unwrap();
    while let Some(ended) = clients.join_next().await {
        let (transport, got) = ended.unwrap();
        let mut last = None;
        let mut may_miss = true;
        for one in &got {
            match one {
                Got::Gap => may_miss = true,
                Got::Number(number) => {
                    let follows = last.is_none_or(|last| last + 1 == *number);
                    let is_new = last.is_none_or(|last| last < *number);
                    assert!(is_new, "{transport:?}: {number} after {last:?} in {got:?}");
                    assert!(follows || may_miss, "{transport:?}: {number} after {last:?}");
                    (last, may_miss) = (Some(*number), false);
                }
            }
        }
        let gaps = got.iter().filter(|one| **one == Got::Gap).count();
        assert!(gaps >= 4, "{transport:?}: each life ends the last one's cursors: {gaps}");
    }
}
