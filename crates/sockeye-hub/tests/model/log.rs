//! The truth: everything that was ever published, in a plain list, and which of it a hub with
//! these rules must still have.

use std::collections::VecDeque;
use std::time::Duration;

use sockeye_hub::{Epoch, Gap, Id, Label, Limits, Rules, TopicName};

/// Everything ever published, over all lives of the hub. A place in the list is an index.
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    pub(crate) epoch: Epoch,
    /// Where this life of the hub begins.
    pub(crate) start: usize,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    keys: VecDeque<(TopicName, Label, Id, Duration)>,
}

pub(crate) struct Entry {
    pub(crate) topic: TopicName,
    pub(crate) at: Duration,
    pub(crate) cost: usize,
    pub(crate) is_kept: bool,
}

impl Log {
    pub(crate) fn new(epoch: Epoch, rules: Rules, limits: Limits) -> Self {
        Self { entries: Vec::new(), epoch, start: 0, rules, limits, keys: VecDeque::new() }
    }

    pub(crate) fn restart(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.start = self.entries.len();
        self.keys.clear();
        self.entries.iter_mut().for_each(|entry| entry.is_kept = false);
    }

    /// Returns the id of a message of this life.
    pub(crate) fn id(&self, place: usize) -> Id {
        Id { epoch: self.epoch, seq: (place - self.start) as u64 + 1 }
    }

    /// Returns the place of a message of this life, by its number.
    pub(crate) fn place(&self, seq: u64) -> usize {
        self.start + usize::try_from(seq).unwrap() - 1
    }

    /// Returns the cursor of whoever has seen everything.
    pub(crate) fn cursor(&self) -> Id {
        Id { epoch: self.epoch, seq: (self.entries.len() - self.start) as u64 }
    }

    pub(crate) fn publish(&mut self, topic: &TopicName, cost: usize, at: Duration) -> Id {
        self.entries.push(Entry { topic: topic.clone(), at, cost, is_kept: true });
        self.trim(topic);
        while self.bytes() > self.limits.history_bytes {
            let oldest = self.kept(|_| true)[0];
            self.entries[oldest].is_kept = false;
        }
        self.id(self.entries.len() - 1)
    }

    /// Takes on other rules, under which nothing comes back.
    pub(crate) fn set_rules(&mut self, rules: Rules, topics: &[TopicName], now: Duration) {
        self.rules = rules;
        self.expire(now);
        topics.iter().for_each(|topic| self.trim(topic));
    }

    fn trim(&mut self, topic: &TopicName) {
        let rules = self.rules.of(topic).history.clone();
        loop {
            let kept = self.kept(|entry| entry.topic == *topic);
            let bytes: usize = kept.iter().map(|place| self.entries[*place].cost).sum();
            if kept.len() <= rules.messages && bytes <= rules.bytes && !rules.age.is_zero() {
                break;
            }
            let Some(oldest) = kept.first() else { break };
            self.entries[*oldest].is_kept = false;
        }
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        self.keys.retain(|(.., due)| *due > now);
        for place in self.kept(|_| true) {
            if self.due(place).is_some_and(|due| due <= now) {
                self.entries[place].is_kept = false;
            }
        }
    }

    /// Returns when a message is too old.
    pub(crate) fn due(&self, place: usize) -> Option<Duration> {
        let entry = &self.entries[place];
        let due = entry.at.checked_add(self.rules.of(&entry.topic).history.age);
        due.filter(|due| *due < Duration::MAX)
    }

    /// Returns the places of the messages that must still be there.
    pub(crate) fn kept(&self, which: impl Fn(&Entry) -> bool) -> Vec<usize> {
        let kept = |place: &usize| self.entries[*place].is_kept && which(&self.entries[*place]);
        (self.start..self.entries.len()).filter(kept).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept(|_| true).into_iter().map(|place| self.entries[place].cost).sum()
    }

    /// Returns the places of all messages of a topic between two numbers of this life.
    pub(crate) fn between(&self, gap: &Gap) -> Vec<usize> {
        let from = self.start + usize::try_from(gap.after).unwrap();
        let to = (self.start + usize::try_from(gap.before).unwrap()).saturating_sub(1);
        let to = to.min(self.entries.len());
        (from..to).filter(|place| self.entries[*place].topic == gap.topic).collect()
    }

    /// Returns the last message of a topic in this life that stands before a place.
    pub(crate) fn last_before(&self, topic: &TopicName, place: usize) -> Option<usize> {
        (self.start..place).rev().find(|place| self.entries[*place].topic == *topic)
    }

    /// Tells whether a cursor of this life has missed a message of a topic that is not kept.
    pub(crate) fn has_lost(&self, topic: &TopicName, seq: u64) -> bool {
        let from = self.start + usize::try_from(seq).unwrap();
        self.entries[from..].iter().any(|entry| entry.topic == *topic && !entry.is_kept)
    }

    pub(crate) fn key(&self, topic: &TopicName, key: &Label) -> Option<Id> {
        let found = self.keys.iter().find(|(of, known, ..)| of == topic && known == key);
        found.map(|(_, _, id, _)| *id)
    }

    pub(crate) fn remember(&mut self, topic: &TopicName, key: Label, id: Id, now: Duration) {
        self.keys.push_back((topic.clone(), key, id, now + self.limits.key_age));
        if self.keys.len() > self.limits.keys {
            self.keys.pop_front();
        }
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }
}
