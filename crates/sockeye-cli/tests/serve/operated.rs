//! A server with an admin's listener, its log, and a client of plain HTTP.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, Served, command, tells_of_panic};

/// A key of the HTTP API.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A server that is operated.
pub(crate) struct Operated {
    pub(crate) served: Served,
    pub(crate) admin: SocketAddr,
    log: mpsc::UnboundedReceiver<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the name of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Operated {
    /// Starts `sockeye serve` with these arguments, and an admin's listener on loop-back.
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::with_environment(args, &[]).await
    }

    pub(crate) async fn with_environment(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0"]);
        let admin: &[&str] =
            if args.contains(&"--admin") { &[] } else { &["--admin", "127.0.0.1:0"] };
        command.args(admin).args(args).envs(env.iter().copied());
        let mut served = Served::spawn(&mut command).await;
        let mut stderr = served.take_stderr();
        let (lines, mut log) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut line = String::new();
            while stderr.read_line(&mut line).await.is_ok_and(|count| count > 0) {
                let _ = lines.send(std::mem::take(&mut line));
            }
        });
        let started = logged(&mut log, " server.started ").await;
        let admin = started.split("admin=").nth(1).expect(&started);
        let admin = admin.trim().trim_matches('"').trim_start_matches("http://");
        let admin = admin.split(['"', ' ']).next().unwrap().parse().expect(&started);
        Self { served, admin, log }
    }

    /// Waits for a line of the log.
    pub(crate) async fn logged(&mut self, wanted: &str) -> String {
        logged(&mut self.log, wanted).await
    }

    /// Asks the admin's listener.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        self.send(method, target, headers, "").await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }

    pub(crate) async fn post(&self, target: &str, json: &Value) -> Answer {
        self.send("POST", target, &["Content-Type: application/json"], &json.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        request(self.admin, method, target, headers, body).await
    }

    /// Asks for all clients.
    pub(crate) async fn clients(&self) -> Vec<Value> {
        self.get("/clients").await.json()["clients"].as_array().unwrap().clone()
    }

    /// Waits until there are so many clients, and lists them.
    pub(crate) async fn until_clients(&self, count: usize) -> Vec<Value> {
        let turns = async {
            loop {
                let clients = self.clients().await;
                if clients.len() == count {
                    return clients;
                }
            }
        };
        timeout(PATIENCE, turns).await.expect("they come and go")
    }
}

async fn logged(log: &mut mpsc::UnboundedReceiver<String>, wanted: &str) -> String {
    let looking = async {
        loop {
            let line = log.recv().await.expect(wanted);
            assert!(!tells_of_panic(&line), "{line}");
            if line.contains(wanted) {
                return line;
            }
        }
    };
    timeout(PATIENCE, looking).await.expect(wanted)
}

/// Sends one request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap());
    let host = if headers.iter().any(|header| header.starts_with("Host: ")) {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n\
         {lines}\r\n"
    );
    raw.write(head.as_bytes()).await;
    raw.write(body.as_bytes()).await;
    let text = String::from_utf8(raw.rest().await).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
