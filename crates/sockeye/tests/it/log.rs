//! The events of the feature `tracing`, as a subscriber sees them.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sockeye::{Acceptor, CloseCode, Config, Keepalive};
use tokio::io::{AsyncWriteExt, duplex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

use crate::handshake::{ask, assert_one_response};
use crate::support::{From, REQUEST, Raw, TEXT, echo, raw_client, start, whole, with_raw};

/// What was logged on this thread, where the runtime of a test has all its tasks: level, event and
/// fields.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// Returns the events that contain `part`.
    pub(crate) fn with(&self, part: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|event| event.contains(part)).cloned().collect()
    }

    /// Waits until an event contains `part`, and returns it.
    pub(crate) async fn wait(&self, part: &str) -> String {
        loop {
            if let Some(event) = self.with(part).pop() {
                return event;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}").unwrap(),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

fn panics<T>() -> T {
    std::panic::resume_unwind(Box::new("on purpose"))
}

#[tokio::test]
async fn a_panic_is_logged_with_its_stage_and_the_server_goes_on() {
    let (log, _guard) = Log::start();
    let hooked = echo(Config::server()).authorize(|_| async { panics() });
    assert_one_response(&ask(start(hooked).await, REQUEST.as_bytes()).await, 500);
    assert!(log.with("ERROR handler.panic")[0].contains(" stage=\"handshake\""));
    assert!(log.with("handshake.rejected")[0].contains(" status=500 reason=\"hook_panic\""));

    let server = echo(Config::server())
        .route("/early", |_, _| async { panics() })
        .route("/late", |mut ws, _| async move {
            ws.recv().await?;
            panics()
        })
        .route("/at-once", |_, _| -> std::future::Ready<_> { panics() });
    let address = start(server).await;
    for (count, path) in ["early", "late", "at-once"].into_iter().enumerate() {
        let mut raw =
            Raw::new(tokio::net::TcpStream::connect(address).await.unwrap(), From::Client);
        raw.write(REQUEST.replace("GET / ", &format!("GET /{path} ")).as_bytes()).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        raw.send(TEXT, b"go").await;
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(1011));
        assert_eq!(log.with("handler.panic stage=\"handler\"").len(), count + 1);
    }
    raw_client(address).await;
}

#[tokio::test]
async fn a_failed_connection_is_logged_once_at_either_end() {
    for peer in [From::Client, From::Server] {
        let (log, _guard) = Log::start();
        let (mut ws, mut raw) = with_raw(peer, Config::server(), 4096).await;
        assert_eq!(log.with("DEBUG ws.opened").len(), 1);
        raw.write(&whole(peer, TEXT, b"\xff")).await;
        assert!(ws.recv().await.is_err());
        assert_eq!(ws.recv().await.unwrap(), None);
        assert!(ws.send("after").await.is_err());
        drop(ws);
        drop(raw);
        log.wait("DEBUG ws.closed").await;
        let failed = log.with("INFO");
        assert_eq!(failed, ["INFO ws.failed code=1007 reason=text that is not UTF-8"]);
        assert_eq!(log.with("ws.closed").len(), 1);
    }
}

#[tokio::test]
async fn an_end_that_is_nobody_s_fault_is_told_at_level_debug() {
    let (log, _guard) = Log::start();
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 4096).await;
    let closing = tokio::spawn(ws.close(CloseCode::AWAY, "bye\u{202e}"));
    let frame = raw.frame().await.unwrap();
    raw.send(8, &frame.payload).await;
    drop(raw);
    closing.await.unwrap().unwrap();
    let (mut ws, raw) = with_raw(From::Client, Config::server(), 4096).await;
    drop(raw);
    assert!(ws.recv().await.is_err());
    drop(ws);
    let (ws, _raw) = with_raw(From::Client, Config::server(), 4096).await;
    ws.abort();
    let all = log.with("");
    assert!(all.iter().all(|event| event.starts_with("DEBUG ")), "{all:?}");
    let closed = log.with("ws.closed");
    assert_eq!(closed.len(), 3, "{closed:?}");
    let escaped = r#" code=1001 reason="bye\\xe2\\x80\\xae" clean=true by="local""#;
    assert!(closed[0].ends_with(escaped), "{closed:?}");
    assert!(closed[1].contains(" code=1006 ") && closed[2].contains(" code=1006 "), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_pings_is_logged_as_such() {
    let (log, _guard) = Log::start();
    let mut config = Config::server();
    config.keepalive = Some(Keepalive::new(Duration::from_secs(25), Duration::from_secs(10)));
    let (mut ws, _raw) = with_raw(From::Client, config, 4096).await;
    assert!(ws.recv().await.is_err());
    assert_eq!(log.with("INFO"), ["INFO ws.ping_timeout"]);
}

#[tokio::test]
async fn a_refusal_is_logged_wherever_a_handshake_comes_from() {
    let (log, _guard) = Log::start();
    let (ours, mut theirs) = duplex(4096);
    let request =
        REQUEST.replace("Host: x", "Host: x\r\nOrigin: http://evil.example\r\nUser-Agent: a b");
    theirs.write_all(request.as_bytes()).await.unwrap();
    theirs.shutdown().await.unwrap();
    assert!(Acceptor::new().accept(ours).await.is_err());
    let expected = "INFO handshake.rejected status=403 reason=\"origin\" path=\"/\" \
        origin=\"http://evil.example\" user_agent=\"a b\"";
    assert_eq!(log.with("handshake.rejected"), [expected]);
}
