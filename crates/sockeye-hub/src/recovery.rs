//! Looking back: which messages a cursor has missed, and whether all of them are still there.
//!
//! Owns the rule of completeness: what a topic still keeps after the cursor is all of it, unless a
//! message after the cursor has left the topic's history. Each topic knows the highest number that
//! left, so one comparison tells; and what is not known is told as a gap.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Gap, GapReason, Refused};
use crate::message::Message;
use crate::state::{Place, State};
use crate::{Id, Since, TopicName};

/// What a subscriber gets when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// What it has missed, in order over all its topics. All of it comes before anything live.
    pub recovered: Vec<Arc<Message>>,
    /// The topics of which more is missing than was recovered.
    pub gaps: Vec<Gap>,
    /// The topics that could not be joined, and why.
    pub refused: Vec<(TopicName, Refused)>,
    /// Where it stands once it has taken all of this. Whatever is live has a higher number.
    pub cursor: Id,
}

/// A part of a topic's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The messages, in the order asked for.
    pub messages: Vec<Arc<Message>>,
    /// Tells that the history does not reach back to where the page was to begin.
    pub gap: Option<Gap>,
    /// Where the next page goes on, if there is more.
    pub next: Option<Id>,
}

/// In which order a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the newest message, or from the one before a cursor, back.
    NewestFirst,
    /// From the oldest message, or from the one after a cursor, on.
    OldestFirst,
}

impl State {
    /// Adds what a cursor has missed of a topic. Returns what is missing of that.
    pub(crate) fn recover(
        &mut self,
        name: &TopicName,
        since: Since,
        recovered: &mut Vec<Arc<Message>>,
    ) -> Option<Gap> {
        self.freshen(name);
        let place = self.place(since);
        if let (Some(from), Some(topic)) = (place.replays_from(), self.registry.get(name)) {
            recovered.extend(topic.history().after(from).cloned());
        }
        self.gap(name, place)
    }

    /// Tells what a cursor can't get of a topic.
    fn gap(&self, name: &TopicName, place: Place) -> Option<Gap> {
        let evicted = self.registry.evicted(name);
        let all = self.cursor().seq;
        let (after, missing, reason) = match place {
            Place::End | Place::Start => return None,
            Place::After(seq) if evicted <= seq => return None,
            Place::After(seq) => (seq, evicted, GapReason::Evicted),
            Place::OtherLife => (0, evicted, GapReason::Epoch),
            Place::Future => (0, all, GapReason::Future),
            Place::Unreadable => (0, all, GapReason::Unreadable),
        };
        Some(Gap { topic: name.clone(), after, before: missing + 1, reason })
    }

    /// Reads a part of a topic's history.
    pub(crate) fn page(
        &mut self,
        name: &TopicName,
        since: Since,
        order: Order,
        limit: usize,
    ) -> Page {
        self.freshen(name);
        let place = self.place(since);
        let gap = match order {
            Order::OldestFirst => self.gap(name, place),
            Order::NewestFirst => {
                self.gap(name, place).filter(|_| !matches!(place, Place::After(_)))
            }
        };
        let limit = limit.clamp(1, self.limits.page.max(1));
        let mut messages = self.read(name, place, order, limit.saturating_add(1));
        let more = messages.len() > limit;
        messages.truncate(limit);
        let next = messages.last().filter(|_| more).map(|message| message.id);
        Page { messages, gap, next }
    }

    fn read(
        &self,
        name: &TopicName,
        place: Place,
        order: Order,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let Some(history) = self.registry.get(name).map(|topic| topic.history()) else {
            return Vec::new();
        };
        match order {
            Order::OldestFirst => {
                let from = place.replays_from();
                let found = from.map(|from| history.after(from).take(limit).cloned().collect());
                found.unwrap_or_default()
            }
            Order::NewestFirst => {
                let to = place.replays_to();
                let found = to.map(|to| history.before(to).take(limit).cloned().collect());
                found.unwrap_or_default()
            }
        }
    }
}

impl Place {
    /// Returns the number after which to look back; `None` where that could repeat what the
    /// subscriber has seen.
    fn replays_from(self) -> Option<u64> {
        match self {
            Self::After(seq) => Some(seq),
            Self::OtherLife | Self::Start => Some(0),
            Self::End | Self::Future | Self::Unreadable => None,
        }
    }

    /// Returns the number before which to read backwards.
    fn replays_to(self) -> Option<u64> {
        match self {
            Self::After(seq) => Some(seq),
            Self::End | Self::OtherLife => Some(u64::MAX),
            Self::Start | Self::Future | Self::Unreadable => None,
        }
    }
}

impl State {
    /// Looks back in several topics, and does `also` with each beside it.
    pub(crate) fn recover_all(
        &mut self,
        topics: &[TopicName],
        since: Since,
        now: Duration,
        mut also: impl FnMut(&mut Self, &TopicName) -> Result<(), Refused>,
    ) -> Joined {
        self.advance(now);
        let mut joined = Joined {
            recovered: Vec::new(),
            gaps: Vec::new(),
            refused: Vec::new(),
            cursor: self.cursor(),
        };
        for name in distinct(topics) {
            let gap = self.recover(name, since, &mut joined.recovered);
            match also(self, name) {
                Ok(()) => joined.gaps.extend(gap),
                Err(refused) => joined.refused.push((name.clone(), refused)),
            }
        }
        joined.recovered.sort_unstable_by_key(|message| message.id.seq);
        joined
    }
}

/// Returns each name once, in the order of the names if there are several.
fn distinct(topics: &[TopicName]) -> Vec<&TopicName> {
    let mut distinct: Vec<_> = topics.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}
