//! The beginning of a TLS handshake, record by record: what is answered, and with what.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::Config;
use sockeye::tls::rustls::pki_types::ServerName;
use sockeye::tls::rustls::{AlertDescription, ClientConfig, ClientConnection, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{REQUEST, echo, start};
use crate::tls::{pair, roots_and_server, trusting_config};

type Shaken = TlsStream<TcpStream>;

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

/// The record of a ClientHello of old: a version, cipher suites, and what TLS 1.2 adds.
pub(crate) fn old_hello(version: [u8; 2], suites: &[[u8; 2]]) -> Vec<u8> {
    let extension = |number, body: &[u8]| [&[0, number][..], &counted(&counted(body))].concat();
    // ECDSA and RSA with SHA-256; P-256.
    let extensions = [extension(13, &[4, 3, 4, 1]), extension(10, &[0, 23])].concat();
    let extensions = if version == [3, 3] { counted(&extensions) } else { Vec::new() };
    // No session, no compression.
    let head = [&version[..], &[7; 32], &[0], &counted(&suites.concat()), &[1, 0]].concat();
    let body = [head, extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(HANDSHAKE, [3, 1], &[&[1], &length[1..], &body].concat())
}

/// Cipher suites of the past.
pub(crate) const RC4: [u8; 2] = [0, 5];
pub(crate) const TRIPLE_DES: [u8; 2] = [0, 10];

/// The ClientHello of an honest client, with its record's header.
pub(crate) fn hello() -> Vec<u8> {
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
    let (gcm, sha) = ([0xc0, 0x2b], [0xc0, 9]);
    let hellos = [
        ("TLS 1.1", [3, 2], vec![gcm, sha]),
        ("TLS 1.0", [3, 1], vec![gcm, sha]),
        ("SSL 3", [3, 0], vec![gcm, sha, RC4, TRIPLE_DES]),
        ("RC4", [3, 3], vec![RC4]),
        ("3DES", [3, 3], vec![TRIPLE_DES]),
    ];
    for (name, version, suites) in hellos {
        let alert = alert(&answer(address, &old_hello(version, &suites)).await);
        assert!([HANDSHAKE_FAILURE, PROTOCOL_VERSION].contains(&alert), "{name}: {alert}");
    }
    // The same hello with a cipher suite of today is answered.
    let good = answer_begins(address, &old_hello([3, 3], &[gcm, RC4])).await;
    assert_eq!(good, HANDSHAKE);
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
    // The TLS library takes messages that fit into 64 KiB with the headers of their records.
    for (body, first) in [(60_000, HANDSHAKE), (65_535, ALERT), (65_536, ALERT)] {
        let hello = padded(&honest[5..], body + 4);
        assert_eq!(answer_begins(address, &records(&hello)).await, first, "{body}");
    }
    // One that only says that it is long is not waited for.
    let mut endless = honest[5..].to_vec();
    endless[1..4].fill(0xff);
    alert(&answer(address, &records(&endless)).await);
}

/// Puts a message into as few records as it takes.
fn records(message: &[u8]) -> Vec<u8> {
    message.chunks(1 << 14).flat_map(|piece| record(HANDSHAKE, [3, 1], piece)).collect()
}

/// Writes bytes and reads the first one of the answer.
async fn answer_begins(address: SocketAddr, bytes: &[u8]) -> u8 {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    tcp.read_u8().await.unwrap()
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
#[tokio::test(start_paused = true)]
async fn close_notify_amid_the_handshake_ends_it_without_any_work_meanwhile() {
    let close_notify = record(ALERT, [3, 3], &[WARNING, 0]);
    let hello = hello();
    for beginning in [&[], &hello[..], &hello[..40]] {
        let listening = echo(Config::server()).tls(pair().0).listen().await.unwrap();
        let mut tcp = TcpStream::connect(listening.local_addr().unwrap()).await.unwrap();
        tcp.write_all(&[beginning, &close_notify].concat()).await.unwrap();
        let serving = tokio::spawn(listening.serve());
        // The clock, and with it the handshake's time-out, goes on only while there is nothing to do.
        // The client's half stays open.
        read_all(&mut tcp).await;
        serving.abort();
    }
}

/// Returns what alerts and empty records in front of a hello are answered with.
async fn answer_behind(noise: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(serve().await).await.unwrap();
    tcp.write_all(&[noise, &hello()].concat()).await.unwrap();
    tcp.shutdown().await.unwrap();
    read_all(&mut tcp).await
}

// TLS-016
#[tokio::test]
async fn flood_in_front_of_the_hello_ends_the_handshake_with_an_alert() {
    let floods = [
        record(ALERT, [3, 1], &[WARNING, 90]).repeat(5),
        record(CHANGE_CIPHER_SPEC, [3, 1], &[1]).repeat(33),
        record(HANDSHAKE, [3, 1], &[]),
        record(HANDSHAKE, [3, 1], &vec![1; (1 << 14) + 1]),
    ];
    for flood in floods {
        alert(&answer_behind(&flood).await);
    }
    let some = record(ALERT, [3, 1], &[WARNING, 90]).repeat(4);
    assert_eq!(answer_behind(&some).await.first(), Some(&HANDSHAKE));
}

/// Shakes hands with an offer of ALPN.
async fn offer(address: SocketAddr, config: &ClientConfig, names: &[&str]) -> io::Result<Shaken> {
    let mut config = config.clone();
    config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

// TLS-009
#[tokio::test]
async fn alpn_with_http_1_1_or_none_gets_it_and_any_other_an_alert() {
    let (tls, config) = pair();
    let address = start(echo(Config::server()).tls(tls)).await;
    for names in [&["http/1.1"][..], &["h2", "http/1.1"], &["salmon", "http/1.1"], &[]] {
        let mut tls = offer(address, &config, names).await.unwrap();
        let agreed = (!names.is_empty()).then_some(&b"http/1.1"[..]);
        assert_eq!(tls.get_ref().1.alpn_protocol(), agreed, "{names:?}");
        tls.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        tls.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 101", "{names:?}");
    }
    for names in [&["h2"][..], &["salmon"], &["h3", "http/1.0"]] {
        let refused = offer(address, &config, names).await.unwrap_err();
        let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(refused.get_ref().unwrap().downcast_ref(), Some(&alert), "{names:?}");
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: u8 = 20;

const WARNING: u8 = 1;
const FATAL: u8 = 2;

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
