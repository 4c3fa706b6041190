//! Clients that have to show a certificate.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, date_time_ymd};
use rustls::AlertDescription::{self, CertificateExpired, CertificateRequired};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A client's certificate and key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn identity(issuer: &Issuer, change: fn(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(vec!["ann".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// A client that trusts the server's pair, and shows a certificate if it has one.
fn client(
    version: &'static SupportedProtocolVersion,
    server: &Made<KeyPair>,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(server.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        Some((certificate, key)) => {
            config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
        }
        None => config.with_no_client_auth(),
    })
}

/// Returns the alert that a server ended a handshake or what followed it with.
fn alert(error: &std::io::Error) -> AlertDescription {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("{other:?} of {error:?}"),
    }
}

/// Shakes hands, and sends bytes and gets them back.
async fn talks(
    address: std::net::SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<HandshakeKind> {
    let mut tls = connect(address, config).await?;
    echoes(&mut tls).await?;
    Ok(tls.get_ref().1.handshake_kind().unwrap())
}

/// Installs a server's pair and the authorities of its clients.
fn install(folder: &Folder, pair: &Made<KeyPair>, authorities: &[&Issuer]) -> Files {
    folder.install(pair);
    let authorities: String = authorities.iter().map(|issuer| issuer.pem()).collect();
    folder.write("clients.pem", &authorities);
    Files { client_ca: Some(folder.path("clients.pem")), ..folder.files() }
}

// TLS-013
#[tokio::test]
async fn client_without_a_certificate_of_the_authorities_gets_an_alert_before_any_http() {
    let (folder, pair) = (Folder::new("clients"), made());
    let (ours, other) = (authority("ours"), authority("other"));
    let certificates = Certificates::load(install(&folder, &pair, &[&ours])).unwrap();
    // A server that would answer any request.
    let reached = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = reached.clone();
    let server = Server::listener(listener).tls(certificates.server_tls()).check(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    tokio::spawn(server.route("/", |_, _| async { Ok(()) }).serve());
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let ask = async |config: &Arc<ClientConfig>| {
        let mut tls = connect(address, config).await?;
        tls.write_all(request).await?;
        let mut head = [0; 12];
        tls.read_exact(&mut head).await?;
        std::io::Result::Ok(head)
    };
    let expired = identity(&ours, |params| params.not_after = date_time_ymd(2001, 1, 1));
    let (stranger, good) = (identity(&other, |_| ()), identity(&ours, |_| ()));
    for version in [&TLS12, &TLS13] {
        let alerts = [
            (None, [AlertDescription::HandshakeFailure, CertificateRequired]),
            (Some(&expired), [CertificateExpired; 2]),
            (Some(&stranger), [AlertDescription::UnknownCA; 2]),
        ];
        for (identity, wanted) in alerts {
            let refused = ask(&client(version, &pair, identity)).await.unwrap_err();
            assert!(wanted.contains(&alert(&refused)), "{refused}");
        }
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
    for version in [&TLS12, &TLS13] {
        let head = ask(&client(version, &pair, Some(&good))).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
    }
    assert_eq!(reached.load(Ordering::Relaxed), 2);
}

// TLS-013
#[tokio::test]
async fn reload_changes_whose_clients_come_in_and_no_session_outlives_it() {
    let (folder, pair) = (Folder::new("renewed"), made());
    let (first, second) = (authority("first"), authority("second"));
    let files = install(&folder, &pair, &[&first]);
    let certificates = Certificates::load(folder.files()).unwrap();
    let address = accept(&certificates).await;
    let (ann, bob) = (identity(&first, |_| ()), identity(&second, |_| ()));
    for version in [&TLS12, &TLS13] {
        let [nobody, ann, bob] =
            [None, Some(&ann), Some(&bob)].map(|who| client(version, &pair, who));
        let refused = async |who| alert(&talks(address, who).await.unwrap_err());
        certificates.reload_from(folder.files()).unwrap();
        assert_eq!(talks(address, &nobody).await.unwrap(), HandshakeKind::Full);
        assert_eq!(talks(address, &nobody).await.unwrap(), HandshakeKind::Resumed);
        // What was begun without a certificate is not resumed where one is needed.
        install(&folder, &pair, &[&first]);
        certificates.reload_from(files.clone()).unwrap();
        refused(&nobody).await;
        assert_eq!(refused(&bob).await, AlertDescription::UnknownCA);
        for _ in 0..2 {
            assert_eq!(talks(address, &ann).await.unwrap(), HandshakeKind::Full);
        }
        install(&folder, &pair, &[&second]);
        certificates.reload().unwrap();
        assert_eq!(refused(&ann).await, AlertDescription::UnknownCA);
        talks(address, &bob).await.unwrap();
        install(&folder, &pair, &[&first, &second]);
        certificates.reload().unwrap();
        talks(address, &ann).await.unwrap();
        talks(address, &bob).await.unwrap();
    }
}

// TLS-011
#[tokio::test]
async fn bad_file_of_authorities_leaves_those_in_use_and_the_pair_too() {
    let (folder, old, new) = (Folder::new("no-clients"), made(), made());
    let ours = authority("ours");
    let certificates = Certificates::load(install(&folder, &old, &[&ours])).unwrap();
    let address = accept(&certificates).await;
    let ann = client(&TLS13, &old, Some(&identity(&ours, |_| ())));
    let nobody = client(&TLS13, &old, None);
    folder.install(&new);
    let pem = ours.pem();
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in ["", "no PEM\n", &pem[..pem.len() / 2], no_certificate] {
        folder.write("clients.pem", bad);
        let error = certificates.reload().unwrap_err().to_string();
        assert!(error.contains("clients.pem") && !error.contains('\n'), "{error}");
        talks(address, &ann).await.unwrap();
        assert_eq!(alert(&talks(address, &nobody).await.unwrap_err()), CertificateRequired);
    }
    // Of a pair that is bad the authorities are not taken either.
    folder.write("clients.pem", &authority("other").pem());
    folder.write("key.pem", "no PEM\n");
    certificates.reload().unwrap_err();
    talks(address, &ann).await.unwrap();
}
