//! Whose connection it is, when proxies and load balancers stand in between.

use std::net::SocketAddr;
use std::time::Duration;

use sockeye::{Config, ForwardedHeader, Network, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::handshake::{assert_one_response, assert_retry_after};
use crate::support::{From, REQUEST, Raw, echo, start};

/// A server that tells each client its address and stays with it.
fn mirror() -> Server {
    Server::bind("127.0.0.1:0").route("/", |mut ws, request| async move {
        assert_eq!(ws.peer_addr(), request.peer_addr());
        ws.send(request.peer_addr().unwrap().to_string()).await?;
        ws.recv().await.map(drop)
    })
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

async fn dial(address: SocketAddr) -> Raw<TcpStream> {
    Raw::new(TcpStream::connect(address).await.unwrap(), From::Client)
}

/// Asks with more headers.
fn with(headers: &str) -> String {
    REQUEST.replace("Host: x\r\n", &format!("Host: x\r\n{headers}"))
}

/// Sends bytes that end in a handshake and returns the address that the server sees.
async fn seen(address: SocketAddr, bytes: &[u8]) -> (String, SocketAddr) {
    let mut raw = dial(address).await;
    let own = raw.io.local_addr().unwrap();
    raw.write(bytes).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (String::from_utf8(raw.frame().await.unwrap().payload).unwrap(), own)
}

// HSS-072
#[tokio::test]
async fn what_an_untrusted_peer_tells_of_addresses_counts_for_nothing() {
    let other = networks(&["192.0.2.0/24"]);
    for server in [mirror(), mirror().trusted_proxies(ForwardedHeader::XForwardedFor, other)] {
        // Nobody's handshake ends while the hook thinks.
        let thinking = |request: &sockeye::Incoming| {
            let thinks = request.header("think").is_some();
            async move {
                if thinks {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        let address = start(server.authorize(thinking).max_pending_handshakes_per_ip(1)).await;
        for lie in ["X-Forwarded-For: 198.51.100.7\r\n", "Forwarded: for=198.51.100.7\r\n"] {
            let (told, own) = seen(address, with(lie).as_bytes()).await;
            assert_eq!(told, own.to_string());
        }
        let mut first = dial(address).await;
        first.write(with("Think: a\r\nX-Forwarded-For: 198.51.100.1\r\n").as_bytes()).await;
        let mut second = dial(address).await;
        second.write(with("X-Forwarded-For: 198.51.100.2\r\n").as_bytes()).await;
        assert!(second.head().await.starts_with("HTTP/1.1 429 "));
    }
}

// HSS-073
#[tokio::test]
async fn the_right_most_untrusted_address_is_the_clients_for_handlers_and_limits() {
    let trusted = networks(&["127.0.0.1", "10.0.0.0/8"]);
    let server = mirror().trusted_proxies(ForwardedHeader::XForwardedFor, trusted);
    let address = start(server.max_pending_handshakes_per_ip(1).authorize(|request| {
        let thinks = request.header("think").is_some();
        async move {
            if thinks {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }))
    .await;
    let spoofed =
        "X-Forwarded-For: 1.1.1.1, 10.6.6.6\r\nX-Forwarded-For: 198.51.100.7, 10.2.3.4\r\n";
    assert_eq!(seen(address, with(spoofed).as_bytes()).await.0, "198.51.100.7:0");
    // The other header is not believed, so the client is the proxy itself.
    let (told, own) = seen(address, with("Forwarded: for=1.1.1.1\r\n").as_bytes()).await;
    assert_eq!(told, own.to_string());
    let mut first = dial(address).await;
    first.write(with("Think: a\r\nX-Forwarded-For: 2.2.2.2, 198.51.100.7\r\n").as_bytes()).await;
    // Until the first is judged, the second may overtake it.
    let again = with("X-Forwarded-For: 3.3.3.3, 198.51.100.7\r\n");
    let answer = loop {
        let mut second = dial(address).await;
        second.write(again.as_bytes()).await;
        let head = second.head().await;
        if !head.starts_with("HTTP/1.1 101 ") {
            break head + &String::from_utf8(second.rest().await).unwrap();
        }
    };
    assert_one_response(&answer, 429);
    assert_retry_after(&answer);
    let other = with("X-Forwarded-For: 198.51.100.8\r\n");
    assert_eq!(seen(address, other.as_bytes()).await.0, "198.51.100.8:0");
}

#[tokio::test]
async fn the_standard_header_is_believed_where_it_is_the_one_that_proxies_write() {
    let trusted = networks(&["127.0.0.1"]);
    let address = start(mirror().trusted_proxies(ForwardedHeader::Forwarded, trusted)).await;
    let header = "Forwarded: for=1.1.1.1, for=\"[2001:db8::7]:4711\";proto=wss\r\n";
    assert_eq!(seen(address, with(header).as_bytes()).await.0, "[2001:db8::7]:4711");
}

fn binary(command: u8, length: u16, body: &[u8]) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    [&signature[..], &[command, 0x11], &length.to_be_bytes(), body].concat()
}

const ADDRESSES: &[u8] = &[198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

#[tokio::test]
async fn the_source_in_a_proxy_header_is_the_client() {
    let address = start(mirror().proxy_protocol()).await;
    let line = b"PROXY TCP4 198.51.100.7 10.0.0.1 4660 80\r\n";
    for header in [line.to_vec(), binary(0x21, 12, ADDRESSES)] {
        let bytes = [&header, REQUEST.as_bytes()].concat();
        assert_eq!(seen(address, &bytes).await.0, "198.51.100.7:4660");
        // Byte by byte it is the same.
        let mut raw = dial(address).await;
        raw.io.set_nodelay(true).unwrap();
        for byte in &bytes {
            raw.io.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        assert_eq!(raw.frame().await.unwrap().payload, b"198.51.100.7:4660");
    }
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), binary(0x20, 12, ADDRESSES)] {
        let (told, own) = seen(address, &[&header, REQUEST.as_bytes()].concat()).await;
        assert_eq!(told, own.to_string());
    }
}

// HSS-074
#[tokio::test]
async fn a_proxy_header_that_is_malformed_or_missing_is_closed_and_one_unasked_for_is_400() {
    let address = start(mirror().proxy_protocol()).await;
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).into_bytes();
    assert_eq!(long.len(), 108);
    let mut signature = binary(0x21, 12, ADDRESSES);
    signature[11] = b'!';
    let overrun = [ADDRESSES, &[4, 0, 9, 1]].concat();
    let malformed = [
        long,
        b"PROXY TCP4 nonsense\r\n".to_vec(),
        signature,
        binary(0x21, 11, &ADDRESSES[..11]),
        binary(0x21, 16, &overrun),
        binary(0x41, 12, ADDRESSES),
        Vec::new(),
    ];
    for header in malformed {
        let mut raw = dial(address).await;
        raw.write(&[&header, REQUEST.as_bytes()].concat()).await;
        assert_eq!(raw.rest().await, b"", "{header:?}");
    }
    let address = start(mirror()).await;
    let line = b"PROXY TCP4 198.51.100.7 10.0.0.1 4660 80\r\n".to_vec();
    for header in [line, binary(0x21, 12, ADDRESSES)] {
        let mut raw = dial(address).await;
        raw.write(&[&header, REQUEST.as_bytes()].concat()).await;
        assert_one_response(&String::from_utf8(raw.rest().await).unwrap(), 400);
    }
}

#[tokio::test]
async fn a_proxy_header_that_never_ends_is_closed_with_the_handshakes_time() {
    let mut config = Config::server();
    config.timeouts.handshake = Duration::from_millis(50);
    let address = start(echo(config).proxy_protocol()).await;
    for start in [&b"PROXY TCP4 1.2"[..], b"\r\n\r\n\0\r\nQU", b""] {
        let mut raw = dial(address).await;
        raw.write(start).await;
        assert_eq!(raw.rest().await, b"");
    }
}

#[tokio::test]
async fn pending_handshakes_are_counted_by_the_source_in_the_proxy_header() {
    let address = start(mirror().proxy_protocol().max_pending_handshakes_per_ip(1)).await;
    let from = |ip: &str| format!("PROXY TCP4 {ip} 10.0.0.1 4660 80\r\n");
    let mut waiting = dial(address).await;
    waiting.write(from("198.51.100.1").as_bytes()).await;
    let mut other = dial(address).await;
    other.write((from("198.51.100.2") + REQUEST).as_bytes()).await;
    assert!(other.head().await.starts_with("HTTP/1.1 101 "));
    let mut same = dial(address).await;
    same.write((from("198.51.100.1") + REQUEST).as_bytes()).await;
    assert!(same.head().await.starts_with("HTTP/1.1 429 "));
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_proxy_header_stands_in_front_of_tls() {
    let (server, client) = crate::tls::pair();
    let address = start(mirror().proxy_protocol().tls(server)).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(&binary(0x21, 12, ADDRESSES)).await.unwrap();
    let name = sockeye::tls::rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(client);
    let mut raw = Raw::new(connector.connect(name, tcp).await.unwrap(), From::Client);
    raw.write(REQUEST.as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame().await.unwrap().payload, b"198.51.100.7:4660");
}

#[cfg(feature = "hyper")]
#[tokio::test]
async fn each_request_on_a_proxys_connection_has_its_own_client() {
    use crate::hyper::{PAGE, serve_http};

    let trusted = networks(&["127.0.0.1"]);
    let server = mirror().trusted_proxies(ForwardedHeader::XForwardedFor, trusted);
    let address = start(server.http(serve_http)).await;
    let mut raw = dial(address).await;
    raw.write(PAGE).await;
    raw.head().await;
    raw.take(4).await;
    raw.write(with("X-Forwarded-For: 1.1.1.1, 198.51.100.7\r\n").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame().await.unwrap().payload, b"198.51.100.7:0");
}
