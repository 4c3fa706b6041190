//! Looking back: which messages a cursor has missed, and whether all of them are still there.
//!
//! Owns the rule of completeness: what a topic still keeps after the cursor is all of it, unless a
//! message after the cursor has left the topic's history. Each topic knows the highest number that
//! left, so one comparison tells; and what is not known is told as a gap.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Gap, GapReason, Refused};
use crate::message::Message;
use crate::rules::Slow;
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

impl Joined {
    /// Leaves out the messages of [`Slow::Latest`] that have a newer one of their topic behind them,
    /// for a subscriber that was too slow for them.
    pub fn keep_latest(&mut self) {
        let mut newest: HashMap<TopicName, u64> = HashMap::new();
        for message in self.recovered.iter().filter(|message| message.slow == Slow::Latest) {
            newest.insert(message.topic.clone(), message.id.seq);
        }
        let is_newest =
            |message: &Message| newest.get(&message.topic).is_none_or(|seq| *seq == message.id.seq);
        self.recovered.retain(|message| is_newest(message));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, T0, keeping, seconds, seqs, topic};
    use crate::{Epoch, Hub, Limits, Rules, TopicRules};

    fn after(hub: &Hub, seq: u64) -> Since {
        Since::After(Id { seq, ..hub.stats().cursor })
    }

    fn gap(name: &str, after: u64, before: u64, reason: GapReason) -> Gap {
        Gap { topic: topic(name), after, before, reason }
    }

    // REC-009
    #[test]
    fn missed_messages_come_once_in_order_over_all_topics_and_before_live_ones() {
        let hub = keeping(10);
        let topics = [topic("b"), topic("a"), topic("b")];
        for name in ["a", "b", "c", "b", "a", "b"] {
            hub.say(name, "x", T0);
        }
        let (recorder, listener) = Recorder::pair();
        let joined = hub.subscribe(&topics, after(&hub, 1), &listener, T0);
        assert_eq!(seqs(&joined.recovered), [2, 4, 5, 6]);
        assert_eq!((joined.gaps, joined.cursor.seq), (vec![], 6));
        assert_eq!(hub.info(&topics[0], T0).subscribers, 1, "a topic named twice counts once");
        for name in ["a", "c", "b"] {
            hub.say(name, "x", T0);
        }
        assert_eq!(seqs(&recorder.take()), [7, 9]);
    }

    // REC-010
    #[test]
    fn cursor_beyond_the_history_gets_a_gap_for_each_topic_that_lost_something() {
        let hub = keeping(2);
        for name in ["a", "a", "a", "b", "a", "b"] {
            hub.say(name, "x", T0);
        }
        let topics = [topic("a"), topic("b"), topic("c")];
        let joined = hub.recover(&topics, after(&hub, 1), T0);
        assert_eq!(joined.gaps, [gap("a", 1, 3, GapReason::Evicted)]);
        assert_eq!(seqs(&joined.recovered), [3, 4, 5, 6]);
        assert_eq!(hub.recover(&topics, after(&hub, 2), T0).gaps, []);
    }

    // REC-010
    #[test]
    fn cursor_of_another_epoch_gets_a_gap_in_every_topic_and_all_that_is_kept() {
        let hub = keeping(2);
        for _ in 0..3 {
            hub.say("a", "x", T0);
        }
        let since = Since::After(Id { epoch: Epoch::from_random(2), seq: 3 });
        let joined = hub.recover(&[topic("a"), topic("b")], since, T0);
        let gaps = [gap("a", 0, 2, GapReason::Epoch), gap("b", 0, 1, GapReason::Epoch)];
        assert_eq!(joined.gaps, gaps);
        assert_eq!(seqs(&joined.recovered), [2, 3]);
    }

