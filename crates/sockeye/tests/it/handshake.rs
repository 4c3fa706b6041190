//! What a server answers to requests that it refuses, and clients to what servers answer.

use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use sockeye::{Acceptor, Client, Config, ErrorKind, Rejection, Server, connect};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{From, REQUEST, Raw, Script, TEXT, answer, echo, raw_client, start, whole};

/// Sends `request` and returns all of the answer.
pub(crate) async fn ask(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(request).await;
    String::from_utf8(raw.rest().await).unwrap()
}

/// Checks that there is one response, whole and last.
pub(crate) fn assert_one_response(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nconnection: close"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(length.parse(), Ok(body.len()));
}

// HSS-044
#[tokio::test]
async fn a_frame_in_the_same_segment_as_the_request_is_received() {
    let address = start(echo(Config::server())).await;
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    let bytes = [REQUEST.as_bytes(), &whole(From::Client, TEXT, b"early")].concat();
    raw.write(&bytes).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame().await.unwrap().payload, b"early");
}

// HSS-046
#[tokio::test]
async fn a_request_behind_a_refused_one_is_not_looked_at() {
    let address = start(echo(Config::server())).await;
    let refused = REQUEST.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 7");
    let answer = ask(address, (refused + REQUEST).as_bytes()).await;
    assert_one_response(&answer, 426);
}

// HSS-086
#[tokio::test]
async fn a_refusal_arrives_whatever_was_sent_behind_the_request() {
    let address = start(echo(Config::server())).await;
    let cases = [
        (REQUEST.replace("GET", "POST"), 405),
        (REQUEST.replace("GET / ", "GET /nowhere "), 404),
        (REQUEST.replace("Host: x\r\n", ""), 400),
        (REQUEST.replace("Upgrade: websocket\r\n", ""), 426),
        (REQUEST.replace("Host: x\r\n", "Host: x\r\nOrigin: http://evil.example\r\n"), 403),
        (REQUEST.replace("Host: x\r\n", &format!("Host: x\r\nA: {}\r\n", "a".repeat(17_000))), 431),
        (REQUEST.replace("HTTP/1.1", "HTTP/2.0"), 505),
    ];
    for (request, status) in cases {
        let bytes = [request.as_bytes(), &[b'x'; 100_000]].concat();
        assert_one_response(&ask(address, &bytes).await, status);
    }
    raw_client(address).await;
}

fn hooked<F, Fut>(hook: F) -> Server
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Rejection>> + Send + 'static,
{
    let mut config = Config::server();
    config.timeouts.handshake = Duration::from_millis(50);
    echo(config).authorize(move |_| hook())
}

// HSS-053
#[tokio::test]
async fn a_hook_that_panics_is_answered_500_and_the_server_lives() {
    let server = hooked(|| async { std::panic::resume_unwind(Box::new("in the hook's future")) });
    let address = start(server).await;
    for _ in 0..3 {
        assert_one_response(&ask(address, REQUEST.as_bytes()).await, 500);
    }
    let server = echo(Config::server())
        .authorize(|_| -> std::future::Ready<_> { std::panic::resume_unwind(Box::new("hook")) });
    assert_one_response(&ask(start(server).await, REQUEST.as_bytes()).await, 500);
}

