//! The beginning of a TLS handshake, record by record: what is answered, and with what.

use std::net::SocketAddr;

use sockeye::Config;
use sockeye::tls::rustls::pki_types::ServerName;
use sockeye::tls::rustls::{AlertDescription, ClientConnection, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{REQUEST, echo, start};
use crate::tls::{pair, roots_and_server, trusting_config};

/// Starts an echo over TLS.
async fn serve() -> SocketAddr {
    start(echo(Config::server()).tls(pair().0)).await
}

/// Writes bytes and reads the answer to its end, which a reset counts as.
async fn answer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    read_all(&mut tcp).await
}

async fn read_all(tcp: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    while tcp.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
    answer
}

/// Returns the alert that an answer is, and nothing else.
fn alert(answer: &[u8]) -> u8 {
    match answer {
        [ALERT, 3, _, 0, 2, FATAL, alert] => *alert,
        other => panic!("{other:?}"),
    }
}

fn record(typ: u8, version: [u8; 2], body: &[u8]) -> Vec<u8> {
    [&[typ], &version[..], &counted(body)].concat()
}

/// Puts its length before it, in two bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}

/// The message of a ClientHello of old: a version, cipher suites, and nothing that came later.
fn old_hello(version: [u8; 2], suites: &[[u8; 2]]) -> Vec<u8> {
    // No session, no compression.
    let body = [&version[..], &[7; 32], &[0], &counted(&suites.concat()), &[1, 0]].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

/// The ClientHello of an honest client, with its record's header.
fn hello() -> Vec<u8> {
    let config = trusting_config(roots_and_server().0);
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

// TLS-004
#[tokio::test]
async fn versions_and_cipher_suites_of_the_past_get_an_alert() {
    let address = serve().await;
    let (gcm, sha, rc4, des) = ([0xc0, 0x2b], [0xc0, 9], [0, 5], [0, 10]);
    let hellos = [
        ("TLS 1.1", [3, 2], vec![gcm, sha], PROTOCOL_VERSION),
        ("TLS 1.0", [3, 1], vec![gcm, sha], PROTOCOL_VERSION),
        ("SSL 3", [3, 0], vec![gcm, sha, rc4, des], PROTOCOL_VERSION),
        ("RC4", [3, 3], vec![rc4], HANDSHAKE_FAILURE),
        ("3DES", [3, 3], vec![des], HANDSHAKE_FAILURE),
    ];
    for (name, version, suites, wanted) in hellos {
        let hello = record(HANDSHAKE, [3, 1], &old_hello(version, &suites));
        assert_eq!(alert(&answer(address, &hello).await), wanted, "{name}");
    }
    // SSL 2 has records of its own, of which the first two bytes are a length.
    let ssl2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80];
    alert(&answer(address, &ssl2).await);
}

fn records_of_a_byte(hello: &[u8]) -> Vec<Vec<u8>> {
    hello[5..].iter().map(|byte| record(HANDSHAKE, [3, 1], &[*byte])).collect()
}

/// Shakes hands with a client whose hello is cut into pieces, each of which leaves on its own.
async fn shakes_hands(cut: fn(&[u8]) -> Vec<Vec<u8>>) {
    let (tls, config) = pair();
    let address = start(echo(Config::server()).tls(tls)).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for piece in cut(&hello) {
        tcp.write_all(&piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    while client.is_handshaking() {
        let mut bytes = Vec::new();
        assert!(tcp.read_buf(&mut bytes).await.unwrap() > 0, "it answers");
        client.read_tls(&mut &bytes[..]).unwrap();
        client.process_new_packets().unwrap();
    }
}

// TLS-005
#[tokio::test]
async fn hello_in_records_or_segments_of_a_byte_works() {
    shakes_hands(|hello| hello.iter().map(|byte| vec![*byte]).collect()).await;
    shakes_hands(|hello| vec![records_of_a_byte(hello).concat()]).await;
    shakes_hands(records_of_a_byte).await;
}

// TLS-005
#[tokio::test]
async fn hello_of_64_kib_works_or_gets_an_alert() {
    let address = serve().await;
    let honest = hello();
    // A padding extension (RFC 7685) makes up the length.
    for total in [(64 << 10) - 4, 64 << 10, (1 << 24) - 1] {
        let mut message = padded(&honest[5..], total.min(65_000));
        message[1..4].copy_from_slice(&u32::try_from(total).unwrap().to_be_bytes()[1..]);
        message.resize(total.min(70_000), 0);
        let records: Vec<_> =
            message.chunks(1 << 14).map(|piece| record(HANDSHAKE, [3, 1], piece)).collect();
        let answer = answer(address, &records.concat()).await;
        assert!(matches!(answer.first(), Some(&(HANDSHAKE | ALERT))), "{total}: {answer:?}");
    }
    let honest = padded(&honest[5..], 60_000);
    let records: Vec<_> =
        honest.chunks(1 << 14).map(|piece| record(HANDSHAKE, [3, 1], piece)).collect();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(&records.concat()).await.unwrap();
    assert_eq!(tcp.read_u8().await.unwrap(), HANDSHAKE);
}

/// Lengthens a ClientHello by an extension that is padding.
fn padded(hello: &[u8], total: usize) -> Vec<u8> {
    // Its extensions are last: behind version, random, session, suites and compression.
    let session = usize::from(hello[38]);
    let suites = 39 + session;
    let compression =
        suites + 2 + usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    let extensions = compression + 1 + usize::from(hello[compression]);
    let (front, back) = hello.split_at(extensions);
    let padding = vec![0; total - hello.len() - 4];
    let extensions = [&back[2..], &[0, 21], &counted(&padding)].concat();
    let body = [&front[4..], &counted(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

// TLS-005
#[tokio::test]
async fn hello_that_is_broken_anywhere_gets_an_alert_or_is_waited_for() {
    let address = serve().await;
    let honest = hello();
    for at in 0..honest.len() {
        for change in [1, 0x80, 0xff] {
            let mut broken = honest.clone();
            broken[at] ^= change;
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(&broken).await.unwrap();
            tcp.shutdown().await.unwrap();
            let answer = read_all(&mut tcp).await;
            let is_tls = matches!(answer.first(), None | Some(&(HANDSHAKE | ALERT)));
            assert!(is_tls, "{at} {change}: {answer:?}");
        }
    }
}

// TLS-006
#[tokio::test]
async fn close_notify_amid_the_handshake_ends_it_and_leaves_nothing_that_could_spin() {
    let close_notify = record(ALERT, [3, 3], &[WARNING, 0]);
    let hello = hello();
    let beginnings = [Vec::new(), hello.clone(), hello[..40].to_vec()];
    for beginning in beginnings {
        let listening = echo(Config::server()).tls(pair().0).listen().await.unwrap();
        let address = listening.local_addr().unwrap();
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(&[&beginning[..], &close_notify].concat()).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let drain = sockeye::Drain::default();
        let serving = tokio::spawn(listening.serve_until(stopped, drain));
        // It ends, though the client has not ended its half.
        read_all(&mut tcp).await;
        drop(tcp);
        // A drain waits for whatever is still at work.
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }
}

// TLS-009
#[tokio::test]
async fn alpn_without_http_1_1_gets_no_application_protocol() {
    let (tls, config) = pair();
    let address = start(echo(Config::server()).tls(tls)).await;
    let offers: [(&[&[u8]], Option<&[u8]>); 6] = [
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[b"h2", b"http/1.1"], Some(b"http/1.1")),
        (&[b"x", b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
        (&[b"h2"], None),
        (&[b"salmon", b"http/1.0"], None),
    ];
    for (offer, agreed) in offers {
        let mut config = (*config).clone();
        config.alpn_protocols = offer.iter().map(|name| name.to_vec()).collect();
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        match TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await {
            Ok(mut tls) => {
                assert!(agreed.is_some() || offer.is_empty(), "{offer:?}");
                assert_eq!(tls.get_ref().1.alpn_protocol(), agreed);
                tls.write_all(REQUEST.as_bytes()).await.unwrap();
                let mut head = [0; 12];
                tls.read_exact(&mut head).await.unwrap();
                assert_eq!(&head, b"HTTP/1.1 101");
            }
            Err(error) => {
                assert!(agreed.is_none() && !offer.is_empty(), "{offer:?}: {error}");
                let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
                assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&alert));
            }
        }
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

const WARNING: u8 = 1;
const FATAL: u8 = 2;

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
