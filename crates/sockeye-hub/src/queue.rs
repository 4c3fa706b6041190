//! What waits for one subscriber that has not read it yet.
//!
//! Owns what happens when too much waits. Where the queue stands, who wakes the reader and who
//! disconnects it are matters of the host.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::TopicName;
use crate::error::{Gap, GapReason};
use crate::message::Message;
use crate::rules::Slow;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Bytes as [`Message::cost`] counts them; default 1 MiB, as for what waits in a connection.
    /// One message always fits into an empty queue.
    pub bytes: usize,
    /// Messages; default 1,024, since short ones cost their reader more than their bytes.
    pub messages: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, messages: 1_024 }
    }
}

/// The messages that wait for a subscriber, in order, and the gaps among them.
///
/// Within one topic a message that is dropped is older than all that stay, so a gap is told before
/// the messages that wait: never too late, and in the order of the topic.
#[derive(Debug, Default)]
pub struct Queue {
    limits: QueueLimits,
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// How many of them must not be dropped.
    firm: usize,
    /// What was dropped since the reader was last told, a topic each.
    gaps: VecDeque<Gap>,
    dropped: u64,
    overflowed: bool,
}

/// What became of a message that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, and older ones were dropped for it.
    Dropped {
        /// How many.
        messages: u64,
    },
    /// It does not wait, nor will any other: the subscriber must be disconnected. What waits can
    /// still be given to it.
    Overflow,
    /// It waits.
    Queued,
}

/// What comes out of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Messages are missing here.
    Gap(Gap),
    /// A message.
    Message(Arc<Message>),
}

impl Queue {
    /// Makes an empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds a message. If there is no room, messages leave whose topics allow it: first those of
    /// [`Slow::Latest`] that have a newer one of their topic behind them, then the oldest.
    pub fn push(&mut self, message: Arc<Message>) -> Pushed {
        if self.overflowed {
            return Pushed::Overflow;
        }
        let before = self.dropped;
        if !self.has_room_for(&message) {
            self.drop_superseded(&message);
            self.drop_oldest(&message);
        }
        if !self.has_room_for(&message) {
            self.overflowed = true;
            return Pushed::Overflow;
        }
        self.bytes = self.bytes.saturating_add(message.cost());
        self.firm += usize::from(message.slow == Slow::Disconnect);
        self.messages.push_back(message);
        match self.dropped - before {
            0 => Pushed::Queued,
            messages => Pushed::Dropped { messages },
        }
    }

    /// Removes what the reader gets next.
    pub fn pop(&mut self) -> Option<Item> {
        if let Some(gap) = self.gaps.pop_front() {
            return Some(Item::Gap(gap));
        }
        let message = self.messages.pop_front()?;
        self.took(&message);
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(Item::Message(message))
    }

    /// Removes the messages of a topic that the reader has left, and what it would be told of it.
    pub fn forget(&mut self, topic: &TopicName) {
        self.gaps.retain(|gap| !gap.topic.is(topic));
        for message in std::mem::take(&mut self.messages) {
            if message.topic.is(topic) {
                self.took(&message);
            } else {
                self.messages.push_back(message);
            }
        }
    }

