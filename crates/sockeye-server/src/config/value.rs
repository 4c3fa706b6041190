//! Values on their way between a text and a field: what the file, the environment and flags have in
//! common, and what is printed.
//!
//! Owns how a value is written. Which values a key takes is the key's ([`super::key::Kind`]).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sockeye_hub::Pattern;
use sockeye_proto::handshake::Network;

use super::types::{Address, Ask, Hidden, LogFormat, LogLevel, OriginEntry, Presence, Slow, Url};

/// A value of any key. `Display` writes it as TOML, a secret masked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    List(Vec<Value>),
    Number(u64),
    Secret(Hidden),
    Text(String),
    Time(Duration),
    /// Apart from texts, since what is compared is not all that is shown.
    Url(Url),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Secret(secret) => write!(f, "\"{secret}\""),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Url(url) => f.write_str(&quoted(&url.to_string())),
            Self::Time(time) => write!(f, "\"{}\"", show_time(*time)),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A field of the configuration, whatever its type.
pub(super) trait Field {
    /// Takes a value of the kind that the field's key has.
    ///
    /// # Errors
    /// What is wrong with it, as half a sentence.
    fn put(&mut self, value: Value) -> Result<(), String>;

    /// Returns the value; `None` when it is not set.
    fn get(&self) -> Option<Value>;

    /// Takes the value away, where it may be absent or empty.
    fn clear(&mut self) {}
}

/// A type that stands for one value.
pub(super) trait Scalar: Sized {
    fn from_value(value: Value) -> Result<Self, String>;
    fn to_value(&self) -> Value;
}

impl<T: Scalar> Field for T {
    fn put(&mut self, value: Value) -> Result<(), String> {
        *self = T::from_value(value)?;
        Ok(())
    }

    fn get(&self) -> Option<Value> {
        Some(self.to_value())
    }
}

impl<T: Scalar> Field for Option<T> {
    fn put(&mut self, value: Value) -> Result<(), String> {
        *self = Some(T::from_value(value)?);
        Ok(())
    }

    fn get(&self) -> Option<Value> {
        self.as_ref().map(T::to_value)
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: Scalar> Field for Vec<T> {
    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::List(items) = value else { return Err(MISMATCH.to_owned()) };
        *self = items.into_iter().map(T::from_value).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn get(&self) -> Option<Value> {
        Some(Value::List(self.iter().map(T::to_value).collect()))
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// A list that may be absent, which is something else than an empty one.
impl<T: Scalar> Field for Option<Vec<T>> {
    fn put(&mut self, value: Value) -> Result<(), String> {
        self.insert(Vec::new()).put(value)
    }

    fn get(&self) -> Option<Value> {
        self.as_ref().and_then(Field::get)
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl Scalar for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::Flag(flag) = value { Ok(flag) } else { Err(MISMATCH.to_owned()) }
    }

    fn to_value(&self) -> Value {
        Value::Flag(*self)
    }
}

impl Scalar for usize {
    fn from_value(value: Value) -> Result<Self, String> {
        let Value::Number(number) = value else { return Err(MISMATCH.to_owned()) };
        number.try_into().map_err(|_| "that is too large for this machine".to_owned())
    }

    fn to_value(&self) -> Value {
        Value::Number(u64::try_from(*self).unwrap_or(u64::MAX))
    }
}

impl Scalar for Duration {
    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::Time(time) = value { Ok(time) } else { Err(MISMATCH.to_owned()) }
    }

    fn to_value(&self) -> Value {
        Value::Time(*self)
    }
}

impl Scalar for Hidden {
    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::Secret(secret) = value { Ok(secret) } else { Err(MISMATCH.to_owned()) }
    }

    fn to_value(&self) -> Value {
        Value::Secret(self.clone())
    }
}

impl Scalar for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text.is_empty() => Err("it is empty".to_owned()),
            Value::Text(text) => Ok(text),
            _ => Err(MISMATCH.to_owned()),
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Scalar for PathBuf {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Self::from)
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string_lossy().into_owned())
    }
}

impl Scalar for Pattern {
    fn from_value(value: Value) -> Result<Self, String> {
        parse(value)
    }

    fn to_value(&self) -> Value {
        Value::Text(match self {
            Self::Exact(name) => name.as_str().to_owned(),
            Self::Prefix(prefix) => format!("{prefix}*"),
        })
    }
}

/// Makes scalars of types that are written as text.
macro_rules! text_scalars {
    ($($name:ty),+ $(,)?) => {$(
        impl Scalar for $name {
            fn from_value(value: Value) -> Result<Self, String> {
                parse(value)
            }

            fn to_value(&self) -> Value {
                Value::Text(self.to_string())
            }
        }
    )+};
}

text_scalars!(Address, Ask, LogFormat, LogLevel, Network, OriginEntry, Presence, Slow);

impl Scalar for Url {
    fn from_value(value: Value) -> Result<Self, String> {
        parse(value)
    }

    fn to_value(&self) -> Value {
        Value::Url(self.clone())
    }
}

fn parse<T: std::str::FromStr<Err: fmt::Display>>(value: Value) -> Result<T, String> {
    let text = String::from_value(value)?;
    text.parse().map_err(|error: T::Err| format!("{}: {error}", shown(&text)))
}

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`. `None` for anything else.
pub fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    number.checked_mul(unit).map(Duration::from_millis)
}

/// Writes a duration so that [`parse_time`] reads it, in the largest unit that it is whole in.
pub(super) fn show_time(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let fits = |unit: &&(&str, u64)| millis % unit.1 == 0 && millis >= unit.1;
    match UNITS.iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => "0s".to_owned(),
    }
}

/// Writes a text as a basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if needs_escape(control) => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Shows a text in an error: quoted, on one line, cut.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => quoted(text),
        Some((end, _)) => format!("{}…", quoted(text.get(..end).unwrap_or_default())),
    }
}

/// Tells whether a character would end a line or command a terminal.
fn needs_escape(character: char) -> bool {
    let is_separator = matches!(character, '\u{2028}' | '\u{2029}');
    let is_direction = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_separator || is_direction
}

/// Units of time in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The most characters of a bad value that an error shows.
const SHOWN_CHARACTERS: usize = 60;

/// What is said when a key's kind and its field don't fit; a test takes every key through it.
const MISMATCH: &str = "that is of another kind";