// HSS-054
#[tokio::test]
async fn a_hook_that_takes_too_long_is_answered_503_and_dropped() {
    struct OnDrop(std::sync::Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let dropped = std::sync::Arc::new(Notify::new());
    let notify = dropped.clone();
    let server = hooked(move || {
        let guard = OnDrop(notify.clone());
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    assert_one_response(&ask(start(server).await, REQUEST.as_bytes()).await, 503);
    dropped.notified().await;
}

// HSS-055
#[tokio::test]
async fn a_refusal_by_the_hook_is_passed_on_with_its_headers_and_body() {
    let server = hooked(|| async {
        let rejection = Rejection::new(401, "Sign in.\n").header("WWW-Authenticate", "Bearer");
        Err(rejection.unwrap().body("{}"))
    });
    let answer = ask(start(server).await, REQUEST.as_bytes()).await;
    assert_one_response(&answer, 401);
    assert!(answer.to_ascii_lowercase().contains("\r\nwww-authenticate: bearer\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{}"));
}

// HSS-076
#[tokio::test]
async fn a_full_server_answers_503_with_retry_after_and_goes_on_accepting() {
    let address = start(echo(Config::server()).max_connections(1)).await;
    let mut first = raw_client(address).await;
    let answer = ask(address, REQUEST.as_bytes()).await;
    assert_one_response(&answer, 503);
    assert_retry_after(&answer);
    first.io.shutdown().await.unwrap();
    assert!(first.rest().await.is_empty());
    while ask_status(address).await != 101 {}
}

async fn ask_status(address: std::net::SocketAddr) -> u16 {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(REQUEST.as_bytes()).await;
    raw.head().await[9..12].parse().unwrap()
}

pub(crate) fn assert_retry_after(answer: &str) {
    let answer = answer.to_ascii_lowercase();
    let seconds = answer.split("retry-after: ").nth(1).unwrap().lines().next().unwrap();
    assert!((1..=10).contains(&seconds.parse::<u32>().unwrap()), "{answer}");
}

// HSS-083
#[tokio::test]
async fn clients_that_reset_after_their_request_harm_nobody() {
    let address = start(echo(Config::server()).max_connections(8)).await;
    for _ in 0..50 {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(REQUEST.as_bytes()).await.unwrap();
        tcp.set_zero_linger().unwrap();
    }
    while ask_status(address).await != 101 {}
}

// HSS-084
#[tokio::test]
async fn a_client_that_closes_its_sending_side_gets_the_101_and_the_end_is_1006() {
    let (ours, theirs) = duplex(1 << 10);
    let mut raw = Raw::new(theirs, From::Client);
    raw.write(REQUEST.as_bytes()).await;
    raw.io.shutdown().await.unwrap();
    let (mut ws, _) = Acceptor::new().accept(ours).await.unwrap();
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    let error = ws.recv().await.unwrap_err();
    assert_eq!(error.close_info().unwrap().code.get(), 1006);
}

// HSC-002
#[tokio::test]
async fn an_answer_that_is_not_101_is_given_to_the_caller() {
    for status in [200, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503] {
        let (ours, theirs) = duplex(1 << 20);
        let mut raw = Raw::new(theirs, From::Server);
        let body = "b".repeat(100_000);
        let text = format!(
            "HTTP/1.1 {status} Text\r\nRetry-After: 7\r\nLocation: ws://y/\r\n\
             Content-Length: 100000\r\n\r\n{body}"
        );
        let serve = async {
            raw.head().await;
            raw.write(text.as_bytes()).await;
        };
        let (opened, ()) = tokio::join!(Client::default().request("ws://x/").over(ours), serve);
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        let response = error.response().unwrap();
        assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.body().len(), 64 << 10);
    }
}

// HSC-016
#[tokio::test]
async fn an_endless_head_ends_at_the_limit() {
    let many = "A: b\r\n".repeat(101);
    let long = format!("A: {}\r\n", "b".repeat(17 << 10));
    let endless = "A: b\r\n".repeat(1 << 16);
    for headers in [many, long, endless] {
        let script = Script::new();
        script.allow_write(usize::MAX);
        script.allow_read(usize::MAX);
        script.push(format!("HTTP/1.1 101 Switching Protocols\r\n{headers}").as_bytes());
        let before = script.unread();
        let error = Client::default().request("ws://x/").over(script.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(before - script.unread() <= 32 << 10);
    }
}

// HSC-019
#[tokio::test]
async fn the_end_of_the_stream_at_any_byte_of_the_answer_is_an_error() {
    for cut in 0..answer(REQUEST.as_bytes()).len() {
        let script = Script::new();
        script.allow_write(usize::MAX);
        let mut opening = Box::pin(Client::default().request("ws://x/").over(script.clone()));
        assert!((&mut opening).now_or_never().is_none());
        script.push(&answer(&script.written())[..cut]);
        script.allow_read(usize::MAX);
        script.end();
        assert_eq!(opening.await.unwrap_err().kind(), ErrorKind::Handshake, "cut at {cut}");
    }
}

// HSC-020
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_http_is_refused_at_once() {
    let banners: [&[u8]; 4] = [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"<!DOCTYPE html><html>\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x93\x00\xff\x17\x80\x01\x02\x03\x04\x05\x06\x07",
    ];
    for banner in banners {
        let script = Script::new();
        script.allow_write(usize::MAX);
        script.allow_read(usize::MAX);
        script.push(banner);
        let start = tokio::time::Instant::now();
        let error = Client::default().request("ws://x/").over(script).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{banner:?}");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test]
async fn an_address_that_refuses_is_a_failure_to_connect() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = connect(&format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_transient());
}
