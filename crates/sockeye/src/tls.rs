//! TLS by rustls, for both roles.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "client")]
use std::sync::OnceLock;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(feature = "client")]
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::{Error, ErrorKind, Result};
use crate::log;

pub use rustls;

/// How a client checks the server of a `wss://` URL.
#[derive(Clone, Default)]
pub enum Tls {
    /// Against the certificate authorities that the operating system trusts.
    #[default]
    System,
    /// As the given configuration says.
    Custom(Arc<ClientConfig>),
}

impl Tls {
    /// Trusts the certificate authorities in a PEM file, and no others.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn with_roots(pem: impl AsRef<Path>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(pem.as_ref())? {
            roots.add(certificate).map_err(|error| tls_error("certificate", error))?;
        }
        let config = client_config()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self::Custom(Arc::new(config)))
    }

    /// Presents a certificate to servers that ask for one: its chain and its private key, of PEM
    /// files.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing of the kind, or a key that is not the
    /// certificate's; or the certificates of the operating system cannot be had.
    #[cfg(feature = "client")]
    pub fn with_certificate(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self> {
        let (chain, key) = (read_certificates(certificate.as_ref())?, read_key(key.as_ref())?);
        let mut config = ClientConfig::clone(&*self.config()?);
        let pair = CertifiedKey::from_der(chain, key, config.crypto_provider());
        let pair = pair.map_err(|error| tls_error("certificate and key", error))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        Ok(Self::Custom(Arc::new(config)))
    }

    /// Trusts anyone: the traffic is encrypted, but who reads it is not known. For tests only. With
    /// the feature `tracing` this is warned of, and so is each connection.
    ///
    /// # Errors
    /// The TLS library has no protocol version that it can speak.
    pub fn dangerous_no_verification() -> Result<Self> {
        log::certificates_not_verified();
        let verifier = Arc::new(danger::TrustAnyone::new(provider()));
        let config = client_config()?.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = config.with_no_client_auth();
        // A session that is resumed would be a connection without a warning.
        config.resumption = Resumption::disabled();
        Ok(Self::Custom(Arc::new(config)))
    }

    /// Returns the configuration, for other connections to the same server.
    ///
    /// # Errors
    /// The certificates of the operating system cannot be had.
    #[cfg(feature = "client")]
    pub fn config(&self) -> Result<Arc<ClientConfig>> {
        match self {
            Self::Custom(config) => Ok(config.clone()),
            Self::System => system_config(),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "Tls::System",
            Self::Custom(_) => "Tls::Custom",
        })
    }
}

/// The certificate and key of a server.
#[derive(Clone)]
pub struct ServerTls(
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "for servers"))]
    Arc<ServerConfig>,
);

impl ServerTls {
    /// Reads a certificate chain and its private key from PEM files.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing of the kind, or a key that is not the
    /// certificate's.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let chain = read_certificates(certificate.as_ref())?;
        let key = read_key(key.as_ref())?;
        let versions = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| tls_error("configuration", error))?;
        let config = versions
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| tls_error("certificate and key", error))?;
        Ok(Self::from_config(config))
    }

    /// Takes a configuration as it is, but for ALPN: without any, `http/1.1` is offered.
    pub fn from_config(mut config: ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Self(Arc::new(config))
    }

    #[cfg(feature = "server")]
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Returns the process's default provider if the application installed one, else ours.
fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// Returns the configuration that trusts what the operating system does. It is made once: reading the
/// system's certificates takes milliseconds, and sessions can be resumed across connections.
#[cfg(feature = "client")]
fn system_config() -> Result<Arc<ClientConfig>> {
    use rustls_platform_verifier::BuilderVerifierExt;
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let verified = client_config()?.with_platform_verifier();
    let verified = verified.map_err(|error| tls_error("system certificates", error))?;
    Ok(CONFIG.get_or_init(|| Arc::new(verified.with_no_client_auth())).clone())
}

fn client_config() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| tls_error("configuration", error))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = format!("certificate {}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| tls_error(&what, error))?;
    if certificates.is_empty() {
        return Err(Error::new(ErrorKind::Tls, format!("no certificate in {}", path.display())));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| tls_error(&format!("private key {}", path.display()), error))
}

fn tls_error(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Tls, format!("TLS {what}")).with_source(error)
}

mod danger {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    use crate::log;

    /// Accepts every certificate, but still checks that the server holds its key.
    #[derive(Debug)]
    pub(super) struct TrustAnyone(Arc<CryptoProvider>);

    impl TrustAnyone {
        pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
            Self(provider)
        }
    }

    impl ServerCertVerifier for TrustAnyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            name: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            log::certificate_not_verified(name);
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
