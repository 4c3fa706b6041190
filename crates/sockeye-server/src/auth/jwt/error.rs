//! Why a token is refused, and why rules are.

use std::fmt;

use crate::auth::grant::GrantError;
use crate::auth::json::JsonError;

/// The rule that a token breaks. Holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// The key is for another algorithm than the token says.
    AlgorithmMismatch,
    /// It names no key, and more than four might be meant.
    AmbiguousKey,
    /// It is for somebody else.
    Audience,
    /// A part is not base64url without padding.
    Base64,
    /// A claim is of the wrong type or out of range.
    Claim(&'static str),
    /// It has extensions that must be understood, and none is.
    Critical,
    /// It has ended.
    Expired,
    /// What it allows is more or other than a grant holds.
    Grant(GrantError),
    /// A member of its header is of the wrong type or value.
    Header(&'static str),
    /// It was made in the future.
    IssuedInFuture,
    /// It was made by nobody who is trusted.
    Issuer,
    /// A part is no JSON object that is taken.
    Json(JsonError),
    /// It has more than 8 KiB.
    Long,
    /// It has no `alg`.
    MissingAlgorithm,
    /// It lacks a claim.
    MissingClaim(&'static str),
    /// It has not begun.
    NotYet,
    /// It has not three parts.
    Parts,
    /// The signature is not that of the key.
    BadSignature,
    /// Its algorithm is `none` or another that is not known.
    UnknownAlgorithm,
    /// It names a key that there is not.
    UnknownKey,
}

/// Why rules for tokens are refused: the configuration's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulesError {
    /// The leeway is above 30 s.
    Leeway,
    /// Nobody is trusted.
    NoTrust,
    /// Two entries have the same issuer.
    SameIssuer,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmMismatch => f.write_str("the token's algorithm is not its key's"),
            Self::AmbiguousKey => f.write_str("the token names no key and there are many"),
            Self::Audience => f.write_str("the token is for another audience"),
            Self::Base64 => f.write_str("a part of the token is not base64url"),
            Self::Claim(name) => write!(f, "the claim {name} is of a wrong type or out of range"),
            Self::Critical => f.write_str("the token has a critical extension"),
            Self::Expired => f.write_str("the token has expired"),
            Self::Grant(error) => write!(f, "the token's grant: {error}"),
            Self::Header(name) => write!(f, "the token's header has a bad {name}"),
            Self::IssuedInFuture => f.write_str("the token was made in the future"),
            Self::Issuer => f.write_str("the token's issuer is not trusted"),
            Self::Json(error) => write!(f, "a part of the token: {error}"),
            Self::Long => f.write_str("the token is longer than 8 KiB"),
            Self::MissingAlgorithm => f.write_str("the token has no alg"),
            Self::MissingClaim(name) => write!(f, "the token has no {name}"),
            Self::NotYet => f.write_str("the token is not valid yet"),
            Self::Parts => f.write_str("the token has not three parts"),
            Self::BadSignature => f.write_str("the token's signature is wrong"),
            Self::UnknownAlgorithm => f.write_str("the token's algorithm is not taken"),
            Self::UnknownKey => f.write_str("the token names an unknown key"),
        }
    }
}

impl std::error::Error for TokenError {}

impl From<JsonError> for TokenError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<GrantError> for TokenError {
    fn from(error: GrantError) -> Self {
        Self::Grant(error)
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leeway => "the leeway is at most 30 s",
            Self::NoTrust => "there are no keys to check tokens with",
            Self::SameIssuer => "two sets of keys are for the same issuer",
        })
    }
}

impl std::error::Error for RulesError {}
