//! The end, amid work of every kind: nothing that was promised is lost, and nothing holds it up for
//! longer than it may.

use std::collections::BTreeSet;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::command::certificate;
use crate::operated::Operated;
use crate::scratch::Scratch;
use crate::support::{CLOSE, Ended, PATIENCE, Raw, Served, TEXT, handshake};

/// Answers a Close frame as clients do.
async fn part(client: &mut Raw) {
    assert_eq!(client.frame().await.unwrap().close_code(), Some(1012));
    client.send(0x80 | CLOSE, &1012u16.to_be_bytes()).await;
    assert_eq!(client.frame().await, None);
}

/// A connection over which one page was had, and which waits for the next request.
async fn kept_alive(served: &Served) -> Raw {
    let mut raw = served.raw().await;
    raw.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 200 "));
    raw
}

fn is_in_order(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("drain.forced"), "{ended:?}");
}

// SIG-001
#[tokio::test]
async fn sigterm_takes_leave_of_all_and_takes_no_websocket_any_more() {
    let mut operated = Operated::start(&["--drain", "3600"]).await;
    let served = &operated.served;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(served.open("/echo").await);
    }
    let mut idle = kept_alive(served).await;
    let mut half = served.raw().await;
    let request = handshake("/echo");
    half.write(&request.as_bytes()[..20]).await;
    // That it is in the server's hands shows by an answer to one who came later.
    drop(kept_alive(served).await);
    served.signal(Signal::TERM);
    // One that waits for its next request is closed.
    assert_eq!(idle.rest().await, b"");
    idle.write(request.as_bytes()).await;
    assert_eq!(idle.rest().await, b"");
    half.write(&request.as_bytes()[20..]).await;
    let refused = half.response().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.to_ascii_lowercase().contains("\r\nretry-after: "), "{refused}");
    // Each thread stops to listen in its next turn; then nobody is let in any more.
    let refused = async { while TcpStream::connect(served.address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("nobody listens any more");
    for client in &mut clients {
        part(client).await;
    }
    drop((clients, idle, half));
    // A thousand leave in a second, so these in a fifth of one.
    let began = operated.logged(" drain.begin ").await;
    assert!(began.contains("connections=200") && began.contains("over=200ms"), "{began}");
    operated.logged(" drain.end ").await;
    assert_eq!(operated.served.end().await.code, Some(0));
}

// SIG-003
#[tokio::test]
async fn sigterm_amid_handshakes_and_fragments_ends_in_order() {
    let served = Served::start(&["serve", "--drain", "3600"]).await;
    let mut half = served.raw().await;
    half.write(b"GET /t/a HTTP/1.1\r\nHo").await;
    let silent = served.raw().await;
    let mut amid = served.open("/t/a").await;
    amid.send(TEXT, b"the first fragment, and ").await;
    let mut other = served.open("/t/a").await;
    other.send(0x80 | TEXT, b"joined").await;
    assert_eq!(other.frame().await.unwrap().text(), "joined");
    served.signal(Signal::TERM);
    // What is complete before the Close frame is answered counts; what is not reaches nobody.
    part(&mut other).await;
    assert_eq!(amid.frame().await.unwrap().text(), "joined");
    part(&mut amid).await;
    drop((half, silent, amid, other));
    is_in_order(&served.end().await);
}

// SIG-003
#[tokio::test]
async fn sigterm_amid_a_tls_handshake_ends_in_order() {
    let scratch = Scratch::new("draining-tls");
    let (cert, key) = certificate();
    let (cert, key) = (scratch.write("cert.pem", &cert), scratch.write("key.pem", &key));
    let args = ["serve", "--drain", "3600", "--tls-cert", &cert, "--tls-key", &key];
    let served = Served::start(&args).await;
    let mut halves = Vec::new();
    for beginning in [&[][..], &[22, 3, 1], &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]] {
        let mut half = served.raw().await;
        half.write(beginning).await;
        halves.push(half);
    }
    served.signal(Signal::TERM);
    // Nobody waits for them: they have been promised nothing.
    is_in_order(&served.end().await);
    for mut half in halves {
        assert_eq!(half.rest().await, b"");
    }
}

