//! Names: of topics, of events, of clients, and the patterns that match topics.
//!
//! Owns which names there may be. Names travel through URLs, through lines of text protocols and
//! into the subjects of other brokers, so what means something there is refused here, once.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most bytes in the name of a topic. One length byte holds it, and NATS and Redis take it.
pub const TOPIC_BYTES: usize = 255;

/// The most bytes in the name of an event or a client: names for programs, not texts.
pub const LABEL_BYTES: usize = 128;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It holds a control character, a NUL, or what ends a line: lines of other protocols end there.
    Control,
    /// A part between slashes is `.` or `..`: URLs lose those.
    DotSegment,
    /// It has no bytes.
    Empty,
    /// It is not UTF-8.
    NotUtf8,
    /// It begins or ends with white space, which nobody sees.
    OuterSpace,
    /// It has more bytes than the bound.
    TooLong {
        /// The bound.
        max: usize,
        /// The bytes it has.
        seen: usize,
    },
    /// It holds `*` or `>`, which would match other topics elsewhere.
    Wildcard,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("a name holds no control character and no end of line"),
            Self::DotSegment => f.write_str("no part of a topic's name is `.` or `..`"),
            Self::Empty => f.write_str("a name has at least one byte"),
            Self::NotUtf8 => f.write_str("a name is UTF-8"),
            Self::OuterSpace => f.write_str("a name neither begins nor ends with white space"),
            Self::TooLong { max, seen } => {
                write!(f, "a name has at most {max} bytes and this one {seen}")
            }
            Self::Wildcard => f.write_str("a topic's name holds neither `*` nor `>`"),
        }
    }
}

impl std::error::Error for NameError {}

/// The name of a topic: 1 to 255 bytes of UTF-8; a clone is a pointer.
///
/// Everything is allowed but control characters, line and paragraph separators, `*`, `>`, white
/// space at either end, and the parts `.` and `..` between slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name, TOPIC_BYTES)?;
        check_wildcards(name)?;
        if name.split('/').any(|part| part == "." || part == "..") {
            return Err(NameError::DotSegment);
        }
        Ok(Self(name.into()))
    }

    /// Checks and takes a name that came as bytes.
    ///
    /// # Errors
    /// As [`TopicName::new`], and [`NameError::NotUtf8`].
    pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
        Self::new(std::str::from_utf8(name).map_err(|_| NameError::NotUtf8)?)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether both are the same name, quickly when one is a clone of the other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// The name of an event or of a client: 1 to 128 bytes of UTF-8 without control characters and
/// without white space at either end; a clone is a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name, LABEL_BYTES)?;
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a name that is known to keep the rules.
    pub(crate) fn fixed(name: &'static str) -> Self {
        Self(name.into())
    }
}

/// Matches topics: one name, or all names that begin with what stands before a last `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Matches one topic.
    Exact(TopicName),
    /// Matches every topic that begins so; empty for all.
    Prefix(Arc<str>),
}

impl Pattern {
    /// Tells whether the topic is one of those meant.
    pub fn matches(&self, topic: &TopicName) -> bool {
        match self {
            Self::Exact(name) => name == topic,
            Self::Prefix(prefix) => topic.as_str().starts_with(&**prefix),
        }
    }
}

impl FromStr for Pattern {
    type Err = NameError;

    /// Reads `name` or `prefix*`.
    ///
    /// # Errors
    /// The rule that it breaks; a `*` anywhere but at the end is a [`NameError::Wildcard`].
    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some(prefix) = text.strip_suffix('*') else {
            return TopicName::new(text).map(Self::Exact);
        };
        check_length(prefix, TOPIC_BYTES)?;
        check_characters(prefix)?;
        check_wildcards(prefix)?;
        Ok(Self::Prefix(prefix.into()))
    }
}

/// Checks what holds for every name.
fn check(name: &str, max: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    check_length(name, max)?;
    check_characters(name)?;
    if name.trim() != name {
        return Err(NameError::OuterSpace);
    }
    Ok(())
}

fn check_length(name: &str, max: usize) -> Result<(), NameError> {
    if name.len() > max {
        return Err(NameError::TooLong { max, seen: name.len() });
    }
    Ok(())
}

fn check_characters(name: &str) -> Result<(), NameError> {
    let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if name.contains(ends_line) { Err(NameError::Control) } else { Ok(()) }
}

fn check_wildcards(name: &str) -> Result<(), NameError> {
    if name.contains(['*', '>']) { Err(NameError::Wildcard) } else { Ok(()) }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Label {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_of_255_bytes_is_taken_and_one_of_256_refused() {
        assert!(TopicName::new(&"x".repeat(255)).is_ok());
        let error = TopicName::new(&"x".repeat(256)).unwrap_err();
        assert_eq!(error, NameError::TooLong { max: 255, seen: 256 });
        let wide = "\u{1f41f}".repeat(64);
        assert_eq!(TopicName::new(&wide), Err(NameError::TooLong { max: 255, seen: 256 }));
    }

    #[test]
    fn topic_that_breaks_a_rule_is_refused_with_that_rule() {
        for (name, error) in [
            ("", NameError::Empty),
            ("a\nb", NameError::Control),
            ("a\r\nSET x y", NameError::Control),
            ("a\0b", NameError::Control),
            ("a\u{85}b", NameError::Control),
            ("a\u{2028}b", NameError::Control),
            ("\u{7f}", NameError::Control),
            ("a*", NameError::Wildcard),
            ("*", NameError::Wildcard),
            ("a.>", NameError::Wildcard),
            (" ", NameError::OuterSpace),
            ("\u{3000}", NameError::OuterSpace),
            (" a", NameError::OuterSpace),
            ("a ", NameError::OuterSpace),
            (".", NameError::DotSegment),
            ("a/../b", NameError::DotSegment),
            ("a/.", NameError::DotSegment),
        ] {
            assert_eq!(TopicName::new(name), Err(error), "{name:?}");
        }
        assert_eq!(TopicName::from_bytes(b"a\xff"), Err(NameError::NotUtf8));
    }

    #[test]
    fn ordinary_topics_are_taken() {
        for name in
            ["a", "chat:room 1", "news/2026", "a..b", "...", "/", "a//b", "魚", "$sys/stats"]
        {
            assert_eq!(TopicName::from_bytes(name.as_bytes()).unwrap().as_str(), name);
        }
    }

    #[test]
    fn pattern_matches_one_name_or_a_prefix() {
        let topic = TopicName::new("chat:1").unwrap();
        for (pattern, matches) in [
            ("chat:1", true),
            ("chat:", false),
            ("chat:*", true),
            ("chat:1*", true),
            ("chat:11*", false),
            ("*", true),
            ("news*", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(&topic), matches, "{pattern}");
        }
    }

    #[test]
    fn pattern_with_a_star_elsewhere_is_refused() {
        for (pattern, error) in [
            ("a*b", NameError::Wildcard),
            ("**", NameError::Wildcard),
            ("a>*", NameError::Wildcard),
            ("a\n*", NameError::Control),
            ("", NameError::Empty),
        ] {
            assert_eq!(pattern.parse::<Pattern>(), Err(error), "{pattern:?}");
        }
        let long = format!("{}*", "x".repeat(256));
        assert!(matches!(long.parse::<Pattern>(), Err(NameError::TooLong { .. })));
    }

    #[test]
    fn label_with_an_end_of_line_is_refused() {
        assert_eq!(Label::new("join\ndata: x"), Err(NameError::Control));
        assert_eq!(Label::new(&"x".repeat(129)), Err(NameError::TooLong { max: 128, seen: 129 }));
        assert!(Label::new("price *").is_ok());
    }
}
