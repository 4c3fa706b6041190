//! Secrets: bytes that no log, error or debug output may show.

use std::fmt;
use std::fs;
use std::path::Path;

use ring::hmac;

use super::keys::KeyError;

/// A secret shared with whoever makes tokens or checks webhooks: at least 32 bytes, as RFC 7518
/// (section 3.2) wants for HS256. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// Takes the bytes of a secret.
    ///
    /// # Errors
    /// It is too short, or a PEM document: a public key is no secret, though it looks like one.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.starts_with(b"-----BEGIN") {
            return Err(KeyError::PemAsSecret);
        }
        if bytes.len() < SECRET_BYTES {
            return Err(KeyError::ShortSecret { seen: bytes.len() });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// Reads a secret from a file, without the line end behind it.
    ///
    /// # Errors
    /// The file cannot be read, or [`Secret::new`] refuses what it holds.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let bytes = fs::read(path).map_err(|error| KeyError::file(path, &error))?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        Self::new(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Makes the HMAC-SHA256 of a text.
    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 32] {
        let mut code = [0; 32];
        // The lengths are equal, both are of SHA-256.
        code.copy_from_slice(hmac::sign(&self.0, text).as_ref());
        code
    }

    /// Tells whether a text has this HMAC-SHA256, in a time that says nothing of where they differ.
    pub(crate) fn verifies(&self, text: &[u8], code: &[u8]) -> bool {
        hmac::verify(&self.0, text, code).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The fewest bytes of a secret: the output of the hash; below it, guessing the secret is easier.
pub const SECRET_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_of_31_bytes_is_refused() {
        assert_eq!(Secret::new(&[7; 31]).unwrap_err(), KeyError::ShortSecret { seen: 31 });
        assert!(Secret::new(&[7; 32]).is_ok());
    }

    #[test]
    fn public_key_given_as_a_secret_is_refused() {
        let pem = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
        assert_eq!(Secret::new(pem).unwrap_err(), KeyError::PemAsSecret);
    }

    // PUB-008
    #[test]
    fn wrong_code_of_any_length_goes_the_one_way_through_hmac_verify() {
        // `ring::hmac::verify` compares in constant time, and no other comparison of codes is here.
        let secret = Secret::new(&[7; 32]).unwrap();
        let right = secret.sign(b"text");
        assert!(secret.verifies(b"text", &right));
        for at in 0..right.len() {
            let mut wrong = right;
            wrong[at] ^= 1;
            assert!(!secret.verifies(b"text", &wrong), "{at}");
            assert!(!secret.verifies(b"text", &right[..at]), "{at}");
        }
        assert!(!secret.verifies(b"text", &[&right[..], &[0]].concat()));
    }

    #[test]
    fn file_gives_the_secret_without_its_line_end() {
        let path = std::env::temp_dir().join(format!("sockeye-secret-{}", std::process::id()));
        fs::write(&path, format!("{}\r\n", "s".repeat(32))).unwrap();
        let read = Secret::from_file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Secret::new(&[b's'; 32]).unwrap().verifies(b"x", &read.sign(b"x")));
        assert!(matches!(Secret::from_file(&path), Err(KeyError::File { .. })));
    }

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        let secret = Secret::new(b"correct horse battery staple 1234567").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
