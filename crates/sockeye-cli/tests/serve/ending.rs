//! Stopping: what clients are told, and how long that may take.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::support::{CLOSE, Served, TEXT};

#[tokio::test]
async fn told_to_stop_it_closes_every_websocket_with_1012_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        for (name, path) in [("serve", "/t/x"), ("serve", "/echo"), ("echo", "/")] {
            let served = Served::start(&[name]).await;
            let mut clients = Vec::new();
            for _ in 0..3 {
                clients.push(served.open(path).await);
            }
            served.signal(signal);
            for client in &mut clients {
                assert_eq!(client.frame().await.unwrap().close_code(), Some(1012));
                client.send(0x80 | CLOSE, &1012u16.to_be_bytes()).await;
                assert_eq!(client.frame().await, None);
            }
            // A client that keeps its half open would be waited for.
            drop(clients);
            let address = served.address;
            let ended = served.end().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!(ended.stdout, "");
            // It tells of its life, and nothing that went wrong.
            assert!(ended.stderr.lines().all(|line| line.contains("Z INFO ")), "{ended:?}");
            assert!(TcpStream::connect(address).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_holds_the_end_up_no_longer_than_the_drain() {
    let served = Served::start(&["serve", "--drain", "1"]).await;
    // One that never answers the Close frame, one that waits for a second page, one that has not
    // finished its request.
    let mut silent = served.open("/t/x").await;
    silent.send(0x80 | TEXT, b"joined").await;
    assert_eq!(silent.frame().await.unwrap().payload, b"joined");
    let mut idle = served.raw().await;
    idle.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    idle.response().await;
    let mut half = served.raw().await;
    half.write(b"GET /t/x HT").await;
    let start = Instant::now();
    served.signal(Signal::TERM);
    let ended = served.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(silent.frame().await.unwrap().close_code(), Some(1012));
    drop((idle, half));
}

#[tokio::test]
async fn without_clients_the_end_is_at_once() {
    for name in ["serve", "echo"] {
        let served = Served::start(&[name]).await;
        let start = Instant::now();
        served.signal(Signal::TERM);
        assert_eq!(served.end().await.code, Some(0));
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}