    /// Returns how many messages wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Tells whether nothing waits, no gap either.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.gaps.is_empty()
    }

    /// Returns the bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many messages were dropped since the queue was made.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Tells whether the subscriber must be disconnected.
    pub fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    fn has_room_for(&self, message: &Message) -> bool {
        let fits = self.messages.len() < self.limits.messages
            && self.bytes.saturating_add(message.cost()) <= self.limits.bytes;
        fits || self.messages.is_empty()
    }

    /// Drops the messages of [`Slow::Latest`] for which a newer one waits, or is about to. One pass
    /// over the queue makes all the room there is to make in this way, so that many pushes pay for
    /// it.
    fn drop_superseded(&mut self, next: &Message) {
        let mut newer: Vec<TopicName> = Vec::new();
        if next.slow == Slow::Latest {
            newer.push(next.topic.clone());
        }
        let firm = self.topics_of(|slow| slow != Slow::Latest);
        let mut kept = VecDeque::with_capacity(self.messages.len());
        let mut superseded = Vec::new();
        while let Some(message) = self.messages.pop_back() {
            if among(&firm, &message) {
                kept.push_front(message);
            } else if among(&newer, &message) {
                superseded.push(message);
            } else {
                newer.push(message.topic.clone());
                kept.push_front(message);
            }
        }
        self.messages = kept;
        for message in superseded.into_iter().rev() {
            self.drop_message(&message);
        }
    }

    /// Drops the oldest messages that may be dropped until there is room or none is left.
    fn drop_oldest(&mut self, next: &Message) {
        // Most have none, which is quickly told.
        let is_firm = |slow| slow == Slow::Disconnect;
        let firm = if self.firm > 0 { self.topics_of(is_firm) } else { Vec::new() };
        let mut at = 0;
        while !self.has_room_for(next) {
            let Some(message) = self.messages.get(at) else { return };
            if among(&firm, message) {
                at += 1;
            } else if let Some(message) = self.messages.remove(at) {
                self.drop_message(&message);
            }
        }
    }

    /// Returns the topics that have a message of such a rule waiting. The rules of a topic may have
    /// changed meanwhile: so that what is dropped is older than what stays, the strictest of its
    /// messages decides for all of them.
    fn topics_of(&self, rule: impl Fn(Slow) -> bool) -> Vec<TopicName> {
        let mut topics: Vec<TopicName> = Vec::new();
        for message in self.messages.iter().filter(|message| rule(message.slow)) {
            if !among(&topics, message) {
                topics.push(message.topic.clone());
            }
        }
        topics
    }

    /// Takes note that a message waits no more.
    fn took(&mut self, message: &Message) {
        self.bytes = self.bytes.saturating_sub(message.cost());
        self.firm -= usize::from(message.slow == Slow::Disconnect);
    }

    /// Takes note of a message that has been taken out of the queue.
    fn drop_message(&mut self, message: &Message) {
        self.took(message);
        self.dropped += 1;
        let known = self.gaps.iter_mut().find(|gap| gap.topic.is(&message.topic));
        match known {
            Some(Gap { before, reason: GapReason::Slow { dropped }, .. }) => {
                *before = message.id.seq + 1;
                *dropped += 1;
            }
            _ => self.gaps.push_back(Gap {
                topic: message.topic.clone(),
                after: message.prev,
                before: message.id.seq + 1,
                reason: GapReason::Slow { dropped: 1 },
            }),
        }
    }
}

