//! What a client may do, and until when.

use std::time::SystemTime;

use serde_json::Value;
use sockeye_hub::{Pattern, TopicName};

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

/// A set of topics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patterns(Vec<Pattern>);

impl Grant {
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
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}