/// Opens a WebSocket whose system takes little that it does not read.
async fn slow(served: &Served, path: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut raw = Raw::new(socket.connect(served.address).await.unwrap());
    raw.write(handshake(path).as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    raw
}

// SIG-003
#[tokio::test]
async fn messages_that_were_acknowledged_arrive_before_the_close_frame() {
    let scratch = Scratch::new("draining-queues");
    let served = Served::configured(&scratch, "[limits]\nqueue = 67108864\n").await;
    let (mut reader, mut session) = (slow(&served, "/t/a").await, slow(&served, "/ws").await);
    assert_eq!(session.frame().await.unwrap().json()["type"], "welcome");
    session.send(0x80 | TEXT, br#"{"type":"subscribe","topics":["a"]}"#).await;
    assert_eq!(session.frame().await.unwrap().json()["type"], "ok");
    // More than the system takes of what nobody reads.
    let mut acknowledged = BTreeSet::new();
    for number in 0..150 {
        let text = format!("{number:060000}");
        acknowledged.insert(served.publish("a", &text).await);
    }
    served.signal(Signal::TERM);
    for number in 0..150 {
        assert_eq!(reader.frame().await.unwrap().text(), format!("{number:060000}"));
        let told = session.frame().await.unwrap().json();
        assert_eq!(told["data"].as_str().unwrap().parse(), Ok(number));
        assert!(acknowledged.remove(told["id"].as_str().unwrap()));
    }
    assert!(acknowledged.is_empty());
    part(&mut reader).await;
    part(&mut session).await;
    drop((reader, session));
    is_in_order(&served.end().await);
}

/// A back end that takes questions and never answers one.
struct Mute {
    listener: TcpListener,
    url: String,
}

impl Mute {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// Waits for a question, and leaves its connection open.
    async fn asked(&self) -> TcpStream {
        let mut io = timeout(PATIENCE, self.listener.accept()).await.expect("it asks").unwrap().0;
        assert!(io.read(&mut [0; 64]).await.unwrap() > 0);
        io
    }
}

// SIG-004
#[tokio::test]
async fn work_that_never_returns_is_cut_off_at_the_drain_time_out_and_counted() {
    let scratch = Scratch::new("draining-hangs");
    let (hook, door) = (Mute::start().await, Mute::start().await);
    let hooked = format!(
        "[time]\ndrain = '1s'\n[auth.webhook]\ntimeout = '30s'\n[[topic]]\nmatch = 'ask'\n\
         hook = '{}'\n",
        hook.url
    );
    let config = scratch.write("hook.toml", &hooked);
    let mut operated = Operated::start(&["--config", &config]).await;
    // A request and a message that a hook is asked about, and a client that answers no Close frame.
    let mut request = operated.served.raw().await;
    let head = "POST /t/ask HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n";
    request.write(format!("{head}Content-Length: 2\r\n\r\nhi").as_bytes()).await;
    let first = hook.asked().await;
    let mut asker = operated.served.open("/t/ask").await;
    asker.send(0x80 | TEXT, b"hi").await;
    let second = hook.asked().await;
    let silent = operated.served.open("/t/other").await;
    operated.served.signal(Signal::TERM);
    let forced = operated.logged(" drain.forced ").await;
    assert!(forced.contains("WARN") && forced.contains(" n=3"), "{forced}");
    assert_eq!(operated.served.end().await.code, Some(0));
    drop((request, first, asker, second, silent));

    let guarded = format!(
        "[time]\ndrain = '1s'\n[auth.webhook]\nurl = '{}'\nsecret = '{}'\ntimeout = '30s'\n",
        door.url,
        "s".repeat(32)
    );
    let config = scratch.write("door.toml", &guarded);
    let mut operated = Operated::start(&["--config", &config]).await;
    // Page and program that a back end is asked about.
    let mut program = operated.served.raw().await;
    program.io.write_all(handshake("/t/a").as_bytes()).await.unwrap();
    let first = door.asked().await;
    let mut request = operated.served.raw().await;
    request.write(b"GET /t/a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let second = door.asked().await;
    operated.served.signal(Signal::TERM);
    let forced = operated.logged(" drain.forced ").await;
    assert!(forced.contains(" n=2"), "{forced}");
    assert_eq!(operated.served.end().await.code, Some(0));
    drop((program, first, request, second));
}
