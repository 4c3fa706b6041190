//! TLS of the real program: clients with certificates, records that no client may send, storms of
//! handshakes.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::Signal;
use sockeye::tls::Tls;
use sockeye::tls::rustls::RootCertStore;
use sockeye::tls::rustls::pki_types::{CertificateDer, pem::PemObject};
use sockeye::{Client, Message, WebSocket};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::command::certificate;
use crate::operated::Operated;
use crate::records::{Forger, OFFENCES, Version};
use crate::scratch::Scratch;
use crate::support::{PATIENCE, Served, TEXT, handshake, masked, receive, run};

/// The files of a server's certificate, and the flags that name them.
struct Certified {
    scratch: Scratch,
    cert: String,
    key: String,
}

impl Certified {
    fn new(name: &str) -> Self {
        let (scratch, (cert, key)) = (Scratch::new(name), certificate());
        let (cert, key) = (scratch.write("cert.pem", &cert), scratch.write("key.pem", &key));
        Self { scratch, cert, key }
    }

    fn flags(&self) -> [&str; 4] {
        ["--tls-cert", &self.cert, "--tls-key", &self.key]
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.cert).unwrap()).unwrap();
        roots
    }

    fn client(&self) -> Client {
        Client::builder().tls(Tls::with_roots(&self.cert).unwrap()).build()
    }
}

/// An authority of clients, and the files of one whose certificate is its.
struct Identity {
    authority: String,
    cert: String,
    key: String,
}

impl Identity {
    fn new(scratch: &Scratch, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &issuer).unwrap();
        Self {
            authority: scratch.write(&format!("{name}-ca.pem"), &issuer.pem()),
            cert: scratch.write(&format!("{name}.pem"), &cert.pem()),
            key: scratch.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    fn flags(&self) -> [&str; 4] {
        ["--cert", &self.cert, "--cert-key", &self.key]
    }
}

// TLS-013
#[tokio::test]
async fn clients_of_the_authority_come_in_and_others_are_logged_and_refused() {
    let certified = Certified::new("tls-clients");
    let [ann, eve] = ["ann", "eve"].map(|name| Identity::new(&certified.scratch, name));
    let authorities = certified.scratch.path("clients.pem");
    std::fs::copy(&ann.authority, &authorities).unwrap();
    let flags = [&certified.flags()[..], &["--tls-client-ca", &authorities]].concat();
    let mut operated = Operated::start(&flags).await;
    let host = format!("localhost:{}", operated.served.address.port());
    let (secure, url) = (format!("wss://{host}/echo"), format!("https://{host}"));
    let trusting = ["--cacert", &certified.cert];
    let connect = ["connect", &secure, "-1", "-m", "hi"];
    let publish = ["pub", &url, "a", "m", "--retries", "0"];
    let subscribe = ["sub", &url, "a", "--since", "oldest", "--count", "1", "--timeout", "20"];
    let as_who = async |args: &[&str], who: &[&str]| run(&[args, &trusting, who].concat()).await;
    for who in [&[][..], &eve.flags()] {
        assert_eq!(as_who(&connect, who).await.code, Some(5));
        assert_eq!(as_who(&publish, who).await.code, Some(3));
        assert_eq!(as_who(&subscribe, who).await.code, Some(3));
    }
    let refused = operated.logged(" tls.client_refused ").await;
    assert!(refused.contains("INFO") && refused.contains(" peer=127.0.0.1:"), "{refused}");
    let as_ann = ann.flags();
    assert_eq!(as_who(&connect, &as_ann).await.stdout, "hi\n");
    assert_eq!(as_who(&publish, &as_ann).await.code, Some(0));
    assert_eq!(as_who(&subscribe, &as_ann).await.stdout, "m\n");
    // The authorities are read again with the certificate.
    std::fs::copy(&eve.authority, &authorities).unwrap();
    operated.served.signal(Signal::HUP);
    operated.logged(" tls.reloaded").await;
    assert_eq!(as_who(&connect, &as_ann).await.code, Some(5));
    assert_eq!(as_who(&connect, &eve.flags()).await.stdout, "hi\n");
    std::fs::write(&authorities, "no PEM").unwrap();
    operated.served.signal(Signal::HUP);
    assert!(operated.logged(" tls.reload_failed ").await.contains("clients.pem"));
    assert_eq!(as_who(&connect, &eve.flags()).await.stdout, "hi\n");
}

#[tokio::test]
async fn authorities_or_identities_that_are_none_are_one_line_that_says_what_to_do() {
    let certified = Certified::new("tls-no-clients");
    let empty = certified.scratch.write("empty.pem", "");
    let flags = [&certified.flags()[..], &["--tls-client-ca", &empty]].concat();
    let ended = run(&[&["serve", "--listen", "127.0.0.1:0"], &flags[..]].concat()).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr.contains("empty.pem") && ended.stderr.contains("--tls-client-ca"));
    let ended = run(&[&["check-config"], &flags[..]].concat()).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    let connect = ["connect", "wss://localhost:1/", "--cert", &empty, "--cert-key", &certified.key];
    let ended = run(&connect).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    // One without the other is a mistake in usage.
    assert_eq!(run(&["connect", "wss://localhost:1/", "--cert", &empty]).await.code, Some(2));
}

