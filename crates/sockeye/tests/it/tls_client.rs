//! The client's side of TLS: certificates that it presents, and verification that is turned off.

use rcgen::{CertificateParams, KeyPair};
use sockeye::tls::rustls::ServerConfig;
use sockeye::tls::rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use sockeye::tls::rustls::server::WebPkiClientVerifier;
use sockeye::tls::rustls::{RootCertStore, crypto::ring::default_provider};
use sockeye::tls::{ServerTls, Tls};
use sockeye::{Client, Config, ErrorKind};

use crate::support::{echo, start};
use crate::tls::{File, Issuer, authority, echoes};

/// A certificate for `name` and its key, in PEM.
fn certified(issuer: &Issuer, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A server for `localhost` that takes only clients with a certificate of its own issuer.
pub(crate) fn asking(issuer: &Issuer) -> ServerTls {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = std::sync::Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let (certificate, key) = certified(issuer, "localhost");
    let chain = PemObject::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![chain], key);
    ServerTls::from_config(config.unwrap())
}

#[tokio::test]
async fn client_with_a_certificate_comes_in_where_one_is_asked_for_and_no_other() {
    let issuer = authority();
    let address = start(echo(Config::server()).tls(asking(&issuer))).await;
    let url = format!("wss://localhost:{}/", address.port());
    let roots = File::new("asking-roots", &issuer.pem());
    let trusting = Tls::with_roots(&roots.0).unwrap();
    let (certificate, key) = certified(&issuer, "ann");
    let (certificate, key) = (File::new("ann", &certificate), File::new("ann-key", &key));
    let presenting = trusting.clone().with_certificate(&certificate.0, &key.0).unwrap();
    let client = Client::builder().tls(presenting).build();
    echoes(client.request(&url).await.unwrap()).await;
    let (certificate, key) = certified(&authority(), "ann");
    let (certificate, key) = (File::new("eve", &certificate), File::new("eve-key", &key));
    let stranger = trusting.clone().with_certificate(&certificate.0, &key.0).unwrap();
    for tls in [trusting, stranger] {
        let refused = Client::builder().tls(tls).build().request(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Tls, "{refused}");
        assert!(refused.to_string().contains("alert"), "{refused}");
    }
}

#[test]
fn certificate_that_is_none_or_not_the_key_s_is_refused_when_it_is_read() {
    let issuer = authority();
    let (certificate, key) = certified(&issuer, "ann");
    let (certificate, key) = (File::new("bob", &certificate), File::new("bob-key", &key));
    let other = File::new("bob-other", &KeyPair::generate().unwrap().serialize_pem());
    let roots = File::new("bob-roots", &issuer.pem());
    let tls = Tls::with_roots(&roots.0).unwrap();
    for (certificate, key) in [(&certificate, &other), (&key, &key), (&certificate, &certificate)] {
        let refused = tls.clone().with_certificate(&certificate.0, &key.0).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Tls, "{refused}");
    }
    assert!(tls.with_certificate("/nowhere", &key.0).is_err());
}
