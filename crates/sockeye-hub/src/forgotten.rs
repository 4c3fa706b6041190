//! What is remembered of topics that the hub no longer holds.
//!
//! A topic that has nothing left is dropped. Whether a cursor has missed one of its messages must
//! be known all the same, so the number of its last message stays here for a while, and after that
//! only a floor under all topics.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use crate::TopicName;

/// The last numbers of topics that are gone, by a keyed hash of their names: 16 bytes each and not
/// 255. Two names with one hash can only make a gap that is none.
#[derive(Debug)]
pub(crate) struct Forgotten {
    last: HashMap<u64, u64>,
    /// The same, by number. No two topics share one.
    by_seq: BTreeMap<u64, u64>,
    hasher: RandomState,
    /// No topic that is unknown here had a later message.
    floor: u64,
    max: usize,
}

impl Forgotten {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            last: HashMap::new(),
            by_seq: BTreeMap::new(),
            hasher: RandomState::new(),
            floor: 0,
            max,
        }
    }

    /// Remembers the number of a topic's last message.
    pub(crate) fn note(&mut self, topic: &TopicName, seq: u64) {
        let hash = self.hasher.hash_one(topic);
        self.remove(hash);
        if seq <= self.floor {
            return;
        }
        self.last.insert(hash, seq);
        self.by_seq.insert(seq, hash);
        while self.last.len() > self.max {
            let Some((seq, hash)) = self.by_seq.pop_first() else { return };
            self.last.remove(&hash);
            self.floor = seq;
        }
    }

    /// Forgets a topic that is held again. Returns the number of its last message if it is known.
    pub(crate) fn take(&mut self, topic: &TopicName) -> Option<u64> {
        self.remove(self.hasher.hash_one(topic))
    }

    /// Returns the number of a topic's last message if it is known.
    pub(crate) fn last(&self, topic: &TopicName) -> Option<u64> {
        self.last.get(&self.hasher.hash_one(topic)).copied()
    }

    /// Returns a number that no message of the topic has passed.
    pub(crate) fn evicted(&self, topic: &TopicName) -> u64 {
        self.last(topic).unwrap_or(self.floor)
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn len(&self) -> usize {
        self.last.len()
    }

    fn remove(&mut self, hash: u64) -> Option<u64> {
        let seq = self.last.remove(&hash)?;
        self.by_seq.remove(&seq);
        Some(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[test]
    fn beyond_the_bound_the_lowest_number_becomes_the_floor() {
        let mut forgotten = Forgotten::new(2);
        forgotten.note(&topic("a"), 5);
        forgotten.note(&topic("b"), 3);
        assert_eq!(forgotten.evicted(&topic("x")), 0);
        forgotten.note(&topic("c"), 9);
        assert_eq!((forgotten.floor(), forgotten.len()), (3, 2));
        assert_eq!(forgotten.last(&topic("b")), None);
        assert_eq!(forgotten.evicted(&topic("b")), 3);
        assert_eq!(forgotten.evicted(&topic("a")), 5);
        forgotten.note(&topic("a"), 11);
        assert_eq!((forgotten.floor(), forgotten.len()), (3, 2));
        assert_eq!(forgotten.take(&topic("a")), Some(11));
        assert_eq!((forgotten.len(), forgotten.by_seq.len()), (1, 1));
    }
}
