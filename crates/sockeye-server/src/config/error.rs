//! Why a configuration is refused, and where that stands.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration is refused: one line, which shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: Option<Place>,
    key: Option<String>,
    text: String,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a variable of the environment.
    Env(String),
    /// By a flag.
    Flag(&'static str),
    /// In a line of a file, from 1.
    Line {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
    },
}

impl ConfigError {
    pub(super) fn new(place: Option<Place>, text: impl Into<String>) -> Self {
        Self { place, key: None, text: text.into() }
    }

    /// Blames a key, wherever it was given.
    pub(super) fn of(key: impl Into<String>, text: impl fmt::Display) -> Self {
        let key = key.into();
        Self { place: None, text: format!("{key}: {text}"), key: Some(key) }
    }

    /// Adds the place where the key at fault was given.
    pub(super) fn placed(mut self, place: impl FnOnce(&str) -> Option<Place>) -> Self {
        self.place = self.place.or_else(|| place(self.key.as_deref()?));
        self
    }

    /// Returns where the value at fault was given, where it is one value.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => f.write_str(&self.text),
            Some(place) => write!(f, "{place}: {}", self.text),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
        }
    }
}

impl std::error::Error for ConfigError {}
