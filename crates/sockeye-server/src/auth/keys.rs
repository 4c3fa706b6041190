//! Keys that tokens are checked with, and where they come from.
//!
//! A key has one algorithm and is used with no other: what a token says of its algorithm is
//! compared with the key's and chooses nothing (RFC 8725, section 3.1).

mod der;
mod error;
mod jwks;
mod remote;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{AlgorithmIdentifier, SubjectPublicKeyInfoDer, alg_id};

use super::secret::Secret;

pub use error::KeyError;
pub(crate) use jwks::ID_BYTES;
pub use jwks::Origin;
pub(crate) use remote::Lookup;
pub use remote::RemoteKeys;

/// The algorithms of signatures that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// Where a [`super::Verifier`] has its keys from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Those of the configuration.
    Fixed(Arc<KeySet>),
    /// Those that a URL gives, fetched again and again.
    Remote(RemoteKeys),
}

/// Some keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

/// One key, its algorithm and its name if it has one.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Secret),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// Why no key of a set is the one that a token was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// The key is for another algorithm.
    Algorithm,
    /// The token names no key and more than four might be meant.
    Ambiguous,
    /// There is no key of that name.
    Unknown,
}

impl Key {
    /// Makes an HS256 key.
    pub fn from_secret(secret: Secret) -> Self {
        Self { id: None, material: Material::Secret(secret) }
    }

    /// Reads a public key, RSA, P-256 or Ed25519, as PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// It is no such document, or a key of another kind or size.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)?;
        Self::from_spki(&spki)
    }

    /// Reads a public key from a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Key::from_pem`].
    pub fn from_pem_file(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&fs::read(path).map_err(|error| KeyError::file(path, &error))?)
    }

    /// Gives the key a name, which tokens say as `kid`.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Returns the one algorithm that the key is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Tells whether a signature is the key's, of this text.
    pub(crate) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Secret(secret) => return secret.verifies(text, signature),
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature),
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature)
            }
            Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(text, signature),
        };
        verified.is_ok()
    }

    fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let info = der::PublicKeyInfo::read(spki).ok_or(KeyError::Pem)?;
        let is = |algorithm: AlgorithmIdentifier| info.algorithm == algorithm.as_ref();
        if is(alg_id::RSA_ENCRYPTION) {
            let (n, e) = der::rsa_numbers(info.key).ok_or(KeyError::Pem)?;
            Self::rsa(n, e)
        } else if is(alg_id::ECDSA_P256) {
            Self::p256(info.key)
        } else if is(alg_id::ED25519) {
            Self::ed25519(info.key)
        } else {
            Err(KeyError::Unsupported)
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        // With an exponent of 1 anybody signs.
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !(2048..=8192).contains(&bits) || !odd(n) || !odd(e) || e.len() > 4 || e == [1] {
            return Err(KeyError::Rsa { bits });
        }
        let numbers = RsaPublicKeyComponents { n: n.to_vec(), e: e.to_vec() };
        Ok(Self { id: None, material: Material::Rsa(numbers) })
    }

    fn p256(point: &[u8]) -> Result<Self, KeyError> {
        match <[u8; 65]>::try_from(point) {
            Ok(point @ [4, ..]) => Ok(Self { id: None, material: Material::P256(point) }),
            _ => Err(KeyError::Unsupported),
        }
    }

    fn ed25519(key: &[u8]) -> Result<Self, KeyError> {
        let key = key.try_into().map_err(|_| KeyError::Unsupported)?;
        Ok(Self { id: None, material: Material::Ed25519(key) })
    }
}

impl KeySet {
    /// Collects keys; at most eight, without two of one name and algorithm.
    ///
    /// # Errors
    /// None, too many, or two with one name.
    pub fn new(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.len() > CONFIGURED_KEYS {
            return Err(KeyError::TooMany { max: CONFIGURED_KEYS });
        }
        Self::collect(keys)
    }

    /// Reads a JWKS document (RFC 7517) from a file.
    ///
    /// # Errors
    /// The file cannot be read or the document is none.
    pub fn from_jwks_file(path: &Path) -> Result<Self, KeyError> {
        let document = fs::read(path).map_err(|error| KeyError::file(path, &error))?;
        Self::from_jwks(&document, Origin::File)
    }

    /// Reads a JWKS document (RFC 7517) of at most 1 MiB and 100 keys. Keys that are not for
    /// checking signatures, or not of a known kind, are left out.
    ///
    /// # Errors
    /// It is no such document, is too large, names two keys alike, or has no key that is of use.
    pub fn from_jwks(document: &[u8], origin: Origin) -> Result<Self, KeyError> {
        Self::collect(jwks::read(document, origin)?)
    }

    fn collect(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        for (index, key) in keys.iter().enumerate() {
            let mut others = keys.iter().skip(index + 1);
            let same = |other: &Key| other.id == key.id && other.algorithm() == key.algorithm();
            if key.id.is_some() && others.any(same) {
                return Err(KeyError::SameName);
            }
        }
        Ok(Self(keys))
    }

    /// Finds the keys that a token may have been signed with: at most four.
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&Key>, NotFound> {
        let named = || self.0.iter().filter(|key| key.id.as_deref() == id);
        let unnamed = || self.0.iter().filter(|key| key.id.is_none());
        let meant: Vec<&Key> = match id {
            None => self.0.iter().collect(),
            Some(_) if named().next().is_some() => named().collect(),
            Some(_) => unnamed().collect(),
        };
        if meant.is_empty() {
            return Err(NotFound::Unknown);
        }
        let of_algorithm = |key: &&Key| key.algorithm() == algorithm;
        let keys: Vec<&Key> = meant.into_iter().filter(of_algorithm).collect();
        match keys.len() {
            0 => Err(NotFound::Algorithm),
            1..=CANDIDATES => Ok(keys),
            _ => Err(NotFound::Ambiguous),
        }
    }
}

impl From<Key> for KeySet {
    fn from(key: Key) -> Self {
        Self(vec![key])
    }
}

impl Algorithm {
    /// Reads the name that tokens and keys say as `alg`. `Ed25519` is the newer name of the only
    /// `EdDSA` there is here (RFC 9864).
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Key");
        shown.field("id", &self.id).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

/// Drops the zeros that DER and some makers of JWKS put before a number.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The most keys in a configuration: the old and the new one, for a few issuers' worth of changes.
const CONFIGURED_KEYS: usize = 8;

/// The most keys that one token is tried with; a check with RSA takes tens of microseconds.
const CANDIDATES: usize = 4;

#[cfg(test)]
mod tests;
