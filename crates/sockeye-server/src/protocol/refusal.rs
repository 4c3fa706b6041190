//! Why a command is not carried out, in the words that clients get.
//!
//! Owns the codes, which never change, and sees to it that no word is of the server's inside: a
//! text is either written here or one of the hub's about what the client itself sent.

use std::borrow::Cow;

use sockeye_hub::{Id, NameError, Refused};

use crate::auth::Denied;

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// The id of the topic's last message, where another was named.
    pub(crate) last: Option<Id>,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), last: None }
    }

    pub(crate) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("bad_request", message)
    }

    pub(crate) fn limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("limit_exceeded", message)
    }

    pub(crate) fn internal() -> Self {
        Self::new("internal", "the server can't do this for now")
    }

    /// Refuses a name. The text of the rule does not repeat it.
    pub(crate) fn name(member: &'static str, error: NameError) -> Self {
        Self::bad(format!("`{member}`: {error}"))
    }
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Self {
        let code = denied.code();
        let message = match code {
            "permission_denied" => "not permitted",
            "token_expired" => "the token has expired",
            "token_required" => "a token is required",
            "internal" => "this can't be decided for now",
            _ => "the token is not good",
        };
        Self::new(code, message)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Limit { .. } => Self::limit(refused.to_string()),
            Refused::PresenceOff => Self::new("presence_off", refused.to_string()),
            Refused::Version { last } => {
                Self { last, ..Self::new("version_conflict", refused.to_string()) }
            }
            _ => Self::internal(),
        }
    }
}
