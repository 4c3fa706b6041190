//! Tokens: JSON Web Tokens (RFC 7519) in the compact form of a JWS (RFC 7515), checked strictly.
//!
//! What a token may say:
//!
//! | claim | what | required |
//! |---|---|---|
//! | `sub` | who the client is: 1 to 255 bytes | yes |
//! | `exp` | when the token ends, in seconds since 1970 | unless configured otherwise |
//! | `nbf`, `iat` | when it begins, when it was made: neither in the future | no |
//! | `iss`, `aud` | who made it, for whom: a text or, for `aud`, a list | when configured |
//! | `pub` | patterns of the topics to publish to: `["chat:1", "news:*"]`, at most 128 | no: none |
//! | `sub_topics` | patterns of the topics to subscribe to | no: none |
//! | `info` | any JSON of at most 4 KiB, shown to other members of a topic | no |
//!
//! The order of checks is by cost: length, form, header, then *which* keys are asked by the issuer
//! that the token claims, among those configured. Nothing else in a token chooses where keys come
//! from: `jku`, `jwk`, `x5u` and `x5c` are never looked at. Claims are believed after the
//! signature has been checked, so a refusal for its time is told only of a token that is genuine.

mod claims;
mod error;
mod token;

use std::time::{Duration, SystemTime};

use super::Moment;
use super::denied::Denied;
use super::grant::Grant;
use super::keys::{KeySet, Keys, Lookup, NotFound};

pub use error::{RulesError, TokenError};
pub(crate) use token::{TOKEN_BYTES, Token};

/// Checks tokens and reads what they allow.
#[derive(Clone, Debug)]
pub struct Verifier {
    trusts: Vec<Trust>,
    rules: Rules,
}

/// One who makes tokens that are believed.
#[derive(Clone, Debug)]
pub struct Trust {
    /// What its tokens say as `iss`; `None` believes the keys whatever the token says.
    pub issuer: Option<String>,
    /// What its tokens must say as `aud`, one of these at least; empty for anything.
    pub audiences: Vec<String>,
    /// Its keys.
    pub keys: Keys,
}

/// What the time has to be like.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How much the clocks of issuers and ours may differ. Default 10 s, at most 30 s.
    pub leeway: Duration,
    /// Whether a token has to end. Default [`Expiry::Required`].
    pub expiry: Expiry,
}

/// Whether a token has to say when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// A token without `exp` is for ever.
    Optional,
    /// A token without `exp` is refused.
    #[default]
    Required,
}

impl Default for Rules {
    fn default() -> Self {
        Self { leeway: Duration::from_secs(10), expiry: Expiry::default() }
    }
}

impl Trust {
    /// Trusts keys, whatever the token says of issuer and audience.
    pub fn in_keys(keys: KeySet) -> Self {
        Self { issuer: None, audiences: Vec::new(), keys: Keys::Fixed(keys.into()) }
    }
}

impl Verifier {
    /// Makes a verifier.
    ///
    /// # Errors
    /// Nobody is trusted, two share an issuer, or the leeway is above 30 s.
    pub fn new(trusts: Vec<Trust>, rules: Rules) -> Result<Self, RulesError> {
        if trusts.is_empty() {
            return Err(RulesError::NoTrust);
        }
        if rules.leeway > MAX_LEEWAY {
            return Err(RulesError::Leeway);
        }
        for (index, trust) in trusts.iter().enumerate() {
            if trusts.iter().skip(index + 1).any(|other| other.issuer == trust.issuer) {
                return Err(RulesError::SameIssuer);
            }
        }
        Ok(Self { trusts, rules })
    }

    /// Checks a token without waiting; `None` when keys have to be fetched first.
    pub fn verify_now(&self, text: &str, now: Moment) -> Option<Result<Grant, Denied>> {
        let parsed = Token::parse(text).and_then(|token| Ok((self.trust(&token)?, token)));
        let (trust, token) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return Some(Err(error.into())),
        };
        match &trust.keys {
            Keys::Fixed(keys) => Some(self.judge(&token, trust, keys, now.wall)),
            Keys::Remote(remote) => match remote.find(&token, now.monotonic) {
                Lookup::Keys(keys) => Some(self.judge(&token, trust, &keys, now.wall)),
                Lookup::Unavailable(why) => Some(Err(Denied::Unavailable(why))),
                Lookup::Wait(_) => None,
            },
        }
    }

    /// Checks a token, fetching keys when that is needed.
    ///
    /// # Errors
    /// [`Denied::Token`] with the rule that it breaks; [`Denied::Unavailable`] when no keys can be
    /// had.
    pub async fn verify(&self, text: &str, now: Moment) -> Result<Grant, Denied> {
        let token = Token::parse(text)?;
        let trust = self.trust(&token)?;
        let keys = match &trust.keys {
            Keys::Fixed(keys) => keys.clone(),
            Keys::Remote(remote) => remote.wait(&token, now.monotonic).await?,
        };
        self.judge(&token, trust, &keys, now.wall)
    }

    /// Finds whose keys are asked: those of the issuer that the token names, else those that are
    /// for any.
    fn trust(&self, token: &Token<'_>) -> Result<&Trust, TokenError> {
        let issuer = token.issuer()?;
        let named = self
            .trusts
            .iter()
            .find(|trust| trust.issuer.is_some() && trust.issuer.as_deref() == issuer);
        let any = || self.trusts.iter().find(|trust| trust.issuer.is_none());
        named.or_else(any).ok_or(if issuer.is_some() {
            TokenError::Issuer
        } else {
            TokenError::MissingClaim("iss")
        })
    }

    fn judge(
        &self,
        token: &Token<'_>,
        trust: &Trust,
        keys: &KeySet,
        now: SystemTime,
    ) -> Result<Grant, Denied> {
        let candidates = keys.find(token.key_id.as_deref(), token.algorithm);
        let mut candidates = candidates.map_err(TokenError::from)?.into_iter();
        if !candidates.any(|key| key.verifies(token.signed, &token.signature)) {
            return Err(TokenError::BadSignature.into());
        }
        Ok(claims::grant(&token.claims, &trust.audiences, self.rules, now)?)
    }
}

/// Checks all of a token that we made but its signature.
pub(super) fn check_minted(text: &str, now: SystemTime) -> Result<(), TokenError> {
    let token = Token::parse(text)?;
    claims::grant(&token.claims, &[], MINTED, now).map(drop)
}

impl From<NotFound> for TokenError {
    fn from(why: NotFound) -> Self {
        match why {
            NotFound::Algorithm => Self::AlgorithmMismatch,
            NotFound::Ambiguous => Self::AmbiguousKey,
            NotFound::Unknown => Self::UnknownKey,
        }
    }
}

/// Clocks that differ by more are wrong, and the more is allowed the longer dead tokens live.
const MAX_LEEWAY: Duration = Duration::from_secs(30);

/// The strictest rules: what they let pass is good everywhere.
const MINTED: Rules = Rules { leeway: Duration::ZERO, expiry: Expiry::Required };

#[cfg(test)]
mod tests;
