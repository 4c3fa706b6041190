//! The server's certificate, which can be replaced while it serves.
//!
//! ```text
//!   two PEM files ──► Loaded: chain and key, known to fit ──► Current ◄── each handshake
//!                       ▲ reload: the old one stays where there is any fault
//! ```
//!
//! Connections that are open, and sessions that clients resume, are not touched by a reload. When
//! to reload is the caller's business.

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

/// A certificate chain and its private key, out of PEM files that may be read again.
///
/// There is one pair, and every client gets it: whatever name it asks for (SNI), or none.
#[derive(Debug)]
pub struct Certificates {
    files: Mutex<Files>,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    tls: ServerTls,
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

/// Where a chain and its key are.
#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// What handshakes that begin now use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads a certificate chain and its private key from PEM files.
    ///
    /// # Errors
    /// A file cannot be read or used, or the key is not the certificate's.
    pub fn load(
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, CertificateError> {
        let files = Files { cert: cert.into(), key: key.into() };
        let provider = Arc::new(default_provider());
        let current = Arc::new(Current(RwLock::new(files.read(&provider)?)));
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|fault| CertificateError::Unusable { file: files.cert.clone(), fault })?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        let tls = ServerTls::from_config(config);
        Ok(Self { files: Mutex::new(files), current, provider, tls })
    }

    /// Reads the files again; handshakes that begin from now on use what they hold.
    ///
    /// # Errors
    /// As [`load`](Self::load): the chain and the key that are in use stay then.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.replace(files.read(&self.provider)?);
        Ok(())
    }

    /// Reads other files, which take the place of the old ones for reloads too.
    ///
    /// # Errors
    /// As [`load`](Self::load): the chain and the key that are in use stay then, and so do the files.
    pub fn reload_from(
        &self,
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<(), CertificateError> {
        let new = Files { cert: cert.into(), key: key.into() };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.replace(new.read(&self.provider)?);
        *files = new;
        Ok(())
    }

    /// Returns what a server is configured with: reloads take effect there.
    pub fn server_tls(&self) -> ServerTls {
        self.tls.clone()
    }
}

impl Files {
    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, CertificateError> {
        let Self { cert, key } = self;
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(|chain| if chain.is_empty() { Err(nothing()) } else { Ok(chain) })
            .map_err(|fault| CertificateError::File { file: cert.clone(), fault })?;
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

fn nothing() -> pem::Error {
    pem::Error::NoItemsFound
}

fn unusable(file: &Path, fault: rustls::Error) -> CertificateError {
    CertificateError::Unusable { file: file.to_owned(), fault }
}

#[cfg(test)]
mod tests;
