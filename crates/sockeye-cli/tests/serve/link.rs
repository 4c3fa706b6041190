//! The link between server and client goes away, and neither hears of it.

use std::time::Duration;

use sockeye::{Client, CloseCode, Config, Keepalive, WebSocket};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::time::timeout;

use crate::apart::{is_apart, system};
use crate::support::{PATIENCE, Served, receive};

/// A server that tells of its connections, and one of them.
struct Linked {
    _served: Served,
    stderr: BufReader<ChildStderr>,
    ws: WebSocket,
}

impl Linked {
    async fn start(args: &[&str], keepalive: Option<Keepalive>) -> Self {
        let mut served = Served::start(&[&["serve", "--log", "debug"], args].concat()).await;
        let stderr = served.take_stderr();
        let mut config = Config::client();
        config.keepalive = keepalive;
        let client = Client::builder().config(config).build();
        let mut ws = client.request(&format!("ws://{}/echo", served.address)).await.unwrap();
        ws.send("through").await.unwrap();
        assert_eq!(receive(&mut ws).await.as_bytes(), b"through");
        Self { _served: served, stderr, ws }
    }

    /// Waits for an event in the server's log.
    async fn logs(&mut self, event: &str) {
        let reading = async {
            let mut line = String::new();
            while !line.contains(event) {
                line.clear();
                assert!(self.stderr.read_line(&mut line).await.unwrap() > 0, "no {event}");
            }
        };
        timeout(PATIENCE, reading).await.expect("it is noticed");
    }

    /// Waits for the client to notice, and returns what it says.
    async fn fails(&mut self) -> String {
        let error = timeout(PATIENCE, self.ws.recv()).await.expect("it is noticed").unwrap_err();
        assert_eq!(error.close_info().unwrap().code, CloseCode::ABNORMAL);
        error.to_string()
    }
}

// LIM-002
#[test]
fn link_that_went_away_is_noticed_by_pings_or_by_data_that_nobody_acknowledges() {
    const NAME: &str =
        "link::link_that_went_away_is_noticed_by_pings_or_by_data_that_nobody_acknowledges";
    if !is_apart(NAME, &["--net"]) {
        return;
    }
    system("ip", &["link", "set", "lo", "up"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let second = Duration::from_secs(1);
        let pings = Keepalive::new(second, second);
        let mut idle =
            Linked::start(&["--time-ping", "1s", "--time-pong", "1s"], Some(pings)).await;
        // The server's ping is data under way, for whose answer it would wait five minutes.
        let mut busy = Linked::start(&["--time-ping", "1s", "--time-pong", "5m"], None).await;
        system("ip", &["link", "set", "lo", "down"]);
        busy.ws.send("lost").await.unwrap();
        assert_eq!(idle.fails().await, "ping timeout");
        idle.logs("ws.ping_timeout").await;
        let error = busy.fails().await;
        assert!(error.starts_with("connection lost: Connection timed out"), "{error}");
        busy.logs("ws.closed").await;
    });
}