    // REC-010
    #[test]
    fn cursor_from_the_future_or_unreadable_gets_a_gap_and_nothing_twice() {
        let hub = keeping(10);
        hub.say("a", "x", T0);
        for (since, reason) in
            [(after(&hub, 2), GapReason::Future), (Since::parse("nonsense"), GapReason::Unreadable)]
        {
            let joined = hub.recover(&[topic("a")], since, T0);
            assert_eq!(joined.gaps, [gap("a", 0, 2, reason)]);
            assert_eq!((joined.recovered, joined.cursor.seq), (vec![], 1));
            let page = hub.history(&topic("a"), since, Order::NewestFirst, 9, T0);
            assert_eq!((page.gap, page.messages), (Some(gap("a", 0, 2, reason)), vec![]));
        }
    }

    #[test]
    fn topic_that_was_dropped_is_remembered_and_others_are_not_blamed() {
        let hub = keeping(10);
        hub.say("a", "x", T0);
        hub.say("a", "x", T0);
        hub.handle_timeout(seconds(300));
        assert_eq!((hub.stats().topics, hub.stats().forgotten), (0, 1));
        let joined = hub.recover(&[topic("a"), topic("b")], after(&hub, 1), seconds(300));
        assert_eq!(joined.gaps, [gap("a", 1, 3, GapReason::Evicted)]);
        assert_eq!(hub.recover(&[topic("a")], after(&hub, 2), seconds(300)).gaps, []);
    }

    #[test]
    fn topic_that_nobody_remembers_gets_a_gap_below_the_floor() {
        let limits = Limits { forgotten: 0, ..Limits::default() };
        let mut rules = TopicRules::default();
        rules.history.messages = 0;
        let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), limits);
        hub.say("a", "x", T0);
        let gaps = |seq| hub.recover(&[topic("b")], after(&hub, seq), T0).gaps;
        assert_eq!(gaps(0), [gap("b", 0, 2, GapReason::Evicted)]);
        assert_eq!(gaps(1), []);
    }

    #[test]
    fn what_is_too_old_is_not_seen_even_before_its_timer_ran() {
        let hub = keeping(10);
        hub.say("a", "x", T0);
        hub.say("a", "x", seconds(1));
        let joined = hub.recover(&[topic("a")], after(&hub, 0), seconds(300));
        assert_eq!(seqs(&joined.recovered), [2]);
        assert_eq!(joined.gaps, [gap("a", 0, 2, GapReason::Evicted)]);
    }

    #[test]
    fn topic_that_is_refused_does_not_hinder_the_others() {
        let limits = Limits { topics: 1, ..Limits::default() };
        let hub = Hub::new(Epoch::from_random(1), Rules::default(), limits);
        let (recorder, listener) = Recorder::pair();
        let topics = [topic("a"), topic("b")];
        let joined = hub.subscribe(&topics, Since::Now, &listener, T0);
        let full = Refused::Limit { limit: crate::Limit::Topics, max: 1 };
        assert_eq!(joined.refused, [(topic("b"), full)]);
        assert_eq!(hub.try_say("b", T0), Err(full));
        assert_eq!(hub.say("a", "x", T0), 1, "what is refused takes no number");
        assert_eq!(seqs(&recorder.take()), [1]);
    }

    // PUB-021
    #[test]
    fn million_messages_are_bounded_and_come_in_pages_of_300() {
        let mut rules = TopicRules::default();
        rules.history.messages = 1_000;
        rules.history.bytes = usize::MAX;
        let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default());
        let publication = crate::testing::text("a", "");
        for _ in 0..1_000_000 {
            hub.publish(publication.clone(), T0).unwrap();
        }
        assert_eq!(hub.stats().messages, 1_000);
        let page = |since| hub.history(&topic("a"), since, Order::OldestFirst, usize::MAX, T0);
        let (mut since, mut seen) = (Since::Oldest, Vec::new());
        loop {
            let page = page(since);
            assert!(page.messages.len() <= 300);
            seen.extend(seqs(&page.messages));
            let Some(next) = page.next else { break };
            since = Since::After(next);
        }
        assert!(seen.into_iter().eq(999_001..=1_000_000));
        assert_eq!(page(after(&hub, 7)).gap, Some(gap("a", 7, 999_001, GapReason::Evicted)));
    }
}
