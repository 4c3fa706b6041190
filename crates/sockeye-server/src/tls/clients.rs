//! Whose clients are taken: everybody's, or those with a certificate of a known authority.
//!
//! Which of the two, and which authorities, can change while the server serves: handshakes that begin
//! later go by it. Clients are not told the authorities' names: the list is one of the moment.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::{CertificateError, read_certificates, unusable};

/// What judges a client's certificate.
pub(super) type Verifier = Arc<dyn ClientCertVerifier>;

/// Whose clients are taken now, and the sessions that clients may resume.
///
/// Where clients need a certificate none is resumed: a session would outlive its certificate, and the
/// authority too.
#[derive(Debug)]
pub(super) struct Clients {
    current: RwLock<Option<Verifier>>,
    provider: Arc<CryptoProvider>,
    sessions: Arc<ServerSessionMemoryCache>,
}

/// Makes what judges clients by the authorities in a file.
///
/// # Errors
/// It cannot be read or used.
pub(super) fn verifier(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file)? {
        roots.add(certificate).map_err(|fault| unusable(file, fault))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    built.map_err(|error| unusable(file, Error::General(error.to_string())))
}

impl Clients {
    /// Takes everybody's clients, or those whom a verifier lets in.
    pub(super) fn new(current: Option<Verifier>, provider: Arc<CryptoProvider>) -> Self {
        let sessions = ServerSessionMemoryCache::new(SESSIONS);
        Self { current: RwLock::new(current), provider, sessions }
    }

    pub(super) fn replace(&self, new: Option<Verifier>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn current(&self) -> Option<Verifier> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.current().is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.current() {
            Some(verifier) => verifier.verify_client_cert(end_entity, intermediates, now),
            // A reload has ended the need for one since it was asked for.
            None => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl StoresServerSessions for Clients {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.can_cache() && self.sessions.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.get(key).filter(|_| self.can_cache())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.take(key).filter(|_| self.can_cache())
    }

    fn can_cache(&self) -> bool {
        self.current().is_none()
    }
}

/// Sessions that are kept for clients to resume, as many as the TLS library keeps by default.
const SESSIONS: usize = 256;
