//! What a client may do, and until when.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sockeye_hub::{NameError, Pattern, TopicName};

/// What a token, a webhook or the configuration allows one client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Who the client is, as the token's `sub` says; `None` for one that nobody knows.
    pub subject: Option<String>,
    /// When the grant ends; judged by the wall clock.
    pub expires: Option<SystemTime>,
    /// Topics that the client may publish to.
    pub publish: Patterns,
    /// Topics that the client may subscribe to.
    pub subscribe: Patterns,
    /// What other members of a topic are told about the client.
    pub info: Option<Value>,
}

/// A set of topics. Clones share it: all whom nobody knows have the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patterns(Arc<[Pattern]>);

/// Why something is no part of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantError {
    /// What others are told takes more than 4 KiB as JSON.
    InfoTooLong,
    /// Patterns are a list of texts.
    NotAList,
    /// A pattern breaks a rule of names.
    Pattern(NameError),
    /// A subject has 1 to 255 bytes and no control characters.
    Subject,
    /// There are more than 128 patterns.
    TooManyPatterns,
}

impl Grant {
    /// The longest time for which nobody looks whether a grant has ended, 60 s: timers go by a clock
    /// that nobody sets, and so don't notice that the wall clock was set.
    pub const LOOK_AGAIN: Duration = Duration::from_secs(60);

    /// Tells whether the client may publish to a topic.
    pub fn may_publish(&self, topic: &TopicName) -> bool {
        self.publish.contains(topic)
    }

    /// Tells whether the client may subscribe to a topic.
    pub fn may_subscribe(&self, topic: &TopicName) -> bool {
        self.subscribe.contains(topic)
    }

    /// Tells whether the grant has ended by `now`.
    pub fn has_ended(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl Patterns {
    /// Tells whether a topic is in the set.
    pub fn contains(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|pattern| pattern.matches(topic))
    }

    /// Reads patterns from JSON: a list of texts such as `chat:1` and `chat:*`; none for `null`.
    ///
    /// # Errors
    /// It is no such list, is too long, or one of the texts is no pattern.
    pub fn from_json(value: &Value) -> Result<Self, GrantError> {
        let items = match value {
            Value::Null => return Ok(Self::default()),
            Value::Array(items) => items,
            _ => return Err(GrantError::NotAList),
        };
        if items.len() > PATTERNS {
            return Err(GrantError::TooManyPatterns);
        }
        let pattern = |item: &Value| {
            let text = item.as_str().ok_or(GrantError::NotAList)?;
            text.parse().map_err(GrantError::Pattern)
        };
        items.iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }
}

/// Checks and takes the name of a subject.
///
/// # Errors
/// [`GrantError::Subject`].
pub(crate) fn subject(text: &str) -> Result<String, GrantError> {
    let allowed = (1..=SUBJECT_BYTES).contains(&text.len()) && !text.contains(char::is_control);
    if allowed { Ok(text.to_owned()) } else { Err(GrantError::Subject) }
}

/// Checks and takes what others are told about a client; nothing for `null`.
///
/// # Errors
/// [`GrantError::InfoTooLong`].
pub(crate) fn info(value: &Value) -> Result<Option<Value>, GrantError> {
    if value.is_null() {
        return Ok(None);
    }
    let length = value.to_string().len();
    if length > INFO_BYTES { Err(GrantError::InfoTooLong) } else { Ok(Some(value.clone())) }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InfoTooLong => write!(f, "info takes more than {INFO_BYTES} bytes"),
            Self::NotAList => f.write_str("patterns are a list of texts"),
            Self::Pattern(error) => write!(f, "a pattern that is none: {error}"),
            Self::Subject => {
                f.write_str("a subject has 1 to 255 bytes, none of a control character")
            }
            Self::TooManyPatterns => write!(f, "more than {PATTERNS} patterns"),
        }
    }
}

impl std::error::Error for GrantError {}

/// The most patterns of one kind in a grant: each message is held against all of them.
const PATTERNS: usize = 128;

/// The most bytes of a subject, as OpenID Connect has it.
const SUBJECT_BYTES: usize = 255;

/// The most bytes of `info` as JSON: every member of a topic gets it.
const INFO_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn grant_reaches_as_far_as_its_patterns() {
        let grant = Grant {
            publish: Patterns::from_json(&json!(["chat:1"])).unwrap(),
            subscribe: Patterns::from_json(&json!(["chat:*", "news"])).unwrap(),
            ..Grant::default()
        };
        let topic = |name| TopicName::new(name).unwrap();
        assert!(grant.may_publish(&topic("chat:1")) && !grant.may_publish(&topic("chat:2")));
        assert!(grant.may_subscribe(&topic("chat:2")) && !grant.may_subscribe(&topic("newsroom")));
    }

    #[test]
    fn grant_ends_at_its_second() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let grant = Grant { expires: Some(at(100)), ..Grant::default() };
        assert!(!grant.has_ended(at(99)) && grant.has_ended(at(100)));
        assert!(!Grant::default().has_ended(at(u64::from(u32::MAX))));
    }

    #[test]
    fn list_of_patterns_is_strict_and_bounded() {
        for (list, error) in [
            (json!("chat:*"), GrantError::NotAList),
            (json!([1]), GrantError::NotAList),
            (json!({}), GrantError::NotAList),
            (json!(["a*b"]), GrantError::Pattern(NameError::Wildcard)),
            (json!([""]), GrantError::Pattern(NameError::Empty)),
            (json!(vec!["x"; 129]), GrantError::TooManyPatterns),
        ] {
            assert_eq!(Patterns::from_json(&list), Err(error), "{list}");
        }
        assert!(Patterns::from_json(&json!(vec!["x"; 128])).is_ok());
        assert_eq!(Patterns::from_json(&Value::Null), Ok(Patterns::default()));
    }

    #[test]
    fn info_and_subject_are_bounded() {
        assert!(info(&json!("x".repeat(4094))).is_ok());
        assert_eq!(info(&json!("x".repeat(4095))), Err(GrantError::InfoTooLong));
        assert_eq!(info(&Value::Null), Ok(None));
        for bad in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(subject(bad), Err(GrantError::Subject), "{bad:?}");
        }
        assert_eq!(subject("auth0|42").unwrap(), "auth0|42");
    }
}