/// Tells whether a message is of one of these topics.
fn among(topics: &[TopicName], message: &Message) -> bool {
    topics.iter().any(|topic| topic.is(&message.topic))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::OVERHEAD;
    use crate::{Epoch, Id, Payload};

    /// Makes messages numbered from 1, each of its topic's policy and with the right `prev`.
    fn messages(of: &[(&str, Slow)]) -> Vec<Arc<Message>> {
        let name = |name: &str| TopicName::new(name).unwrap();
        let mut made: Vec<Arc<Message>> = Vec::new();
        for (seq, (topic, slow)) in (1..).zip(of) {
            let before = made.iter().rfind(|message| message.topic == name(topic));
            made.push(Arc::new(Message {
                id: Id { epoch: Epoch::from_random(1), seq },
                prev: before.map_or(0, |message| message.id.seq),
                topic: name(topic),
                event: None,
                payload: Payload::text("12345678"),
                at: Duration::ZERO,
                slow: *slow,
            }));
        }
        made
    }

    fn holding(messages: usize) -> Queue {
        Queue::new(QueueLimits { messages, ..QueueLimits::default() })
    }

    /// Empties a queue: numbers of messages, and gaps as `topic(after..before)dropped`.
    fn drain(queue: &mut Queue) -> String {
        let mut text = Vec::new();
        while let Some(item) = queue.pop() {
            text.push(match item {
                Item::Message(message) => message.id.seq.to_string(),
                Item::Gap(Gap { topic, after, before, reason: GapReason::Slow { dropped } }) => {
                    format!("{topic}({after}..{before}){dropped}")
                }
                Item::Gap(gap) => panic!("{gap:?}"),
            });
        }
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
        text.join(" ")
    }

    #[test]
    fn none_is_dropped_behind_one_that_must_not_be_whatever_the_rules_are_by_now() {
        let mut queue = Queue::new(QueueLimits { messages: 4, ..QueueLimits::default() });
        let of = [
            ("a", Slow::Disconnect),
            ("b", Slow::Latest),
            ("a", Slow::Latest),
            ("a", Slow::DropOldest),
            ("b", Slow::Latest),
            ("a", Slow::Latest),
            ("a", Slow::Latest),
        ];
        let pushed: Vec<_> = messages(&of).into_iter().map(|message| queue.push(message)).collect();
        let dropped = Pushed::Dropped { messages: 1 };
        assert_eq!(pushed[..4], [Pushed::Queued; 4]);
        assert_eq!(pushed[4..], [dropped, dropped, Pushed::Overflow]);
        let told = std::iter::from_fn(|| queue.pop()).map(|item| match item {
            Item::Gap(gap) => (gap.topic.to_string(), 0),
            Item::Message(message) => (message.topic.to_string(), message.id.seq),
        });
        let of = |topic: &str, seq| (topic.to_owned(), seq);
        let expected = [of("b", 0), of("a", 1), of("a", 3), of("a", 4), of("a", 6)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn messages_come_out_in_order() {
        let mut queue = holding(3);
        for message in messages(&[("a", Slow::Disconnect), ("b", Slow::Latest)]) {
            assert_eq!(queue.push(message), Pushed::Queued);
        }
        assert_eq!(drain(&mut queue), "1 2");
        assert!(queue.is_empty());
    }

    #[test]
    fn oldest_messages_are_dropped_and_their_gap_told_before_the_rest() {
        let mut queue = holding(2);
        let made = messages(&[("a", Slow::DropOldest); 6]);
        assert_eq!(queue.push(made[0].clone()), Pushed::Queued);
        assert_eq!(queue.pop(), Some(Item::Message(made[0].clone())));
        for message in &made[1..3] {
            assert_eq!(queue.push(message.clone()), Pushed::Queued);
        }
        for message in &made[3..] {
            assert_eq!(queue.push(message.clone()), Pushed::Dropped { messages: 1 });
        }
        assert_eq!(queue.dropped(), 3);
        assert_eq!(drain(&mut queue), "a(1..5)3 5 6");
    }

    #[test]
    fn only_the_newest_of_each_topic_stays_where_only_the_latest_counts() {
        let mut queue = holding(4);
        let latest = |topic| (topic, Slow::Latest);
        let of = [latest("a"), latest("b"), latest("a"), latest("b"), latest("a")];
        let pushed: Vec<_> = messages(&of).into_iter().map(|message| queue.push(message)).collect();
        assert_eq!(pushed[4], Pushed::Dropped { messages: 3 });
        assert_eq!(drain(&mut queue), "a(0..4)2 b(0..3)1 4 5");
    }

    #[test]
    fn message_that_may_not_be_dropped_disconnects_when_nothing_else_can_leave() {
        let mut queue = holding(2);
        let made = messages(&[("a", Slow::Disconnect); 4]);
        assert_eq!(queue.push(made[0].clone()), Pushed::Queued);
        assert_eq!(queue.push(made[1].clone()), Pushed::Queued);
        assert_eq!(queue.push(made[2].clone()), Pushed::Overflow);
        assert!(queue.has_overflowed());
        queue.pop();
        assert_eq!(queue.push(made[3].clone()), Pushed::Overflow, "a hole without a gap");
        assert_eq!(drain(&mut queue), "2");
    }

    #[test]
    fn messages_that_may_leave_make_room_for_those_that_may_not() {
        let mut queue = holding(2);
        let made =
            messages(&[("a", Slow::Disconnect), ("b", Slow::DropOldest), ("a", Slow::Disconnect)]);
        let pushed: Vec<_> = made.into_iter().map(|message| queue.push(message)).collect();
        assert_eq!(pushed[2], Pushed::Dropped { messages: 1 });
        assert_eq!(drain(&mut queue), "b(0..3)1 1 3");
    }

    #[test]
    fn bytes_are_bounded_and_one_message_always_fits() {
        let cost = OVERHEAD + 8;
        let mut queue = Queue::new(QueueLimits { bytes: 3 * cost, messages: 100 });
        for message in messages(&[("a", Slow::DropOldest); 50]) {
            queue.push(message);
            assert!(queue.bytes() <= 3 * cost);
        }
        assert_eq!(drain(&mut queue), "a(0..48)47 48 49 50");
        let mut queue = Queue::new(QueueLimits { bytes: 1, messages: 0 });
        for message in messages(&[("a", Slow::DropOldest); 3]) {
            assert_ne!(queue.push(message), Pushed::Overflow);
        }
        assert_eq!(drain(&mut queue), "a(0..3)2 3");
    }

    #[test]
    fn topic_that_was_left_leaves_nothing_behind() {
        let mut queue = holding(2);
        let of = ["a", "a", "a", "b"].map(|topic| (topic, Slow::DropOldest));
        for message in messages(&of) {
            queue.push(message);
        }
        queue.forget(&TopicName::new("a").unwrap());
        assert_eq!(drain(&mut queue), "4");
    }
}
