//! Reads flags from a command line: `--name value`, each at most once.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// The flags of a command line.
#[derive(Debug)]
pub struct Flags(HashMap<String, String>);

impl Flags {
    /// Reads `arguments`.
    ///
    /// # Errors
    /// A flag without its value, or a word that is no flag.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = HashMap::new();
        let mut arguments = arguments.into_iter();
        while let Some(word) = arguments.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no flag"))?;
            let value = arguments.next().ok_or_else(|| format!("{word} has no value"))?;
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    /// Takes a flag out, or nothing if it was not given.
    ///
    /// # Errors
    /// Its value does not parse.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| format!("--{name} {text}: {error}"))
    }

    /// Checks that every flag has been taken.
    ///
    /// # Errors
    /// One was not: it is unknown.
    pub fn finish(self) -> Result<(), String> {
        self.0.keys().next().map_or(Ok(()), |name| Err(format!("there is no flag --{name}")))
    }
}
