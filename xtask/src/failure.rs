//! How a subcommand fails, and the exit code that tells it.

use std::fmt::Display;

/// Why a subcommand did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A check found something wrong in the repository, or a tool could not be had.
    Check(String),
    /// A child process failed and has already said why on the terminal.
    Told,
    /// The command line makes no sense.
    Usage(String),
}

impl Failure {
    /// Returns what is left to say, if anything is.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Check(message) | Self::Usage(message) => Some(message),
            Self::Told => None,
        }
    }

    /// Returns 2 for a bad command line and 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) | Self::Told => 1,
            Self::Usage(_) => 2,
        }
    }

    /// Makes a check failure out of an error and what was being done when it came.
    pub(crate) fn during(what: impl Display, error: impl Display) -> Self {
        Self::Check(format!("{what}: {error}"))
    }
}

/// Succeeds when `findings` is empty, else fails with one finding per line under `title`.
pub(crate) fn none_found(title: &str, findings: &[String]) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!("{title}\n  {}", findings.join("\n  "))))
}

/// Fails unless the subcommand was called without arguments.
pub(crate) fn no_arguments(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(extra) => Err(Failure::Usage(format!("unexpected argument `{extra}`"))),
    }
}
