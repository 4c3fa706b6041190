//! Why somebody may not: what the client is told, and what the log is.

use std::fmt;

use super::credentials::CredentialError;
use super::jwt::TokenError;
use super::keys::KeyError;
use crate::fetch::FetchError;

/// Why a client is refused. Clients are told [`Denied::code`] and no more; the text is for the log
/// and never holds a token, a key or anything else that the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// It may be somebody, but not do this.
    Forbidden,
    /// It sent a key of the HTTP API in the URL.
    KeyInQuery,
    /// What it sent to tell who it is can't be read.
    Malformed(CredentialError),
    /// It did not tell who it is, and strangers are not admitted.
    Missing,
    /// Its token is not good.
    Token(TokenError),
    /// Nobody can tell for now.
    Unavailable(Unavailable),
    /// Its key for the HTTP API is none.
    WrongKey,
}

/// Why nobody can tell for now who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The answer of the webhook is not what it must be.
    Answer(&'static str),
    /// What the URL of keys gives is no set of keys.
    Document(KeyError),
    /// The keys or the webhook can't be had.
    Fetch(FetchError),
    /// No key has been fetched within the last hour.
    NoKeys,
}

impl Denied {
    /// Returns the name of the refusal that clients get. It never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden => "permission_denied",
            Self::KeyInQuery => "bad_request",
            Self::Missing => "token_required",
            Self::Token(TokenError::Expired) => "token_expired",
            Self::Malformed(_) | Self::Token(_) => "invalid_token",
            Self::Unavailable(_) => "internal",
            Self::WrongKey => "invalid_key",
        }
    }

    /// Returns the status of an HTTP response that refuses the client.
    pub fn status(&self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::KeyInQuery => 400,
            Self::Malformed(_) | Self::Missing | Self::Token(_) | Self::WrongKey => 401,
            Self::Unavailable(_) => 503,
        }
    }

    /// Returns the code of a Close frame that refuses the client: from 3500 on, coming back with
    /// the same credentials is in vain.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Token(TokenError::Expired) => 3005,
            Self::Malformed(_) | Self::Missing | Self::Token(_) | Self::WrongKey => 3500,
            Self::KeyInQuery => 3501,
            Self::Forbidden => 3507,
            Self::Unavailable(_) => 1013,
        }
    }

    /// Tells whether the same client may be admitted a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("not permitted"),
            Self::KeyInQuery => f.write_str("a key in the URL, where logs keep it"),
            Self::Malformed(error) => write!(f, "{error}"),
            Self::Missing => f.write_str("no token"),
            Self::Token(error) => write!(f, "{error}"),
            Self::Unavailable(error) => write!(f, "{error}"),
            Self::WrongKey => f.write_str("not a key of the HTTP API"),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(fault) => write!(f, "the webhook's answer: {fault}"),
            Self::Document(error) => write!(f, "{error}"),
            Self::Fetch(error) => write!(f, "{error}"),
            Self::NoKeys => f.write_str("no keys that are young enough"),
        }
    }
}

impl std::error::Error for Denied {}

impl std::error::Error for Unavailable {}

impl From<CredentialError> for Denied {
    fn from(error: CredentialError) -> Self {
        Self::Malformed(error)
    }
}

impl From<TokenError> for Denied {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Unavailable> for Denied {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_temporary() {
        let busy = Denied::Unavailable(Unavailable::NoKeys);
        assert_eq!((busy.code(), busy.status(), busy.close_code()), ("internal", 503, 1013));
        assert!(busy.is_temporary());
        let bad = Denied::Token(TokenError::BadSignature);
        assert_eq!((bad.code(), bad.status(), bad.close_code()), ("invalid_token", 401, 3500));
        assert!(!bad.is_temporary());
        let old = Denied::Token(TokenError::Expired);
        assert_eq!((old.code(), old.status(), old.close_code()), ("token_expired", 401, 3005));
    }
}
