//! Prints configurations as TOML: the one in use, and an example of every key.

use std::fmt::Write as _;

use super::keys::{keys, topic_keys};
use super::value::show_time;
use super::{Config, Kind, Topic};

impl Config {
    /// Writes the configuration as TOML: every key that is set, defaults too, secrets as `***`.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut section = "";
        for key in keys() {
            let Some(value) = key.show(self) else { continue };
            let name = open_section(&mut out, &mut section, key.path);
            let _ = writeln!(out, "{name} = {value}");
        }
        for topic in &self.topics {
            out.push_str("\n[[topic]]\n");
            for key in topic_keys() {
                if let Some(value) = key.show(topic) {
                    let _ = writeln!(out, "{} = {value}", key.path);
                }
            }
        }
        out
    }

    /// Writes a file in which every key stands with what it does and its default; those that have
    /// none are commented out.
    pub fn example() -> String {
        let mut out = EXAMPLE_HEAD.to_owned();
        let mut section = "";
        let config = Self::default();
        for key in keys() {
            let name = open_section(&mut out, &mut section, key.path);
            let _ = write!(out, "\n# {}: {}.\n", key.doc, key.kind.allowed());
            let _ = match key.show(&config) {
                Some(value) => writeln!(out, "{name} = {value}"),
                None => writeln!(out, "# {name} = {}", sample(key.kind)),
            };
        }
        out.push_str(EXAMPLE_TOPIC);
        let topic = Topic::default();
        for key in topic_keys() {
            let value = key.show(&topic).unwrap_or_else(|| sample(key.kind));
            let _ = write!(out, "#\n# # {}: {}.\n", key.doc, key.kind.allowed());
            let _ = writeln!(out, "# {} = {value}", key.path);
        }
        out
    }
}

/// Begins the section of a key unless it has begun; returns the key's name in it.
fn open_section<'a>(out: &mut String, section: &mut &'a str, path: &'a str) -> &'a str {
    let (of, name) = path.rsplit_once('.').unwrap_or(("", path));
    if *section != of {
        *section = of;
        let _ = writeln!(out, "\n[{of}]");
    }
    name
}

/// Makes up a value for a key that has no default.
fn sample(kind: Kind) -> String {
    match kind {
        Kind::Bytes { min, .. } | Kind::Count { min, .. } => min.to_string(),
        Kind::Flag => "false".to_owned(),
        Kind::Choices(_) | Kind::List(_) | Kind::Secrets => "[]".to_owned(),
        Kind::Time { min, .. } => format!("\"{}\"", show_time(min)),
        Kind::Choice(_) | Kind::Secret | Kind::Text(_) => "\"\"".to_owned(),
    }
}

const EXAMPLE_HEAD: &str = "\
# Configuration of `sockeye serve`. Each key has its default here; a key without one is commented
# out. Flags win over the environment, the environment over this file. See docs/configuration.md.
";

const EXAMPLE_TOPIC: &str = "
# How topics behave: the first rule that matches decides, and these defaults where none does.
# [[topic]]
";
