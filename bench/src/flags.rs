//! Reads flags from a command line: `--name value`, or `--name` alone where it is a switch; each at most once.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// The flags of a command line.
#[derive(Debug)]
pub struct Flags(HashMap<String, String>);

impl Flags {
    /// Reads `arguments`, in which the flags of `switches` have no value.
    ///
    /// # Errors
    /// A flag without its value, or a word that is no flag.
    pub fn parse(
        arguments: impl IntoIterator<Item = String>,
        switches: &[&str],
    ) -> Result<Self, String> {
        let mut flags = HashMap::new();
        let mut arguments = arguments.into_iter();
        while let Some(word) = arguments.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no flag"))?;
            let value =
                if switches.contains(&name) { Some(String::new()) } else { arguments.next() };
            let value = value.ok_or_else(|| format!("{word} has no value"))?;
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

    /// Takes a switch out, and returns whether it was given.
    pub fn switch(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Checks that every flag has been taken.
    ///
    /// # Errors
    /// One was not: it is unknown.
    pub fn finish(self) -> Result<(), String> {
        self.0.keys().next().map_or(Ok(()), |name| Err(format!("there is no flag --{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned), &["render"])
    }

    #[test]
    fn flags_take_the_next_word_and_switches_do_not() {
        let mut flags = parse("--render --runs 3").unwrap();
        assert!(flags.switch("render"));
        assert_eq!(flags.take("runs"), Ok(Some(3)));
        assert_eq!(flags.finish(), Ok(()));
    }

    #[test]
    fn what_is_no_flag_or_lacks_its_value_is_refused() {
        assert_eq!(parse("runs").unwrap_err(), "runs is no flag");
        assert_eq!(parse("--runs").unwrap_err(), "--runs has no value");
        assert_eq!(parse("--ruins 3").unwrap().finish().unwrap_err(), "there is no flag --ruins");
    }
}
