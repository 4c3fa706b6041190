//! What a client may not do once its TLS handshake is over.

use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::Config;
use sockeye::tls::rustls::pki_types::ServerName;
use sockeye::tls::rustls::{
    ClientConfig, ClientConnection, ContentType, HandshakeKind, RootCertStore,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::records::{CLOSE_NOTIFY, Forger, OFFENCES, Version, WARNING};
use crate::support::{From, REQUEST, TEXT, echo, start, whole};
use crate::tls::{roots_and_server, trusting_config};
use crate::tls_hello::hello;

/// Starts an echo over TLS; returns where, and the roots that trust it.
async fn serve() -> (SocketAddr, RootCertStore) {
    let (roots, tls) = roots_and_server();
    (start(echo(Config::server()).tls(tls)).await, roots)
}

/// Opens a WebSocket through a forger.
async fn open(address: SocketAddr, roots: &RootCertStore, version: Version) -> Forger {
    let mut forger = Forger::connect(address, roots.clone(), version).await;
    forger.send(REQUEST.as_bytes()).await;
    forger.data_until(b"\r\n\r\n").await;
    forger
}

/// Sends a message and gets it back.
async fn echoes(forger: &mut Forger) {
    forger.send(&whole(From::Client, TEXT, b"salmon")).await;
    forger.data_until(&whole(From::Server, TEXT, b"salmon")).await;
}

// TLS-016
#[tokio::test]
async fn records_that_no_client_may_send_end_the_connection_with_an_alert() {
    let (address, roots) = serve().await;
    for version in Version::BOTH {
        for offence in OFFENCES {
            // Where a request is awaited, amid one, and where a WebSocket is open.
            let idle = Forger::connect(address, roots.clone(), version).await;
            let mut amid = Forger::connect(address, roots.clone(), version).await;
            amid.send(&REQUEST.as_bytes()[..9]).await;
            let mut opened = open(address, &roots, version).await;
            echoes(&mut opened).await;
            for mut forger in [idle, amid, opened] {
                let records = (offence.records)(&mut forger);
                forger.write(&records).await;
                let alert = forger.last_alert().await;
                assert_eq!(alert, offence.alert, "{}, {version:?}", offence.name);
            }
        }
    }
}

#[tokio::test]
async fn some_alerts_and_empty_records_are_nothing_to_end_a_connection_for() {
    let (address, roots) = serve().await;
    for version in Version::BOTH {
        let mut forger = open(address, &roots, version).await;
        let canceled = forger.seal_all(4, ContentType::Alert, &[WARNING, 90]);
        forger.write(&canceled).await;
        for _ in 0..3 {
            let empty = forger.seal_all(20, ContentType::ApplicationData, b"");
            forger.write(&empty).await;
            echoes(&mut forger).await;
        }
    }
}

// TLS-015
#[tokio::test]
async fn renegotiation_is_refused_once_and_ends_the_connection_when_asked_for_again() {
    let (address, roots) = serve().await;
    let mut forger = open(address, &roots, Version::Tls12).await;
    let hello = hello()[5..].to_vec();
    let asking = forger.seal(ContentType::Handshake, &hello);
    forger.write(&asking).await;
    // The answer leaves with the next thing that is written.
    forger.send(&whole(From::Client, TEXT, b"go")).await;
    let refused = (ContentType::Alert, vec![WARNING, NO_RENEGOTIATION]);
    assert_eq!(forger.record().await, Some(refused));
    forger.data_until(&whole(From::Server, TEXT, b"go")).await;
    echoes(&mut forger).await;
    let asking = forger.seal(ContentType::Handshake, &hello);
    forger.write(&asking).await;
    assert_eq!(forger.last_alert().await, (WARNING, CLOSE_NOTIFY));
}

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(config.clone()).connect(name, tcp).await.unwrap();
    tls.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    tls
}

async fn round_trip(tls: &mut TlsStream<TcpStream>) {
    tls.write_all(&whole(From::Client, TEXT, b"salmon")).await.unwrap();
    let wanted = whole(From::Server, TEXT, b"salmon");
    let mut back = vec![0; wanted.len()];
    tls.read_exact(&mut back).await.unwrap();
    assert_eq!(back, wanted);
}

// TLS-015
#[tokio::test]
async fn key_updates_are_taken_between_messages_and_a_flood_of_them_ends_the_connection() {
    let (address, roots) = serve().await;
    let config = Arc::new(trusting_config(roots));
    let mut tls = connect(address, &config).await;
    for _ in 0..4 {
        for _ in 0..20 {
            tls.get_mut().1.refresh_traffic_keys().unwrap();
        }
        round_trip(&mut tls).await;
    }
    for _ in 0..33 {
        tls.get_mut().1.refresh_traffic_keys().unwrap();
    }
    tls.flush().await.unwrap();
    // An end without close_notify would be an error.
    assert_eq!(tls.read(&mut [0; 64]).await.unwrap(), 0);
}

// TLS-015
#[tokio::test]
async fn session_that_is_resumed_may_send_no_early_data() {
    let (address, roots) = serve().await;
    let mut config = trusting_config(roots);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut tls = connect(address, &config).await;
        // The ticket has come when this is back.
        round_trip(&mut tls).await;
        assert_eq!(tls.get_ref().1.handshake_kind(), Some(kind));
        let name = ServerName::try_from("localhost").unwrap();
        let mut next = ClientConnection::new(config.clone(), name).unwrap();
        assert!(next.early_data().is_none(), "the ticket allows it");
    }
}

const NO_RENEGOTIATION: u8 = 100;
