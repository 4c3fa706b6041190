//! Why the hub refuses, and where messages are missing.

use std::fmt;

use crate::{Id, TopicName};

/// Why the hub did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A bound of [`Limits`](crate::Limits) is reached.
    Limit {
        /// Which.
        limit: Limit,
        /// Its value.
        max: usize,
    },
    /// The topic's rules let it have no members.
    PresenceOff,
    /// All the numbers there are have been given: the hub must start anew.
    SequenceEnded,
    /// The topic's last message is not the one that the publisher named.
    Version {
        /// The last one, as far as is known.
        last: Option<Id>,
    },
}

/// The bounds that refuse; the others make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of what a member tells of itself.
    MemberBytes,
    /// Members of the topic.
    Members,
    /// Bytes of the payload.
    Payload,
    /// Topics of the hub.
    Topics,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, max } => match limit {
                Limit::MemberBytes => write!(f, "a member tells at most {max} bytes of itself"),
                Limit::Members => write!(f, "the topic has {max} members already"),
                Limit::Payload => write!(f, "a payload has at most {max} bytes"),
                Limit::Topics => write!(f, "there are {max} topics already"),
            },
            Self::PresenceOff => f.write_str("the topic has no presence"),
            Self::SequenceEnded => f.write_str("no number is left for a message"),
            Self::Version { last: Some(last) } => write!(f, "the topic's last message is {last}"),
            Self::Version { last: None } => f.write_str("the topic has no last message"),
        }
    }
}

impl std::error::Error for Refused {}

/// Tells that messages of a topic are missing: some or all of those numbered after `after` and
/// before `before`. Those from `before` on are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The topic.
    pub topic: TopicName,
    /// The number before the missing ones; 0 when the subscriber's place is of no use here.
    pub after: u64,
    /// The number after the missing ones.
    pub before: u64,
    /// Why they are missing.
    pub reason: GapReason,
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// The cursor is of another life of the hub. What this life has kept follows.
    Epoch,
    /// The history does not reach back to the cursor. What is left of it follows.
    Evicted,
    /// The cursor is of this life, and ahead of it: nobody gave it. Nothing of the past follows.
    Future,
    /// The subscriber read too slowly.
    Slow {
        /// How many messages were dropped.
        dropped: u64,
    },
    /// The cursor could not be read. Nothing of the past follows.
    Unreadable,
}
