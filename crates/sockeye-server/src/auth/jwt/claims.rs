//! What a genuine token says: its times, for whom it is, and the grant.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{Expiry, Rules, TokenError};
use crate::auth::grant::{Grant, Patterns, info, subject};

type Claims = Map<String, Value>;

/// Checks the claims of a token whose signature is good, and makes its grant, which ends when the
/// token does, by the same leeway.
pub(super) fn grant(
    claims: &Claims,
    audiences: &[String],
    rules: Rules,
    now: SystemTime,
) -> Result<Grant, TokenError> {
    let expires = check_times(claims, rules, now)?;
    check_audience(claims, audiences)?;
    let patterns = |name| match claims.get(name) {
        None => Ok(Patterns::default()),
        Some(value) => Patterns::from_json(value),
    };
    Ok(Grant {
        subject: Some(read_subject(claims)?),
        expires,
        publish: patterns("pub")?,
        subscribe: patterns("sub_topics")?,
        info: info(claims.get("info").unwrap_or(&Value::Null))?,
    })
}

/// Checks `exp`, `nbf` and `iat`; returns when the token ends, with the leeway.
fn check_times(
    claims: &Claims,
    rules: Rules,
    now: SystemTime,
) -> Result<Option<SystemTime>, TokenError> {
    let expires = time(claims, "exp")?.map(|end| end + rules.leeway);
    if expires.is_none() && rules.expiry == Expiry::Required {
        return Err(TokenError::MissingClaim("exp"));
    }
    let begins = time(claims, "nbf")?;
    let made = time(claims, "iat")?;
    let latest = now + rules.leeway;
    if expires.is_some_and(|end| end <= now) {
        return Err(TokenError::Expired);
    }
    if begins.is_some_and(|begin| begin > latest) {
        return Err(TokenError::NotYet);
    }
    if made.is_some_and(|made| made > latest) {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(expires)
}

/// Reads a NumericDate: seconds since 1970, up to the year 9999, that may have a fraction.
fn time(claims: &Claims, name: &'static str) -> Result<Option<SystemTime>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let since = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Some(Duration::from_secs(seconds)),
        // Of a negative number, and of one too large for a duration, nothing is left here.
        (None, Some(seconds)) if value.is_number() => Duration::try_from_secs_f64(seconds).ok(),
        _ => None,
    };
    match since {
        Some(since) if since <= YEAR_9999 => Ok(Some(UNIX_EPOCH + since)),
        _ => Err(TokenError::Claim(name)),
    }
}

fn check_audience(claims: &Claims, wanted: &[String]) -> Result<(), TokenError> {
    let named: Vec<&str> = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            let texts = names.iter().map(Value::as_str).collect::<Option<_>>();
            texts.ok_or(TokenError::Claim("aud"))?
        }
        Some(_) => return Err(TokenError::Claim("aud")),
    };
    if wanted.is_empty() || wanted.iter().any(|name| named.contains(&name.as_str())) {
        return Ok(());
    }
    Err(if claims.contains_key("aud") {
        TokenError::Audience
    } else {
        TokenError::MissingClaim("aud")
    })
}

fn read_subject(claims: &Claims) -> Result<String, TokenError> {
    match claims.get("sub") {
        None => Err(TokenError::MissingClaim("sub")),
        Some(Value::String(name)) => Ok(subject(name)?),
        Some(_) => Err(TokenError::Claim("sub")),
    }
}

/// The last second of the year 9999: later times are mistakes, and sums with them could overflow.
const YEAR_9999: Duration = Duration::from_secs(253_402_300_799);
