use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use rcgen::{CertifiedKey as Made, KeyPair, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConnection};
use sockeye::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

mod clients;
mod hello;

/// A directory with a certificate and its key, which goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes a pair as one step, so that a reload sees the one or the other of each file.
    fn install(&self, pair: &Made<KeyPair>) {
        self.write("cert.pem", &pair.cert.pem());
        self.write("key.pem", &pair.signing_key.serialize_pem());
    }

    fn files(&self) -> Files {
        Files::new(self.path("cert.pem"), self.path("key.pem"))
    }

    fn load(&self) -> Result<Certificates, CertificateError> {
        Certificates::load(self.files())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn made() -> Made<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A client that trusts these pairs, and resumes no session: that would bring its certificate along.
fn trusting(pairs: &[&Made<KeyPair>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    pairs.iter().for_each(|pair| roots.add(pair.cert.der().clone()).unwrap());
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Starts a server that gives back what it gets, and returns its address.
async fn serve(certificates: &Certificates) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::listener(listener).tls(certificates.server_tls());
    let server = server.route("/", |mut ws, _| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    });
    tokio::spawn(server.serve());
    address
}

/// Serves handshakes without anything behind them: what comes is given back.
async fn accept(certificates: &Certificates) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(config(certificates));
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = tls.read(&mut bytes).await {
                    let _ = tls.write_all(&bytes[..count]).await;
                }
            });
        }
    });
    address
}

/// Makes a configuration as `server_tls` is, which shows what is in it.
fn config(certificates: &Certificates) -> Arc<ServerConfig> {
    let Certificates { provider, current, clients, .. } = certificates;
    Arc::new(configure(provider, current, clients).unwrap())
}

async fn connect(
    address: std::net::SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config.clone()).connect(name, tcp).await
}

/// Sends some bytes and gets them back.
async fn echoes(tls: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    tls.write_all(b"salmon").await?;
    let mut back = [0; 6];
    tls.read_exact(&mut back).await?;
    assert_eq!(&back, b"salmon");
    Ok(())
}

