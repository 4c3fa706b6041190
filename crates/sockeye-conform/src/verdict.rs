//! What a case can come to.

use serde::{Deserialize, Serialize};

/// How a peer did in a case, in the words of the Autobahn test suite.
///
/// Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// As the rule demands.
    #[serde(rename = "OK")]
    Ok,
    /// The case has no right outcome; the report tells what happened.
    #[serde(rename = "INFORMATIONAL")]
    Informational,
    /// Allowed, though not what the rule recommends.
    #[serde(rename = "NON-STRICT")]
    NonStrict,
    /// The peer lacks the extension that the case is about.
    #[serde(rename = "UNIMPLEMENTED")]
    Unimplemented,
    /// The connection ended without the closing handshake that the case demands.
    #[serde(rename = "UNCLEAN")]
    Unclean,
    /// The peer closed with a code that does not fit.
    #[serde(rename = "WRONG CODE")]
    WrongCode,
    /// Against the rule.
    #[serde(rename = "FAILED")]
    Failed,
}

impl Verdict {
    /// Every verdict, from best to worst.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Informational,
        Self::NonStrict,
        Self::Unimplemented,
        Self::Unclean,
        Self::WrongCode,
        Self::Failed,
    ];

    /// Returns the name by which reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Informational => "INFORMATIONAL",
            Self::NonStrict => "NON-STRICT",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Unclean => "UNCLEAN",
            Self::WrongCode => "WRONG CODE",
            Self::Failed => "FAILED",
        }
    }

    /// Tells whether a run with this verdict counts as failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unclean | Self::WrongCode | Self::Failed)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
