//! A token taken apart: its form and its header. Nothing here is believed yet.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

use super::TokenError;
use crate::auth::json::parse_object;
use crate::auth::keys::{Algorithm, ID_BYTES};

/// A token whose signature has not been checked.
pub(crate) struct Token<'a> {
    /// What it says its algorithm is.
    pub(crate) algorithm: Algorithm,
    /// What it says its key is.
    pub(crate) key_id: Option<String>,
    /// What is signed: header and claims as they came.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES {
            return Err(TokenError::Long);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Parts)?;
        if claims.contains('.') {
            return Err(TokenError::Parts);
        }
        let header = parse_object(&decode(header)?)?;
        let (algorithm, key_id) = read_header(&header)?;
        let signature = decode(signature)?;
        let claims = parse_object(&decode(claims)?)?;
        Ok(Self { algorithm, key_id, signed: signed.as_bytes(), signature, claims })
    }

    /// Returns who it says has made it.
    pub(super) fn issuer(&self) -> Result<Option<&str>, TokenError> {
        match self.claims.get("iss") {
            None => Ok(None),
            Some(Value::String(issuer)) => Ok(Some(issuer)),
            Some(_) => Err(TokenError::Claim("iss")),
        }
    }
}

/// Decodes base64url: no padding, no white space, unused bits zero.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64.decode(part).map_err(|_| TokenError::Base64)
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), TokenError> {
    if header.contains_key("crit") {
        return Err(TokenError::Critical);
    }
    let algorithm = match header.get("alg") {
        None => return Err(TokenError::MissingAlgorithm),
        Some(Value::String(name)) => Algorithm::from_name(name),
        Some(_) => None,
    };
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= ID_BYTES => Some(id.clone()),
        Some(_) => return Err(TokenError::Header("kid")),
    };
    match header.get("typ") {
        None => {}
        Some(Value::String(name)) if is_type(name) => {}
        Some(_) => return Err(TokenError::Header("typ")),
    }
    Ok((algorithm.ok_or(TokenError::UnknownAlgorithm)?, key_id))
}

/// Tells whether tokens of a type say what somebody may do; others made by the same issuer, as
/// proofs of a log-out, do not (RFC 8725, section 3.11).
fn is_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
}

/// The most bytes of a token. More does not fit into the headers of many proxies either.
pub(crate) const TOKEN_BYTES: usize = 8 * 1024;
