//! Why something is no key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::auth::json::JsonError;

/// Why something is no key, or no set of keys. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// A file cannot be read.
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        kind: io::ErrorKind,
    },
    /// The document is no JSON that is taken.
    Json(JsonError),
    /// The document is no JWKS.
    Jwks,
    /// The document is larger than 1 MiB.
    Long,
    /// There is no key that signatures can be checked with.
    None,
    /// It is no public key in PEM.
    Pem,
    /// What is given as a secret is a PEM document.
    PemAsSecret,
    /// The RSA key has not 2048 to 8192 bits, or a bad exponent.
    Rsa {
        /// The bits that it has.
        bits: usize,
    },
    /// Two keys have one name.
    SameName,
    /// The secret has fewer than 32 bytes.
    ShortSecret {
        /// The bytes that it has.
        seen: usize,
    },
    /// There are too many keys.
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// It is a key of a kind that is not known: RSA, P-256 and Ed25519 are.
    Unsupported,
}

impl KeyError {
    /// Tells of a file that cannot be read.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File { path: path.to_owned(), kind: error.kind() }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, kind } => write!(f, "{}: {kind}", path.display()),
            Self::Json(error) => write!(f, "the keys: {error}"),
            Self::Jwks => f.write_str("not a JWKS document"),
            Self::Long => f.write_str("a JWKS document has at most 1 MiB"),
            Self::None => f.write_str("no key to check signatures with"),
            Self::Pem => f.write_str("not a public key in PEM (BEGIN PUBLIC KEY)"),
            Self::PemAsSecret => f.write_str("a PEM document is no secret; name it as a key"),
            Self::Rsa { bits } => {
                write!(f, "an RSA key has 2048 to 8192 bits and a sound exponent; this has {bits}")
            }
            Self::SameName => f.write_str("two keys have one name"),
            Self::ShortSecret { seen } => {
                write!(f, "a secret has at least 32 bytes and this one {seen}")
            }
            Self::TooMany { max } => write!(f, "more than {max} keys"),
            Self::Unsupported => f.write_str("keys are RSA, P-256 or Ed25519"),
        }
    }
}

impl std::error::Error for KeyError {}

impl From<JsonError> for KeyError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}
