//! What the log is told of TLS: handshakes that fail, and verification that is turned off.

use sockeye::tls::Tls;
use sockeye::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::log::Log;
use crate::support::{echo, start};
use crate::tls::{any_certificate, authority, echoes, trusting};
use crate::tls_client::asking;
use crate::tls_hello::{RC4, TRIPLE_DES, old_hello};

// TLS-004
#[tokio::test]
async fn handshake_of_the_past_is_logged_for_debugging_only() {
    let (log, _guard) = Log::start();
    let address = start(echo(Config::server()).tls(any_certificate())).await;
    for version in [[3, 0], [3, 1], [3, 2], [3, 3]] {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(&old_hello(version, &[RC4, TRIPLE_DES])).await.unwrap();
        while tcp.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
        let peer = tcp.local_addr().unwrap();
        let told = log.wait(&peer.to_string()).await;
        assert!(told.starts_with("DEBUG tls.handshake_failed"), "{told}");
    }
    assert_eq!(log.with("").len(), 4, "{:?}", log.with(""));
}

// TLS-013
#[tokio::test]
async fn client_without_the_certificate_that_is_wanted_is_logged_with_its_address() {
    let (log, _guard) = Log::start();
    let issuer = authority();
    let address = start(echo(Config::server()).tls(asking(&issuer))).await;
    let url = format!("wss://localhost:{}/", address.port());
    let client = trusting(&issuer, "unasked");
    assert!(client.request(&url).await.is_err());
    let told = log.wait("tls.client_refused").await;
    assert!(told.starts_with("INFO ") && told.contains(" peer=127.0.0.1:"), "{told}");
    // One that comes in vain all the time does not fill the log.
    for _ in 0..3 {
        assert!(client.request(&url).await.is_err());
    }
    assert_eq!(log.with("tls.client_refused").len(), 1);
}

// TLS-003
#[tokio::test]
async fn verification_that_is_off_is_warned_of_at_the_start_and_with_each_connection() {
    let (log, _guard) = Log::start();
    let address = start(echo(Config::server()).tls(any_certificate())).await;
    let url = format!("wss://{address}/");
    // It is nobody's whom the system or these roots know.
    let issuer = authority();
    for tls in [Client::builder().build(), trusting(&issuer, "safe")] {
        assert!(tls.request(&url).await.is_err());
    }
    assert!(log.with("WARN").is_empty(), "{:?}", log.with("WARN"));
    let client = Client::builder().tls(Tls::dangerous_no_verification().unwrap()).build();
    assert_eq!(log.with("WARN"), ["WARN tls.verification_off"]);
    for connections in 1..=3 {
        echoes(client.request(&url).await.unwrap()).await;
        let warned = log.with("WARN tls.not_verified server=127.0.0.1");
        assert_eq!(warned.len(), connections, "{warned:?}");
    }
}
