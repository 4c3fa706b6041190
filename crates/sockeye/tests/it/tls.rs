//! `wss://` for both roles, and what a client refuses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, date_time_ymd,
};
use sockeye::tls::rustls::pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
use sockeye::tls::rustls::{self, RootCertStore, ServerConfig};
use sockeye::tls::{ServerTls, Tls};
use sockeye::{Client, CloseCode, Config, ErrorKind, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{From, REQUEST, Raw, TEXT, echo, start, whole};

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Makes a server's configuration with a certificate for `names`.
fn server_tls(issuer: &Issuer, names: &[&str], change: fn(&mut CertificateParams)) -> ServerTls {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    configured(&certificate, &key)
}

fn self_signed(names: &[&str]) -> ServerTls {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    configured(&certificate, &key)
}

fn configured(certificate: &Certificate, key: &KeyPair) -> ServerTls {
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    ServerTls::from_config(config)
}

/// A server's configuration whose certificate does not matter.
pub(crate) fn any_certificate() -> ServerTls {
    self_signed(&["localhost"])
}

/// A server's configuration for `localhost`, and a client's that trusts it.
pub(crate) fn pair() -> (ServerTls, Arc<rustls::ClientConfig>) {
    let (roots, tls) = roots_and_server();
    (tls, Arc::new(trusting_config(roots)))
}

/// A server's configuration for `localhost`, and the roots that trust it.
pub(crate) fn roots_and_server() -> (RootCertStore, ServerTls) {
    let issuer = authority();
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    (roots, server_tls(&issuer, &["localhost"], |_| {}))
}

/// A client's configuration with these roots.
pub(crate) fn trusting_config(roots: RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A file that goes away with the test.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn trusting(issuer: &Issuer, name: &str) -> Client {
    let roots = File::new(name, &issuer.pem());
    Client::builder().tls(Tls::with_roots(&roots.0).unwrap()).build()
}

pub(crate) async fn echoes(mut ws: WebSocket) {
    ws.send("x".repeat(100_000)).await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_bytes().len(), 100_000);
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
}

#[tokio::test]
async fn handlers_of_the_callback_form_serve_tls_too() {
    let issuer = authority();
    let tls = server_tls(&issuer, &["localhost"], |_| ());
    let server = sockeye::Server::bind("127.0.0.1:0").tls(tls);
    let address = start(server.handle("/", |_| crate::handle::echo())).await;
    let client = trusting(&issuer, "handlers");
    let url = format!("wss://localhost:{}/", address.port());
    echoes(client.request(&url).await.unwrap()).await;
}

// TLS-001, TLS-002
#[tokio::test]
async fn a_client_connects_only_to_a_certificate_for_the_host_by_an_issuer_it_trusts() {
    let (ours, other) = (authority(), authority());
    let client = trusting(&ours, "roots");
    let cases: [(&str, ServerTls, bool); 9] = [
        ("localhost", server_tls(&ours, &["localhost"], |_| ()), true),
        ("127.0.0.1", server_tls(&ours, &["127.0.0.1"], |_| ()), true),
        ("127.0.0.1", server_tls(&ours, &["localhost"], |_| ()), false),
        ("localhost", server_tls(&ours, &["example.org"], |_| ()), false),
        ("localhost", server_tls(&other, &["localhost"], |_| ()), false),
        (
            "localhost",
            server_tls(&ours, &["localhost"], |params| {
                params.not_after = date_time_ymd(2001, 1, 1);
            }),
            false,
        ),
        ("localhost", self_signed(&["localhost"]), false),
        (
            "localhost",
            server_tls(&ours, &["localhost"], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            false,
        ),
        (
            "localhost",
            server_tls(&ours, &["localhost"], |params| {
                params.not_before = date_time_ymd(2999, 1, 1);
                params.not_after = date_time_ymd(3000, 1, 1);
            }),
            false,
        ),
    ];
    for (index, (host, tls, is_good)) in cases.into_iter().enumerate() {
        let server = echo(Config::server()).tls(tls);
        let address = start(server).await;
        let url = format!("wss://{host}:{}/", address.port());
        match client.request(&url).await {
            Ok(ws) if is_good => echoes(ws).await,
            Ok(_) => panic!("case {index} connected"),
            Err(error) => {
                assert!(!is_good, "case {index}: {error}");
                assert_eq!(error.kind(), ErrorKind::Tls, "case {index}: {error}");
                assert!(error.to_string().contains("certificate"), "{error}");
            }
        }
    }
}

// TLS-001
#[tokio::test]
async fn the_system_does_not_trust_a_stranger() {
    let tls = server_tls(&authority(), &["localhost"], |_| ());
    let address = start(echo(Config::server()).tls(tls)).await;
    let url = format!("wss://localhost:{}/", address.port());
    let error = sockeye::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
}

#[tokio::test]
async fn who_asks_for_danger_connects_to_anyone() {
    let tls = server_tls(&authority(), &["example.org"], |_| ());
    let address = start(echo(Config::server()).tls(tls)).await;
    let client = Client::builder().tls(Tls::dangerous_no_verification().unwrap()).build();
    echoes(client.request(&format!("wss://{address}/")).await.unwrap()).await;
}

#[tokio::test]
async fn certificates_and_keys_are_read_from_files() {
    let issuer = authority();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let (certificate, key) =
        (File::new("chain", &certificate.pem()), File::new("key", &key.serialize_pem()));
    let tls = ServerTls::from_pem_files(&certificate.0, &key.0).unwrap();
    let address = start(echo(Config::server()).tls(tls)).await;
    let url = format!("wss://localhost:{}/", address.port());
    echoes(trusting(&issuer, "issuer").request(&url).await.unwrap()).await;
    let other = File::new("other", &KeyPair::generate().unwrap().serialize_pem());
    assert!(ServerTls::from_pem_files(&certificate.0, &other.0).is_err());
    assert!(ServerTls::from_pem_files(&key.0, &key.0).is_err());
    assert!(ServerTls::from_pem_files("/nowhere", &key.0).is_err());
}

// TLS-007
#[tokio::test]
async fn a_tls_handshake_that_stalls_is_closed_at_the_handshake_time_out() {
    let mut config = Config::server();
    config.timeouts.handshake = Duration::from_millis(50);
    let tls = server_tls(&authority(), &["localhost"], |_| ());
    let address = start(echo(config).tls(tls)).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    // The first bytes of a ClientHello record.
    tcp.write_all(&[0x16, 3, 1, 0, 200, 1]).await.unwrap();
    assert_eq!(tcp.read(&mut [0; 100]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_server_that_never_answers_the_client_hello_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let client = Client::builder().connect_timeout(Duration::from_millis(50)).build();
    let error = client.request(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

// TLS-008
#[tokio::test]
async fn an_end_without_close_notify_is_1006_after_the_messages_that_were_whole() {
    let frame = whole(From::Client, TEXT, b"cut");
    truncated_after(&[]).await;
    truncated_after(&frame[..7]).await;
}

/// Ends the TCP stream, not the TLS stream, after one message and `cut` of the next.
async fn truncated_after(cut: &[u8]) {
    let (tls, config) = pair();
    let (ended, end) = tokio::sync::oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let server = sockeye::Server::bind("127.0.0.1:0").tls(tls).route("/", move |mut ws, _| {
        let ended = ended.lock().unwrap().take();
        async move {
            let first = ws.recv().await?;
            let second = ws.recv().await;
            let _ = ended.unwrap().send((first, second));
            Ok(())
        }
    });
    let address = start(server).await;
    let connector = tokio_rustls::TlsConnector::from(config);
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut raw = Raw::new(connector.connect(name, tcp).await.unwrap(), From::Client);
    raw.write(REQUEST.as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    raw.write(&[&whole(From::Client, TEXT, b"whole"), cut].concat()).await;
    raw.io.flush().await.unwrap();
    raw.io.into_inner().0.shutdown().await.unwrap();
    let (first, second) = end.await.unwrap();
    assert_eq!(first.unwrap().as_text(), Some("whole"));
    let error = second.unwrap_err();
    assert_eq!(error.close_info().unwrap().code, CloseCode::ABNORMAL);
}

// TLS-017
#[tokio::test]
async fn plain_http_on_the_tls_port_is_closed() {
    let tls = server_tls(&authority(), &["localhost"], |_| ());
    let address = start(echo(Config::server()).tls(tls)).await;
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(REQUEST.as_bytes()).await;
    let answer = raw.rest().await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
