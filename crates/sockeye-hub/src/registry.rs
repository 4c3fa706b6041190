//! The topics there are, and what is remembered of those there were.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use crate::error::{Limit, Refused};
use crate::forgotten::Forgotten;
use crate::topic::Topic;
use crate::{Rules, TopicName, TopicRules};

/// Every topic that has something. One that has nothing left costs nothing but its place among the
/// forgotten.
#[derive(Debug)]
pub(crate) struct Registry {
    topics: HashMap<TopicName, Topic>,
    /// Their names in order, so that a page of them costs no more than it has.
    names: BTreeSet<TopicName>,
    forgotten: Forgotten,
    rules: Rules,
    max: usize,
}

impl Registry {
    /// Makes one for at most `max` topics, which remembers `forgotten` others.
    pub(crate) fn new(rules: Rules, max: usize, forgotten: usize) -> Self {
        let (topics, names) = Default::default();
        Self { topics, names, forgotten: Forgotten::new(forgotten), rules, max }
    }

    pub(crate) fn rules(&self, name: &TopicName) -> &TopicRules {
        self.rules.of(name)
    }

    /// Replaces the rules; topics that are there keep theirs until they are given others. Returns the
    /// names of those.
    pub(crate) fn set_rules(&mut self, rules: Rules) -> Vec<TopicName> {
        self.rules = rules;
        self.names.iter().cloned().collect()
    }

    pub(crate) fn get(&self, name: &TopicName) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &TopicName) -> Option<&mut Topic> {
        self.topics.get_mut(name)
    }

    /// Returns a topic, made if it is not there. Whoever leaves nothing in it closes it again.
    ///
    /// # Errors
    /// [`Limit::Topics`].
    pub(crate) fn open(&mut self, name: &TopicName) -> Result<&mut Topic, Refused> {
        let count = self.topics.len();
        match self.topics.entry(name.clone()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(_) if count >= self.max => {
                Err(Refused::Limit { limit: Limit::Topics, max: self.max })
            }
            Entry::Vacant(entry) => {
                let last = self.forgotten.take(name);
                let evicted = last.unwrap_or(self.forgotten.floor());
                let rules = self.rules.of(name).clone();
                self.names.insert(name.clone());
                Ok(entry.insert(Topic::new(name.clone(), rules, last, evicted)))
            }
        }
    }

    /// Drops a topic if it has nothing left.
    pub(crate) fn close_idle(&mut self, name: &TopicName) {
        if !self.topics.get(name).is_some_and(Topic::is_idle) {
            return;
        }
        self.names.remove(name);
        if let Some(last) = self.topics.remove(name).and_then(|topic| topic.last()) {
            self.forgotten.note(name, last);
        }
        self.shrink();
    }

    /// Returns the topic that a message goes to, made if it is not there; `None` for one that need
    /// not be held for it, because nobody listens and nothing is kept: then the number of the
    /// message is noted, and that is all.
    ///
    /// # Errors
    /// [`Limit::Topics`].
    pub(crate) fn open_for(
        &mut self,
        name: &TopicName,
        seq: u64,
    ) -> Result<Option<&mut Topic>, Refused> {
        let is_passed = !self.topics.contains_key(name) && !self.rules.of(name).history.keeps();
        if is_passed {
            self.forgotten.note(name, seq);
            return Ok(None);
        }
        self.open(name).map(Some)
    }

    /// Returns the number of a topic's last message if it is known.
    pub(crate) fn last(&self, name: &TopicName) -> Option<u64> {
        self.get(name).map_or_else(|| self.forgotten.last(name), Topic::last)
    }

    /// Returns the highest number that a message of the topic, which is not kept, may have.
    pub(crate) fn evicted(&self, name: &TopicName) -> u64 {
        let held = self.get(name).map(|topic| topic.history().evicted());
        held.unwrap_or_else(|| self.forgotten.evicted(name))
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Lists the names behind one, in order.
    pub(crate) fn names_after<'a>(
        &'a self,
        after: Option<&'a TopicName>,
    ) -> impl Iterator<Item = &'a TopicName> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.names.range::<TopicName, _>((from, Bound::Unbounded))
    }

    pub(crate) fn forgotten(&self) -> &Forgotten {
        &self.forgotten
    }

    /// Gives memory back after a rush.
    fn shrink(&mut self) {
        if self.topics.len() < self.topics.capacity() / 8 {
            self.topics.shrink_to(self.topics.len().saturating_mul(2));
        }
    }
}