// TLS-016
#[tokio::test]
async fn records_that_no_client_may_send_end_an_open_websocket_with_an_alert() {
    let certified = Certified::new("tls-offences");
    let served = Served::start(&[&["serve"], &certified.flags()[..]].concat()).await;
    let url = format!("wss://localhost:{}/echo", served.address.port());
    let mut other = certified.client().request(&url).await.unwrap();
    for version in Version::BOTH {
        for offence in OFFENCES {
            let mut forger = Forger::connect(served.address, certified.roots(), version).await;
            forger.send(handshake("/echo").as_bytes()).await;
            forger.data_until(b"\r\n\r\n").await;
            forger.send(&masked(0x80 | TEXT, b"salmon")).await;
            forger.data_until(b"\x81\x06salmon").await;
            let records = (offence.records)(&mut forger);
            forger.write(&records).await;
            let alert = timeout(PATIENCE, forger.last_alert()).await.expect("it ends");
            assert_eq!(alert, offence.alert, "{}, {version:?}", offence.name);
            // Others are served as before.
            echoes(&mut other, "still there").await;
        }
    }
}

/// Shakes hands again and again until told to stop, and counts how often.
async fn storm(
    served: SocketAddr,
    roots: RootCertStore,
    (done, count): (Arc<AtomicBool>, Arc<AtomicUsize>),
) {
    while !done.load(Ordering::Relaxed) {
        if Forger::try_connect(served, roots.clone(), Version::Tls13).await.is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Opens connections that say nothing until so many are kept and one more handshake is not begun.
async fn fill(served: SocketAddr, roots: &RootCertStore, room: usize) -> Vec<TcpStream> {
    let mut stalled = Vec::new();
    let filling = async {
        loop {
            stalled.retain(|tcp: &TcpStream| {
                tcp.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            });
            let is_full = stalled.len() == room;
            let probe = Forger::try_connect(served, roots.clone(), Version::Tls13).await;
            match (is_full, probe) {
                (true, None) => return,
                (true, Some(_)) => tokio::task::yield_now().await,
                (false, _) => stalled.push(TcpStream::connect(served).await.unwrap()),
            }
        }
    };
    timeout(PATIENCE, filling).await.expect("there is room for so many and no more");
    stalled
}

// TLS-014
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_of_handshakes_is_capped_and_open_connections_are_served_amid_it() {
    let certified = Certified::new("tls-storm");
    let flags = [&["serve", "--max-pending-per-ip", "8"], &certified.flags()[..]].concat();
    let served = Served::start(&flags).await;
    let (address, roots) = (served.address, certified.roots());
    let url = format!("wss://localhost:{}/echo", address.port());
    let mut open = certified.client().request(&url).await.unwrap();
    let state: (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
    let mut raging = JoinSet::new();
    for _ in 0..16 {
        raging.spawn(storm(address, roots.clone(), state.clone()));
    }
    let (done, count) = state;
    for round in 0..50 {
        let before = count.load(Ordering::Relaxed);
        echoes(&mut open, &format!("message {round}")).await;
        // The storm goes on between any two messages.
        let handshakes = async {
            while count.load(Ordering::Relaxed) < before + 10 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, handshakes).await.expect("handshakes go on");
    }
    done.store(true, Ordering::Relaxed);
    raging.join_all().await;
    let stalled = fill(address, &roots, 8).await;
    echoes(&mut open, "with all the room taken").await;
    drop(stalled);
    let again = async {
        while Forger::try_connect(address, roots.clone(), Version::Tls12).await.is_none() {}
    };
    timeout(PATIENCE, again).await.expect("there is room again");
}

async fn echoes(ws: &mut WebSocket, text: &str) {
    ws.send(text).await.unwrap();
    assert_eq!(receive(ws).await, Message::from(text));
}