fn leaf(tls: &TlsStream<TcpStream>) -> Vec<u8> {
    tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

// TLS-011
#[tokio::test]
async fn bad_pair_leaves_the_one_in_use_and_names_the_file_at_fault() {
    let (folder, old, other) = (Folder::new("bad"), made(), made());
    folder.install(&old);
    let certificates = folder.load().unwrap();
    let address = accept(&certificates).await;
    let client = trusting(&[&old, &other]);
    let (cert, key) = (old.cert.pem(), old.signing_key.serialize_pem());
    let other_key = other.signing_key.serialize_pem();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let two_halves = cert.clone() + &half(&cert);
    let faults: [(&str, String, String); 9] = [
        ("cert.pem", "no PEM\n".to_owned(), key.clone()),
        ("cert.pem", String::new(), key.clone()),
        ("cert.pem", half(&cert), key.clone()),
        ("cert.pem", two_halves, key.clone()),
        ("cert.pem", garbage, key.clone()),
        ("key.pem", cert.clone(), "no PEM\n".to_owned()),
        ("key.pem", cert.clone(), half(&key)),
        ("key.pem", cert.clone(), cert.clone()),
        ("key.pem", cert.clone(), other_key),
    ];
    for (at_fault, cert, key) in faults {
        folder.write("cert.pem", &cert);
        folder.write("key.pem", &key);
        let error = certificates.reload().unwrap_err().to_string();
        assert!(error.starts_with(&folder.path(at_fault).display().to_string()), "{error}");
        assert!(!error.contains('\n'), "{error}");
        let mut tls = connect(address, &client).await.unwrap();
        echoes(&mut tls).await.unwrap();
        assert_eq!(leaf(&tls), old.cert.der().to_vec());
    }
    folder.install(&other);
    certificates.reload().unwrap();
    let tls = connect(address, &trusting(&[&other])).await.unwrap();
    assert_eq!(leaf(&tls), other.cert.der().to_vec());
}

// TLS-011
#[tokio::test]
async fn files_that_cannot_be_read_leave_the_pair_in_use() {
    let (folder, old) = (Folder::new("gone"), made());
    folder.install(&old);
    let certificates = folder.load().unwrap();
    let address = accept(&certificates).await;
    for name in ["key.pem", "cert.pem"] {
        // A directory cannot be read by anybody, root included.
        std::fs::remove_file(folder.path(name)).unwrap();
        let missing = certificates.reload().unwrap_err();
        std::fs::create_dir(folder.path(name)).unwrap();
        let unreadable = certificates.reload().unwrap_err();
        for error in [missing, unreadable] {
            assert!(error.to_string().contains(name), "{error}");
            assert!(matches!(error, CertificateError::File { .. }), "{error:?}");
        }
    }
    let mut tls = connect(address, &trusting(&[&old])).await.unwrap();
    echoes(&mut tls).await.unwrap();
}

#[test]
fn other_files_are_taken_only_if_they_are_good() {
    let (folder, other, old, new) = (Folder::new("a"), Folder::new("b"), made(), made());
    folder.install(&old);
    let certificates = folder.load().unwrap();
    let is = |pair: &Made<KeyPair>| {
        certificates.current.0.read().unwrap().cert == [pair.cert.der().clone()]
    };
    assert!(certificates.reload_from(other.files()).is_err());
    certificates.reload().unwrap();
    assert!(is(&old));
    other.install(&new);
    certificates.reload_from(other.files()).unwrap();
    assert!(is(&new));
    drop(folder);
    certificates.reload().unwrap();
    assert!(is(&new));
}

// TLS-012
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_reloads_under_load_lose_no_connection_and_leak_no_pair() {
    let (folder, pairs) = (Folder::new("load"), [made(), made()]);
    folder.install(&pairs[0]);
    let certificates = folder.load().unwrap();
    let address = accept(&certificates).await;
    let client = trusting(&[&pairs[0], &pairs[1]]);
    let mut lasting = connect(address, &client).await.unwrap();
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = || {
        let (client, done, served) = (client.clone(), done.clone(), served.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let mut tls = connect(address, &client).await.expect("no handshake fails");
                echoes(&mut tls).await.expect("no connection is lost");
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let load: Vec<_> = (0..4).map(|_| load()).collect();
    let mut replaced: Vec<Weak<CertifiedKey>> = Vec::new();
    for round in 1..=100 {
        replaced.push(Arc::downgrade(&certificates.current.0.read().unwrap()));
        folder.install(&pairs[round % 2]);
        certificates.reload().unwrap();
        echoes(&mut lasting).await.expect("what was open stays open");
        let fresh = connect(address, &client).await.unwrap();
        assert_eq!(leaf(&fresh), pairs[round % 2].cert.der().to_vec());
        // The load goes on between any two reloads.
        let before = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
    assert!(replaced.iter().all(|pair| pair.upgrade().is_none()), "a pair is still held");
}

// TLS-018
#[tokio::test]
async fn session_of_a_server_that_was_restarted_becomes_a_full_handshake() {
    let (folder, pair) = (Folder::new("tickets"), made());
    folder.install(&pair);
    let (before, after) = (folder.load().unwrap(), folder.load().unwrap());
    let (before, after) = (accept(&before).await, accept(&after).await);
    let mut client = (*trusting(&[&pair])).clone();
    client.resumption = Resumption::in_memory_sessions(8);
    let client = Arc::new(client);
    let kind = async |address| {
        let mut tls = connect(address, &client).await.unwrap();
        echoes(&mut tls).await.unwrap();
        tls.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(before).await, HandshakeKind::Full);
    // The client does ask to resume, and may where it was.
    assert_eq!(kind(before).await, HandshakeKind::Resumed);
    assert_eq!(kind(after).await, HandshakeKind::Full);
    assert_eq!(kind(after).await, HandshakeKind::Resumed);
}

// TLS-010
#[tokio::test]
async fn any_server_name_or_none_gets_the_one_certificate_or_an_alert() {
    let (folder, pair) = (Folder::new("sni"), made());
    folder.install(&pair);
    let certificates = folder.load().unwrap();
    let long = "a".repeat(300);
    let names =
        [None, Some("localhost"), Some("elsewhere.example"), Some("localhost:443"), Some(&long)];
    for name in names {
        let mut server = ServerConnection::new(config(&certificates)).unwrap();
        server.read_tls(&mut hello::client_hello(name).as_slice()).unwrap();
        let judged = server.process_new_packets();
        let mut answer = Vec::new();
        server.write_tls(&mut answer).unwrap();
        let is_name = name.is_none_or(|name| name.len() < 254 && !name.contains(':'));
        match (judged.is_ok(), answer.first()) {
            (true, Some(&hello::HANDSHAKE)) => {}
            (false, Some(&hello::ALERT)) if !is_name => {}
            other => panic!("{name:?}: {other:?}"),
        }
    }
    // A name that is none of the certificate's gets it too; an address cannot be asked for.
    let address = accept(&certificates).await;
    for name in ["elsewhere.example", "127.0.0.1"] {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let connector = TlsConnector::from(trusting(&[&pair]));
        let refused = connector.connect(name, tcp).await.unwrap_err().to_string();
        assert!(refused.contains("not valid for name"), "{refused}");
    }
    echoes(&mut connect(address, &trusting(&[&pair])).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn reload_takes_effect_in_the_server_that_was_configured_before() {
    let (folder, old, new) = (Folder::new("server"), made(), made());
    folder.install(&old);
    let certificates = folder.load().unwrap();
    let address = serve(&certificates).await;
    assert!(connect(address, &trusting(&[&old])).await.is_ok());
    folder.install(&new);
    certificates.reload().unwrap();
    let mut offering = (*trusting(&[&new])).clone();
    offering.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = connect(address, &Arc::new(offering)).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(connect(address, &trusting(&[&old])).await.is_err());
}
