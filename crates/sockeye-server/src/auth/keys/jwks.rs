//! JWKS documents (RFC 7517): which of their keys are taken.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

use super::{Algorithm, Key, KeyError};
use crate::auth::json::parse_object;
use crate::auth::secret::Secret;

/// Where a document is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of ours. It may hold secrets.
    File,
    /// A URL. A secret that everybody can fetch is none, so those are left out.
    Url,
}

/// Reads the keys of a document that signatures can be checked with.
pub(super) fn read(document: &[u8], origin: Origin) -> Result<Vec<Key>, KeyError> {
    if document.len() > DOCUMENT_BYTES {
        return Err(KeyError::Long);
    }
    let members = parse_object(document)?;
    let Some(Value::Array(items)) = members.get("keys") else {
        return Err(KeyError::Jwks);
    };
    if items.len() > KEYS {
        return Err(KeyError::TooMany { max: KEYS });
    }
    let objects = items.iter().map(|item| item.as_object().ok_or(KeyError::Jwks));
    let keys = objects.map(|object| Ok(key(object?, origin)));
    Ok(keys.collect::<Result<Vec<_>, KeyError>>()?.into_iter().flatten().collect())
}

/// Reads one key; `None` for one that is not for this purpose or not of a known kind, as RFC 7517
/// (section 5) wants.
fn key(members: &Map<String, Value>, origin: Origin) -> Option<Key> {
    let key = match (text(members, "kty")?, origin) {
        ("RSA", _) => Key::rsa(&bytes(members, "n")?, &bytes(members, "e")?).ok()?,
        ("EC", _) if text(members, "crv")? == "P-256" => {
            Key::p256(&point(&bytes(members, "x")?, &bytes(members, "y")?)?).ok()?
        }
        ("OKP", _) if text(members, "crv")? == "Ed25519" => {
            Key::ed25519(&bytes(members, "x")?).ok()?
        }
        ("oct", Origin::File) => Key::from_secret(Secret::new(&bytes(members, "k")?).ok()?),
        _ => return None,
    };
    if !checks_signatures(members, key.algorithm()) {
        return None;
    }
    match members.get("kid") {
        None => Some(key),
        Some(Value::String(id)) if (1..=ID_BYTES).contains(&id.len()) => Some(key.with_id(id)),
        Some(_) => None,
    }
}

/// Tells whether a key says of itself that it is for checking signatures of this algorithm.
fn checks_signatures(members: &Map<String, Value>, algorithm: Algorithm) -> bool {
    let is = |name, allowed: &dyn Fn(&Value) -> bool| members.get(name).is_none_or(allowed);
    let verify = |value: &Value| {
        value.as_array().is_some_and(|list| list.iter().any(|item| item == "verify"))
    };
    let same = |value: &Value| value.as_str().and_then(Algorithm::from_name) == Some(algorithm);
    is("use", &|value| value == "sig") && is("key_ops", &verify) && is("alg", &same)
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

fn bytes(members: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64.decode(text(members, name)?).ok()
}

/// Puts the two coordinates into the form of SEC 1, section 2.3.3. Each has its full length (RFC
/// 7518, section 6.2.1.2).
fn point(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == 32 && y.len() == 32).then(|| [&[4], x, y].concat())
}

/// The most bytes of a document. Those of large providers have some 20 KiB.
pub(super) const DOCUMENT_BYTES: usize = 1024 * 1024;

/// The most keys in a document, of use or not.
const KEYS: usize = 100;

/// The most bytes in the name of a key.
pub(crate) const ID_BYTES: usize = 255;
