//! The file: TOML, of which every byte has to be understood.
//!
//! Owns how a file is read and what in it is refused. What keys there are is told by
//! [`super::keys`].

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::key::Key;
use super::keys::{find, keys, topic_keys};
use super::load::Draft;
use super::value::shown;
use super::{Config, Topic};

/// A file that has been read, and not been understood yet.
#[derive(Clone)]
pub struct File {
    path: PathBuf,
    text: String,
}

/// A table of the file, with what stands before the names of its keys.
#[derive(Clone, Copy)]
struct Table<'a> {
    entries: &'a DeTable<'a>,
    prefix: &'a str,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, has more than 1 MiB, begins with a byte order mark or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |error: io::Error| at(path, 1, format!("cannot be read: {error}"));
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(refuse)?;
        file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refuse)?;
        Self::from_bytes(path, bytes)
    }

    /// Takes the bytes of a file, of which errors say `path`.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, ConfigError> {
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES {
            let text = format!("the file has more than {FILE_BYTES} bytes");
            return Err(at(path, 1, text));
        }
        if bytes.starts_with("\u{feff}".as_bytes()) {
            let text = "the file begins with a byte order mark; save it as UTF-8 without one";
            return Err(at(path, 1, text));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            at(path, line(error.as_bytes(), good), "what stands here is not UTF-8")
        })?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// Sets what the file says.
    ///
    /// # Errors
    /// The first thing in the file that is not understood.
    pub(super) fn apply(&self, draft: &mut Draft) -> Result<(), ConfigError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            self.refuse(offset, self.syntax(&error))
        })?;
        self.apply_table(Table { entries: table.get_ref(), prefix: "" }, draft)
    }

    fn apply_table(&self, table: Table<'_>, draft: &mut Draft) -> Result<(), ConfigError> {
        for (name, value) in in_order(table.entries) {
            let path = format!("{}{}", table.prefix, name.get_ref());
            if path == TOPIC {
                self.apply_topics(value, draft)?;
            } else if let Some(key) = find(keys(), &path) {
                let read = self.read_value(key, value)?;
                draft.put(key, read, self.place(value.span().start))?;
            } else if is_section(&path) {
                let entries = self.table(&path, value)?;
                self.apply_table(Table { entries, prefix: &format!("{path}.") }, draft)?;
            } else {
                let known = keys().iter().map(|key| key.path).chain([TOPIC]);
                return Err(self.refuse(name.span().start, unknown("key", &path, known)));
            }
        }
        Ok(())
    }

    fn apply_topics(
        &self,
        value: &Spanned<DeValue<'_>>,
        draft: &mut Draft,
    ) -> Result<(), ConfigError> {
        let wrong =
            || self.refuse(value.span().start, "topic: write [[topic]], once for each rule");
        let DeValue::Array(items) = value.get_ref() else { return Err(wrong()) };
        if items.len() > TOPICS {
            let text = format!("topic: there are {} of at most {TOPICS}", items.len());
            return Err(self.refuse(value.span().start, text));
        }
        for item in items.iter() {
            let DeValue::Table(entries) = item.get_ref() else { return Err(wrong()) };
            let topic = self.read_topic(entries, item.span().start, draft)?;
            draft.config.topics.push(topic);
        }
        Ok(())
    }

    fn read_topic(
        &self,
        entries: &DeTable<'_>,
        start: usize,
        draft: &mut Draft,
    ) -> Result<Topic, ConfigError> {
        let mut topic = Topic::default();
        let mut is_named = false;
        for (name, value) in in_order(entries) {
            let Some(key) = find(topic_keys(), name.get_ref()) else {
                let known = topic_keys().iter().map(|key| key.path);
                let text = unknown("key of a topic", name.get_ref(), known);
                return Err(self.refuse(name.span().start, text));
            };
            is_named |= key.path == MATCH;
            let read = self.read_value(key, value)?;
            let offset = value.span().start;
            key.put(&mut topic, read).map_err(|text| self.refuse(offset, text))?;
            draft.note_topic(key.path, self.place(offset));
        }
        if is_named { Ok(topic) } else { Err(self.refuse(start, "topic: `match` is missing")) }
    }

    fn read_value<C>(
        &self,
        key: &Key<C>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<super::value::Value, ConfigError> {
        key.read_toml(value.get_ref()).map_err(|text| self.refuse(value.span().start, text))
    }

    fn table<'a>(
        &self,
        path: &str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Result<&'a DeTable<'a>, ConfigError> {
        match value.get_ref() {
            DeValue::Table(entries) => Ok(entries),
            DeValue::Array(_) => {
                Err(self.refuse(value.span().start, format!("{path}: write [{path}], once")))
            }
            _ => {
                let text = format!("{path}: found a value; allowed is a section, [{path}]");
                Err(self.refuse(value.span().start, text))
            }
        }
    }

    /// Says what is wrong with the syntax, without the text, which may be a secret; but a key that is
    /// there twice is named.
    fn syntax(&self, error: &toml::de::Error) -> String {
        let message = one_line(error.message());
        let name = error.span().and_then(|span| self.text.get(span));
        match name.filter(|_| message.starts_with("duplicate key")) {
            Some(name) => format!("{message} {}", shown(name)),
            None => message,
        }
    }

    fn place(&self, offset: usize) -> Place {
        Place::Line { file: self.path.clone(), line: line(self.text.as_bytes(), offset) }
    }

    fn refuse(&self, offset: usize, text: impl Into<String>) -> ConfigError {
        ConfigError::new(Some(self.place(offset)), text)
    }
}

impl std::fmt::Debug for File {
    /// Leaves the text out: secrets may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

fn at(file: &Path, line: usize, text: impl Into<String>) -> ConfigError {
    ConfigError::new(Some(Place::Line { file: file.to_owned(), line }), text)
}

/// Lists the entries of a table as they stand in the file, so that its first fault is told.
fn in_order<'a>(
    table: &'a DeTable<'a>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// Tells whether keys stand under a name.
fn is_section(path: &str) -> bool {
    let under =
        |key: &Key<Config>| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    keys().iter().any(under)
}

/// Returns the line that an offset is in, from 1, and never one behind the last.
fn line(text: &[u8], offset: usize) -> usize {
    let last = text.strip_suffix(b"\n").unwrap_or(text);
    let before = last.get(..offset).unwrap_or(last);
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// Says that there is no such name, and which one may be meant.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        let in_wrong_section = 1 + strsim::damerau_levenshtein(&last(known), &last(name));
        strsim::damerau_levenshtein(known, name).min(in_wrong_section)
    };
    let found = format!("unknown {what} {}", shown(name));
    if name.len() > NAME_BYTES {
        return found;
    }
    match known.map(|known| (distance(known), known)).min() {
        Some((distance, known)) if distance <= FAR && distance * 2 < name.len() => {
            format!("{found}; did you mean `{known}`?")
        }
        _ => found,
    }
}

/// The most bytes of a file.
const FILE_BYTES: u64 = 1 << 20;

/// The most rules of topics: each new topic is held against all of them.
const TOPICS: usize = 1_000;

/// The most bytes of a name that is held against those that are known.
const NAME_BYTES: usize = 64;

/// How many characters a name may be away from the one that is meant.
const FAR: usize = 3;

const MATCH: &str = "match";

/// What rules of topics are called.
pub(super) const TOPIC: &str = "topic";
