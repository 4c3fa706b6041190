//! What is known of a key: its names, what it takes, and the field that it sets.

use std::time::Duration;

use toml::de::DeValue;

use super::types::Hidden;
use super::value::{Field, Value, parse_time, show_time, shown};
use crate::auth::SECRET_BYTES;

/// A key of the configuration: of [`super::Config`] or of one [`super::Topic`].
pub struct Key<C: 'static = super::Config> {
    pub(super) path: &'static str,
    pub(super) env: &'static str,
    pub(super) flag: &'static str,
    pub(super) kind: Kind,
    pub(super) reload: Reload,
    pub(super) doc: &'static str,
    pub(super) field: fn(&C) -> &dyn Field,
    pub(super) field_mut: fn(&mut C) -> &mut dyn Field,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A number of bytes.
    Bytes {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A list of these names.
    Choices(&'static [&'static str]),
    /// A number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// True or false.
    Flag,
    /// A list of texts.
    List(&'static str),
    /// A secret. There is no flag for it.
    Secret,
    /// A list of secrets. There is no flag for it.
    Secrets,
    /// A text.
    Text(&'static str),
    /// A duration, such as `25s`.
    Time {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
        /// How flags and the environment may give it besides.
        text: TimeText,
    },
}

/// How flags and the environment may give a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeText {
    /// Also as a number of seconds.
    OrSeconds,
    /// With its unit.
    WithUnit,
}

/// When a new value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// When the configuration is read again.
    Live,
    /// When the server is started again.
    Restart,
}

impl<C> Key<C> {
    /// Returns its name in the file, sections before it: `limits.connections`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the variable of the environment; `None` where there is none.
    pub fn env(&self) -> Option<&'static str> {
        Some(self.env).filter(|name| !name.is_empty())
    }

    /// Returns the flag without its dashes; `None` for secrets, which a list of processes would
    /// show, and for keys of topics.
    pub fn flag(&self) -> Option<&'static str> {
        Some(self.flag).filter(|name| !name.is_empty())
    }

    /// Returns what it takes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns when a new value takes effect.
    pub fn reload(&self) -> Reload {
        self.reload
    }

    /// Returns what it does, in a few words.
    pub fn doc(&self) -> &'static str {
        self.doc
    }

    /// Writes the value that a configuration has, as TOML; `None` when it is not set.
    pub(super) fn show(&self, config: &C) -> Option<String> {
        (self.field)(config).get().map(|value| value.to_string())
    }

    /// Returns the value that a configuration has.
    pub(super) fn value(&self, config: &C) -> Option<Value> {
        (self.field)(config).get()
    }

    /// Sets the field.
    pub(super) fn put(&self, config: &mut C, value: Value) -> Result<(), String> {
        let refused = |what| format!("{}: {what}; allowed is {}", self.path, self.kind.allowed());
        (self.field_mut)(config).put(value).map_err(refused)
    }

    /// Takes the value away, where it may be absent or empty.
    pub(super) fn clear(&self, config: &mut C) {
        (self.field_mut)(config).clear();
    }

    /// Reads a value of the file.
    pub(super) fn read_toml(&self, value: &DeValue<'_>) -> Result<Value, String> {
        self.kind.read_toml(value).ok_or_else(|| self.refuse(&self.kind.describe(value)))
    }

    /// Reads a value of a flag or of the environment.
    pub(super) fn read_text(&self, text: &str) -> Result<Value, String> {
        let found = || if self.kind.is_secret() { SHORTER.to_owned() } else { shown(text) };
        self.kind.read_text(text).ok_or_else(|| self.refuse(&found()))
    }

    fn refuse(&self, found: &str) -> String {
        format!("{}: found {found}; allowed is {}", self.path, self.kind.allowed())
    }
}

