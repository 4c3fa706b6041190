//! The server's certificate and whose clients it takes, which can be replaced while it serves.
//!
//! ```text
//!   PEM files ──► Loaded: chain and key, known to fit ──► Current ◄── each handshake
//!            └──► the authorities of clients ───────────► Clients ◄──┘
//!               ▲ reload: the old ones stay where there is any fault
//! ```
//!
//! Connections that are open, and sessions that clients resume, are not touched by a reload. When
//! to reload is the caller's business.

mod clients;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use sockeye::tls::ServerTls;

use crate::config;
use clients::{Clients, Verifier};

/// A certificate chain and its private key, and the authorities of clients' certificates, out of PEM
/// files that may be read again.
///
/// There is one pair, and every client gets it: whatever name it asks for (SNI), or none.
#[derive(Debug)]
pub struct Certificates {
    files: Mutex<Files>,
    current: Arc<Current>,
    clients: Arc<Clients>,
    provider: Arc<CryptoProvider>,
    tls: ServerTls,
}

/// Where a server's TLS comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Files {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities, PEM: clients need a certificate of one of them. `None` asks for no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why a certificate and its key cannot be used. Shows nothing of what the files hold.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read, breaks off, or is no PEM.
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: pem::Error,
    },
    /// The key is not the certificate's.
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A file holds nothing that TLS can use.
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: rustls::Error,
    },
}

/// What the files hold.
struct Loaded {
    pair: Arc<CertifiedKey>,
    clients: Option<Verifier>,
}

/// What handshakes that begin now use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads a certificate chain, its private key, and the authorities of clients if there are any.
    ///
    /// # Errors
    /// A file cannot be read or used, or the key is not the certificate's.
    pub fn load(files: Files) -> Result<Self, CertificateError> {
        let provider = Arc::new(default_provider());
        let Loaded { pair, clients } = files.read(&provider)?;
        let current = Arc::new(Current(RwLock::new(pair)));
        let clients = Arc::new(Clients::new(clients, provider.clone()));
        let config = configure(&provider, &current, &clients);
        let config = config.map_err(|fault| unusable(&files.cert, fault))?;
        let tls = ServerTls::from_config(config);
        Ok(Self { files: Mutex::new(files), current, clients, provider, tls })
    }

    /// Reads the files again; handshakes that begin from now on use what they hold.
    ///
    /// # Errors
    /// As [`load`](Self::load): what is in use stays then, all of it.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(files.read(&self.provider)?);
        Ok(())
    }

    /// Reads other files, which take the place of the old ones for reloads too.
    ///
    /// # Errors
    /// As [`load`](Self::load): what is in use stays then, all of it, and so do the files.
    pub fn reload_from(&self, new: Files) -> Result<(), CertificateError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(new.read(&self.provider)?);
        *files = new;
        Ok(())
    }

    fn replace(&self, new: Loaded) {
        self.clients.replace(new.clients);
        self.current.replace(new.pair);
    }

    /// Returns what a server is configured with: reloads take effect there.
    pub fn server_tls(&self) -> ServerTls {
        self.tls.clone()
    }
}

impl Files {
    /// Names a certificate chain and its private key; clients need no certificate.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), client_ca: None }
    }

    /// Returns the files that a configuration names; `None` where it is without TLS.
    pub fn of(config: &config::Tls) -> Option<Self> {
        let files = Self::new(config.cert.as_ref()?, config.key.as_ref()?);
        Some(Self { client_ca: config.client_ca.clone(), ..files })
    }

    fn read(&self, provider: &Arc<CryptoProvider>) -> Result<Loaded, CertificateError> {
        let authorities = self.client_ca.as_ref();
        let clients = authorities.map(|file| clients::verifier(file, provider)).transpose()?;
        Ok(Loaded { pair: self.read_pair(provider)?, clients })
    }

    fn read_pair(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, CertificateError> {
        let Self { cert, key, .. } = self;
        let chain = read_certificates(cert)?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|fault| CertificateError::File { file: key.clone(), fault })?;
        let private = provider.key_provider.load_private_key(private);
        let private = private.map_err(|fault| unusable(key, fault))?;
        let pair = CertifiedKey::new(chain, private);
        match pair.keys_match() {
            // A key that does not tell its public half proves itself in the first handshake.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Arc::new(pair))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(CertificateError::Mismatch { cert: cert.clone(), key: key.clone() })
            }
            Err(fault) => Err(unusable(cert, fault)),
        }
    }
}

impl Current {
    fn replace(&self, new: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, fault } => write!(f, "{}: {fault}", file.display()),
            Self::Mismatch { cert, key } => {
                write!(f, "{}: is not the key of {}", key.display(), cert.display())
            }
            Self::Unusable { file, fault } => write!(f, "{}: {fault}", file.display()),
        }
    }
}

impl std::error::Error for CertificateError {}

/// Makes a configuration that goes by what is in use at each handshake.
fn configure(
    provider: &Arc<CryptoProvider>,
    current: &Arc<Current>,
    clients: &Arc<Clients>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.clone())
        .with_cert_resolver(current.clone());
    config.session_storage = clients.clone();
    Ok(config)
}

/// Reads the certificates in a file, of which there is one at least.
fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) })
        .map_err(|fault| CertificateError::File { file: file.to_owned(), fault })
}

fn unusable(file: &Path, fault: rustls::Error) -> CertificateError {
    CertificateError::Unusable { file: file.to_owned(), fault }
}

#[cfg(test)]
mod tests;
