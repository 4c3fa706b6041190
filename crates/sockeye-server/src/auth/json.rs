//! JSON from strangers: bounded in depth, and no member twice.
//!
//! A parser that takes the last of two members and one that takes the first disagree on who may do
//! what, so a document with both is refused (RFC 8725, section 2.4).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are no JSON document that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonError {
    /// It is nested deeper than is allowed.
    Depth,
    /// An object has a member twice.
    Duplicate,
    /// It is not JSON, or more than one document.
    Syntax,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "the JSON is nested too deeply",
            Self::Duplicate => "an object of the JSON has a member twice",
            Self::Syntax => "not JSON",
        })
    }
}

impl std::error::Error for JsonError {}

/// Reads one document of at most 16 levels. Its length is the caller's to bound.
///
/// # Errors
/// The rule that the document breaks.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_within(DEPTH, bytes)
}

/// Reads one document of at most so many levels, which must be fewer than the 128 of serde_json.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_within(levels: usize, bytes: &[u8]) -> Result<Value, JsonError> {
    let fault = Cell::new(JsonError::Syntax);
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { levels, fault: &fault }.deserialize(&mut parser);
    value.and_then(|value| parser.end().map(|()| value)).map_err(|_| fault.get())
}

/// Reads one document that must be an object.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(bytes)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::Syntax),
    }
}

/// Reads a value that may have so many levels more.
struct Strict<'a> {
    levels: usize,
    /// The rule that was broken, where it is not the syntax: errors of serde are only texts.
    fault: &'a Cell<JsonError>,
}

impl<'a> Strict<'a> {
    fn deeper<E: serde::de::Error>(&self) -> Result<Strict<'a>, E> {
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(self.broken(JsonError::Depth));
        };
        Ok(Strict { levels, fault: self.fault })
    }

    fn broken<E: serde::de::Error>(&self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.broken(JsonError::Syntax))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.deeper()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(self.broken(JsonError::Duplicate));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

/// The most levels of arrays and objects in each other. Nothing that is read here needs five.
const DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_given_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"a":3}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::Duplicate), "{text}");
        }
    }

    #[test]
    fn seventeenth_level_is_refused() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(16).as_bytes()).is_ok());
        assert_eq!(parse(nested(18).as_bytes()), Err(JsonError::Depth));
        assert_eq!(parse("[".repeat(8_000).as_bytes()), Err(JsonError::Depth));
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        for text in ["", "{", "{} {}", "{'a':1}", "1e999", "NaN", "\u{feff}{}", "{\"a\":1,}"] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::Syntax), "{text}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(JsonError::Syntax));
        assert_eq!(parse_object(b"[]"), Err(JsonError::Syntax));
    }

    #[test]
    fn document_comes_out_as_it_went_in() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"é"],"b":{}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }
}
