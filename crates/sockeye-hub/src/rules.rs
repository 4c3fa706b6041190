//! What an operator may set: how each topic behaves, and what the hub may hold.
//!
//! Every bound has a unit, a default and a reason.

use std::time::Duration;

use crate::{Pattern, TopicName};

/// How topics behave, by name: the first pattern that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    list: Vec<(Pattern, TopicRules)>,
    otherwise: TopicRules,
}

impl Rules {
    /// Makes rules that treat every topic so.
    pub fn all(rules: TopicRules) -> Self {
        Self { list: Vec::new(), otherwise: rules }
    }

    /// Adds rules for the topics that the pattern matches and no pattern before it.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, rules: TopicRules) -> Self {
        self.list.push((pattern, rules));
        self
    }

    /// Returns the rules of a topic.
    pub fn of(&self, topic: &TopicName) -> &TopicRules {
        let found = self.list.iter().find(|(pattern, _)| pattern.matches(topic));
        found.map_or(&self.otherwise, |(_, rules)| rules)
    }
}

/// How a topic behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicRules {
    /// How much it keeps for those who come back.
    pub history: HistoryRules,
    /// Whether it knows who is there; default not, since it costs memory for each member.
    pub presence: Presence,
    /// What becomes of a subscriber that reads too slowly.
    pub slow: Slow,
}

/// How many messages a topic keeps: all three bounds hold, and zero in any of them keeps nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryRules {
    /// Messages; default 100, a screen or two of what a subscriber may have missed.
    pub messages: usize,
    /// Bytes as [`Message::cost`](crate::Message::cost) counts them; default 256 KiB, a few of the longest messages.
    pub bytes: usize,
    /// Time since a message was published; default 5 minutes, longer than a lift, a tunnel or a restart of
    /// a router. [`Duration::MAX`] keeps messages until they are pushed out.
    pub age: Duration,
}

impl HistoryRules {
    /// Returns the rules of a topic that keeps nothing.
    pub const fn none() -> Self {
        Self { messages: 0, bytes: 0, age: Duration::ZERO }
    }

    /// Tells whether anything is kept at all.
    pub(crate) fn keeps(&self) -> bool {
        self.messages > 0 && self.bytes > 0 && self.age > Duration::ZERO
    }
}

impl Default for HistoryRules {
    fn default() -> Self {
        Self { messages: 100, bytes: 256 << 10, age: Duration::from_secs(300) }
    }
}

/// Whether a topic knows its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Members can be listed, and who comes and goes is told by messages of the topic.
    Announced,
    /// Members can be listed.
    Listed,
    /// There are no members.
    #[default]
    Off,
}

/// What becomes of a subscriber whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// It is disconnected, and can come back with its cursor; default, since nothing is lost so as
    /// long as the history reaches.
    #[default]
    Disconnect,
    /// Its oldest waiting messages are dropped, and the gap told.
    DropOldest,
    /// Of each topic only the newest waiting message stays, and the gap is told: for topics whose
    /// messages each replace the one before.
    Latest,
}

/// What a hub may hold, in all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Topics that have a subscriber, a member or a message; default 1,000,000, a few hundred
    /// bytes each.
    pub topics: usize,
    /// Bytes of all histories together, as [`Message::cost`](crate::Message::cost) counts; default
    /// 256 MiB. Beyond it the oldest messages leave, whatever their topic.
    pub history_bytes: usize,
    /// Bytes of one payload; default 64 KiB: many copies of it may wait at once.
    pub payload: usize,
    /// Keys of publications that are remembered; default 100,000, about 10 MB. Beyond it the
    /// oldest is forgotten.
    pub keys: usize,
    /// Time for which a key is remembered; default 5 minutes, which outlasts the retries of a
    /// publisher.
    pub key_age: Duration,
    /// Members of one topic; default 10,000, since each coming and going is told to all.
    pub members: usize,
    /// Bytes of what a member tells of itself; default 1 KiB: lists of members hold it.
    pub member_bytes: usize,
    /// Time after which a member that left is gone; default 2 s, so that a page that is loaded
    /// again makes no noise. Until then it is listed.
    pub leave_delay: Duration,
    /// Entries in one page of a history or of members, asked for or not; default 300.
    pub page: usize,
    /// Topics without anything left whose last message's number is remembered; default 65,536,
    /// about 4 MB. Beyond it a cursor from before the oldest of them gets a gap in every topic
    /// that the hub does not hold, since it can't tell.
    pub forgotten: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            topics: 1_000_000,
            history_bytes: 256 << 20,
            payload: 64 << 10,
            keys: 100_000,
            key_age: Duration::from_secs(300),
            members: 10_000,
            member_bytes: 1 << 10,
            leave_delay: Duration::from_secs(2),
            page: 300,
            forgotten: 65_536,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_pattern_that_matches_decides() {
        let slow = |slow| TopicRules { slow, ..TopicRules::default() };
        let rules = Rules::all(slow(Slow::Disconnect))
            .with("chat:lobby".parse().unwrap(), slow(Slow::Latest))
            .with("chat:*".parse().unwrap(), slow(Slow::DropOldest))
            .with("chat:x".parse().unwrap(), slow(Slow::Latest));
        for (topic, expected) in
            [("chat:lobby", Slow::Latest), ("chat:x", Slow::DropOldest), ("news", Slow::Disconnect)]
        {
            assert_eq!(rules.of(&topic.parse().unwrap()).slow, expected, "{topic}");
        }
    }
}
