//! Requests that mean something else than one WebSocket.

use std::sync::{Arc, Mutex};

use sockeye::{Config, ErrorKind, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{From, REQUEST, Raw, TEXT, echo, raw_client, start};

// HSS-045
#[tokio::test]
async fn a_second_request_behind_the_upgrade_is_read_as_frames_and_never_answered() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = seen.clone();
    let server = Server::bind("127.0.0.1:0").route("/", move |mut ws, _| {
        let tell = tell.clone();
        async move {
            let (first, second) = (ws.recv().await, ws.recv().await);
            tell.lock().unwrap().push((first, second));
            Ok(())
        }
    });
    let address = start(server).await;
    let other = "GET /other HTTP/1.1\r\nHost: x\r\n\r\n";
    for second in [REQUEST, other] {
        for in_one_segment in [true, false] {
            let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
            if in_one_segment {
                raw.write(&[REQUEST, second].concat().into_bytes()).await;
                assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
            } else {
                raw.write(REQUEST.as_bytes()).await;
                assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
                raw.write(second.as_bytes()).await;
            }
            let close = raw.frame().await.unwrap();
            assert_eq!(close.close_code(), Some(1002));
            let reason = &close.payload[2..];
            assert!(reason.len() <= 123 && reason.is_ascii());
            assert_eq!(raw.rest().await, b"");
        }
    }
    while seen.lock().unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    for (first, second) in seen.lock().unwrap().drain(..) {
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(second.unwrap(), None);
    }
}

/// What `curl --http2` sends, and software that thinks the same way.
const H2C: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
    Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n";

// HSS-008
#[tokio::test]
async fn an_upgrade_to_h2c_is_refused_and_a_reset_right_after_it_harms_nobody() {
    let address = start(echo(Config::server()).max_connections(8)).await;
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(H2C.as_bytes()).await;
    let answer = String::from_utf8(raw.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close"), "{answer}");

    // More of them than may be open at a time: each gives its place back.
    let mut other = raw_client(address).await;
    for _ in 0..50 {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(H2C.as_bytes()).await.unwrap();
        tcp.set_zero_linger().unwrap();
    }
    other.send(TEXT, b"still there").await;
    assert_eq!(other.frame().await.unwrap().payload, b"still there");
    loop {
        let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
        raw.write(REQUEST.as_bytes()).await;
        if raw.head().await.starts_with("HTTP/1.1 101 ") {
            return;
        }
    }
}
