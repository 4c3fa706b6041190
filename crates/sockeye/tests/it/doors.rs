//! The door before a handshake: how many may wait in it, and what does not belong there.

use std::net::SocketAddr;
use std::time::Duration;

use sockeye::Config;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::handshake::{ask, assert_one_response, assert_retry_after};
use crate::support::{From, REQUEST, Raw, echo, raw_client, start};

/// Connects and says nothing.
async fn wait_at(address: SocketAddr, count: usize) -> Vec<Raw<TcpStream>> {
    let mut waiting = Vec::new();
    for _ in 0..count {
        waiting.push(Raw::new(TcpStream::connect(address).await.unwrap(), From::Client));
    }
    waiting
}

/// Reads what comes without a request.
async fn unasked(address: SocketAddr) -> String {
    let mut raw = wait_at(address, 1).await.remove(0);
    String::from_utf8(raw.rest().await).unwrap()
}

async fn shake(raw: &mut Raw<TcpStream>) {
    raw.write(REQUEST.as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
}

/// Waits until there is room again: the server notices the end of a handshake a moment later.
async fn enters(address: SocketAddr) {
    loop {
        let mut raw = wait_at(address, 1).await.remove(0);
        raw.write(REQUEST.as_bytes()).await;
        if raw.head().await.starts_with("HTTP/1.1 101 ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// HSS-077, LIM-012
#[tokio::test]
async fn the_65th_pending_handshake_of_an_address_is_answered_429_with_retry_after() {
    // The default, but for clients on this machine too.
    let address = start(echo(Config::server()).max_pending_handshakes_per_ip(64)).await;
    // Those that are open do not count.
    let mut open = Vec::new();
    for _ in 0..70 {
        open.push(raw_client(address).await);
    }
    let mut waiting = wait_at(address, 64).await;
    let answer = unasked(address).await;
    assert_one_response(&answer, 429);
    assert_retry_after(&answer);
    // The 64 are served, whose places are free then.
    for raw in &mut waiting {
        shake(raw).await;
    }
    enters(address).await;
    // Those that go away without a word make room too.
    let waiting = wait_at(address, 64).await;
    assert_one_response(&unasked(address).await, 429);
    drop(waiting);
    enters(address).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_address_is_not_in_the_way_of_one_that_has_all_its_places() {
    let address = start(echo(Config::server()).max_pending_handshakes_per_ip(2)).await;
    let _waiting = wait_at(address, 2).await;
    assert_one_response(&unasked(address).await, 429);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Raw::new(socket.connect(address).await.unwrap(), From::Client);
    shake(&mut other).await;
}

#[tokio::test]
async fn a_handshake_beyond_the_bound_in_all_is_answered_503_with_retry_after() {
    let address = start(echo(Config::server()).max_pending_handshakes(3)).await;
    let mut waiting = wait_at(address, 3).await;
    let answer = unasked(address).await;
    assert_one_response(&answer, 503);
    assert_retry_after(&answer);
    for raw in &mut waiting {
        shake(raw).await;
    }
    enters(address).await;
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_handshake_too_many_is_dropped_where_tls_is_expected() {
    let server = echo(Config::server()).tls(crate::tls::any_certificate());
    let address = start(server.max_pending_handshakes(2)).await;
    let _waiting = wait_at(address, 2).await;
    assert_eq!(unasked(address).await, "");
}

#[tokio::test]
async fn a_client_that_speaks_tls_to_a_plain_port_is_answered_400_and_closed() {
    let address = start(echo(Config::server())).await;
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.resize(517, 0x5a);
    for cut in [1, 5, 517] {
        let mut raw = wait_at(address, 1).await.remove(0);
        raw.write(&hello[..cut]).await;
        let answer = String::from_utf8(raw.rest().await).unwrap();
        assert_one_response(&answer, 400);
        assert!(answer.contains("TLS"), "{answer}");
    }
    raw_client(address).await;
}

// HSS-047
#[tokio::test]
async fn a_proxy_that_tunnels_after_any_answer_gets_no_tunnel_behind_a_refusal() {
    let address = start(echo(Config::server())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(address).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let refused = REQUEST.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 777");
    let smuggled = "GET /internal HTTP/1.1\r\nHost: x\r\n\r\n";
    // Behind the request at once, and after the answer.
    assert_one_response(&ask(proxy, (refused.clone() + smuggled + REQUEST).as_bytes()).await, 426);
    let mut raw = wait_at(proxy, 1).await.remove(0);
    raw.write(refused.as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
    raw.write(smuggled.as_bytes()).await;
    let rest = String::from_utf8(raw.rest().await).unwrap();
    assert!(!rest.contains("HTTP/1.1"), "{rest}");
    raw_client(proxy).await;
}
