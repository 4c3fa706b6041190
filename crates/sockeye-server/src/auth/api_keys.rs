//! Keys of the HTTP API: for back ends, which may do everything.

use std::fmt;

use ring::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq};

use super::credentials::{bearer, header_values, only, query_values};
use super::denied::Denied;
use super::keys::KeyError;
use super::secret::SECRET_BYTES;

/// The keys that back ends may use. Without any, none is right.
///
/// Only the hashes of the keys are kept, and all of them are compared in constant time whatever
/// the first ones say: how long a refusal takes tells neither length nor beginning of a key.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    /// Takes keys of at least 32 bytes each.
    ///
    /// # Errors
    /// One is shorter.
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<Self, KeyError> {
        let hash_of = |key: K| match key.as_ref().len() {
            seen @ ..SECRET_BYTES => Err(KeyError::ShortSecret { seen }),
            _ => Ok(hash(key.as_ref().as_bytes())),
        };
        keys.into_iter().map(hash_of).collect::<Result<_, _>>().map(Self)
    }

    /// Tells whether there are any; the HTTP API is off without.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the key in a request: `Authorization: Bearer` or `X-API-Key`.
    ///
    /// # Errors
    /// [`Denied::KeyInQuery`] for a key in the URL, where logs and browsers keep it, even a right
    /// one and in the place of a token; [`Denied::Missing`] without a key; [`Denied::Malformed`] with two;
    /// [`Denied::WrongKey`].
    pub fn check(&self, target: &str, headers: &[(&str, &[u8])]) -> Result<(), Denied> {
        let mut tokens = query_values(target, "token");
        if QUERY_NAMES.iter().any(|name| query_values(target, name).next().is_some())
            || tokens.any(|token| self.contains(token.as_bytes()))
        {
            return Err(Denied::KeyInQuery);
        }
        let bearer = bearer(headers)?.map(String::into_bytes);
        let header = only(header_values(headers, "x-api-key"))?.map(<[u8]>::to_vec);
        let key = only([bearer, header].into_iter().flatten())?.ok_or(Denied::Missing)?;
        if self.contains(&key) { Ok(()) } else { Err(Denied::WrongKey) }
    }

    fn contains(&self, key: &[u8]) -> bool {
        let seen = hash(key);
        let any = |found: Choice, key: &[u8; 32]| found | key.ct_eq(&seen);
        self.0.iter().fold(Choice::from(0), any).into()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    // The lengths are equal, both are of SHA-256.
    bytes.copy_from_slice(digest(&SHA256, key).as_ref());
    bytes
}

/// What keys in queries are called.
const QUERY_NAMES: [&str; 5] = ["api_key", "apikey", "api-key", "key", "x-api-key"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::credentials::CredentialError;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn keys() -> ApiKeys {
        ApiKeys::new([OLD, NEW]).unwrap()
    }

    #[test]
    fn every_key_is_right_in_either_header() {
        for key in [OLD, NEW] {
            let bearer = format!("Bearer {key}");
            assert_eq!(keys().check("/publish", &[("Authorization", bearer.as_bytes())]), Ok(()));
            assert_eq!(keys().check("/publish", &[("x-api-key", key.as_bytes())]), Ok(()));
        }
    }

    // PUB-008
    #[test]
    fn key_wrong_in_any_byte_shorter_or_longer_goes_the_one_way_through_ct_eq() {
        // Hashes are compared, so length and beginning of a key are nowhere to be seen, by the one
        // function below, whose verdict is subtle's `Choice` until all keys have been asked.
        let wrong = |key: &[u8]| {
            let denied = keys().check("/publish", &[("x-api-key", key)]);
            assert_eq!(denied, Err(Denied::WrongKey), "{key:?}");
        };
        for at in 0..OLD.len() {
            wrong(&OLD.as_bytes()[..at]);
            let mut other = OLD.as_bytes().to_vec();
            other[at] ^= 1;
            wrong(&other);
        }
        wrong(OLD.repeat(100).as_bytes());
        wrong(&hash(OLD.as_bytes()));
    }

    #[test]
    fn key_in_the_query_is_refused_even_a_right_one() {
        let in_place_of_a_token = format!("/t/a?token={OLD}");
        assert_eq!(keys().check(&in_place_of_a_token, &[]), Err(Denied::KeyInQuery));
        assert_eq!(keys().check("/t/a?token=a.b.c", &[]), Err(Denied::Missing));
        let right: &[(&str, &[u8])] = &[("x-api-key", OLD.as_bytes())];
        for name in QUERY_NAMES {
            let target = format!("/publish?{name}={OLD}");
            assert_eq!(keys().check(&target, right), Err(Denied::KeyInQuery), "{name}");
        }
        assert_eq!(Denied::KeyInQuery.status(), 400);
    }

    #[test]
    fn no_key_and_two_keys_are_refused() {
        assert_eq!(keys().check("/publish", &[]), Err(Denied::Missing));
        let bearer = format!("Bearer {OLD}");
        let two: &[(&str, &[u8])] =
            &[("x-api-key", OLD.as_bytes()), ("authorization", bearer.as_bytes())];
        let several = Err(Denied::Malformed(CredentialError::Several));
        assert_eq!(keys().check("/publish", two), several);
    }

    #[test]
    fn without_keys_none_is_right() {
        let none = ApiKeys::default();
        assert!(none.is_empty());
        assert_eq!(none.check("/", &[("x-api-key", OLD.as_bytes())]), Err(Denied::WrongKey));
        assert_eq!(none.check("/", &[("x-api-key", b"")]), Err(Denied::WrongKey));
    }

    #[test]
    fn short_key_is_refused_and_debug_shows_none() {
        assert_eq!(ApiKeys::new(["short"]).unwrap_err(), KeyError::ShortSecret { seen: 5 });
        assert_eq!(format!("{:?}", keys()), "ApiKeys(2)");
    }
}