impl Kind {
    /// Says what is allowed.
    pub fn allowed(&self) -> String {
        match self {
            Self::Bytes { min, max } => format!("a number of bytes from {min} to {max}"),
            Self::Choice(names) => format!("one of {}", listed(names)),
            Self::Choices(names) => format!("a list of {}", listed(names)),
            Self::Count { min, max } => format!("a number from {min} to {max}"),
            Self::Flag => "true or false".to_owned(),
            Self::List(what) => format!("a list of {what}"),
            Self::Secret => "a text of at least 32 bytes".to_owned(),
            Self::Secrets => "a list of texts of at least 32 bytes each".to_owned(),
            Self::Text(what) => (*what).to_owned(),
            Self::Time { min, max, .. } => {
                format!("a time from \"{}\" to \"{}\"", show_time(*min), show_time(*max))
            }
        }
    }

    /// Tells whether values may not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret | Self::Secrets)
    }

    fn read_toml(&self, value: &DeValue<'_>) -> Option<Value> {
        match (self, value) {
            (Self::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(*flag)),
            (Self::Bytes { .. } | Self::Count { .. }, DeValue::Integer(number)) => {
                self.number(u64::from_str_radix(number.as_str(), number.radix()).ok()?)
            }
            (Self::Time { .. }, DeValue::String(text)) => self.time(parse_time(text)?),
            (Self::Choice(_) | Self::Text(_) | Self::Secret, DeValue::String(text)) => {
                self.text(text)
            }
            (Self::Choices(_) | Self::List(_) | Self::Secrets, DeValue::Array(items)) => {
                let texts = items.iter().map(|item| item.get_ref().as_str());
                self.list(texts.collect::<Option<Vec<&str>>>()?)
            }
            _ => None,
        }
    }

    fn read_text(&self, text: &str) -> Option<Value> {
        match self {
            Self::Flag => text.parse().ok().map(Value::Flag),
            Self::Bytes { .. } | Self::Count { .. } => self.number(decimal(text)?),
            Self::Time { text: TimeText::OrSeconds, .. } => {
                let plain = || decimal(text).map(Duration::from_secs);
                self.time(parse_time(text).or_else(plain)?)
            }
            Self::Time { .. } => self.time(parse_time(text)?),
            Self::Choice(_) | Self::Text(_) | Self::Secret => self.text(text),
            Self::Choices(_) | Self::List(_) | Self::Secrets => {
                let items = text.split(',').map(str::trim);
                self.list(if text.is_empty() { Vec::new() } else { items.collect() })
            }
        }
    }

    fn number(&self, number: u64) -> Option<Value> {
        let (Self::Bytes { min, max } | Self::Count { min, max }) = self else { return None };
        (min..=max).contains(&&number).then_some(Value::Number(number))
    }

    fn time(&self, time: Duration) -> Option<Value> {
        let Self::Time { min, max, .. } = self else { return None };
        (min..=max).contains(&&time).then_some(Value::Time(time))
    }

    fn text(&self, text: &str) -> Option<Value> {
        match self {
            Self::Choice(names) | Self::Choices(names) if !names.contains(&text) => None,
            Self::Secret | Self::Secrets if text.len() < SECRET_BYTES => None,
            Self::Secret | Self::Secrets => Some(Value::Secret(Hidden::new(text))),
            _ => Some(Value::Text(text.to_owned())),
        }
    }

    fn list(&self, texts: Vec<&str>) -> Option<Value> {
        if texts.len() > LIST_ITEMS {
            return None;
        }
        texts.into_iter().map(|text| self.text(text)).collect::<Option<_>>().map(Value::List)
    }

    /// Says what stands where a value was expected; of a secret, its type.
    fn describe(&self, value: &DeValue<'_>) -> String {
        match value {
            DeValue::String(_) if self.is_secret() => SHORTER.to_owned(),
            DeValue::String(text) => shown(text),
            DeValue::Array(items) if items.len() > LIST_ITEMS => {
                format!("a list of more than {LIST_ITEMS}")
            }
            DeValue::Array(_) => "a list with other things in it".to_owned(),
            DeValue::Integer(_) | DeValue::Float(_) if self.is_secret() => "a number".to_owned(),
            DeValue::Integer(number) => shown(&number.to_string()).replace('"', ""),
            DeValue::Float(number) => shown(&number.to_string()).replace('"', ""),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Reads digits, without the sign that numbers may otherwise have.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The most items of a list: as many as a grant has patterns.
const LIST_ITEMS: usize = 128;

/// Says what stands in place of a secret that is refused.
const SHORTER: &str = "a shorter text";
