//! Keys of publications, by which a repeat is known.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::{Label, TopicName};

/// The keys of the last while and the numbers of their messages.
///
/// A key is held as two independent keyed hashes of it and its topic: nobody outside can make two
/// that are alike.
#[derive(Debug)]
pub(crate) struct Keys {
    seqs: HashMap<Fingerprint, u64>,
    /// Oldest first, with the moment when each is forgotten.
    order: VecDeque<(Duration, Fingerprint)>,
    hashers: [RandomState; 2],
    max: usize,
    age: Duration,
}

/// What is held of a key.
pub(crate) type Fingerprint = [u64; 2];

impl Keys {
    pub(crate) fn new(max: usize, age: Duration) -> Self {
        Self {
            seqs: HashMap::new(),
            order: VecDeque::new(),
            hashers: [RandomState::new(), RandomState::new()],
            max,
            age,
        }
    }

    pub(crate) fn fingerprint(&self, topic: &TopicName, key: &Label) -> Fingerprint {
        self.hashers.each_ref().map(|hasher| hasher.hash_one((topic, key)))
    }

    /// Returns the number of the message that was published under a key.
    pub(crate) fn get(&self, key: Fingerprint) -> Option<u64> {
        self.seqs.get(&key).copied()
    }

    /// Remembers a key that [`Keys::get`] does not know.
    pub(crate) fn insert(&mut self, key: Fingerprint, seq: u64, now: Duration) {
        self.seqs.insert(key, seq);
        self.order.push_back((now.saturating_add(self.age), key));
        if self.order.len() > self.max {
            self.forget_oldest();
        }
    }

    /// Forgets the keys whose time is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        while self.next_timeout().is_some_and(|due| due <= now) {
            self.forget_oldest();
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        self.order.front().map(|(due, _)| *due)
    }

    pub(crate) fn len(&self) -> usize {
        self.seqs.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.seqs.remove(&key);
        }
    }
}
