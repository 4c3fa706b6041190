//! What the hub's lock guards: the sequence, the topics and the clock.
//!
//! Owns every step that must be one step: numbering, keeping and delivering a message; looking back
//! and beginning to listen.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Limit, Refused};
use crate::id::MAX_SEQ;
use crate::keys::Keys;
use crate::listeners::Listener;
use crate::message::{Message, Payload, Publication, Published};
use crate::registry::Registry;
use crate::topic::{Books, Timer};
use crate::{Epoch, Id, Label, Limits, Rules, Since, TopicName};

/// Everything a hub knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) books: Books,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    /// Subscribers of all topics.
    pub(crate) subscriptions: usize,
    epoch: Epoch,
    /// The number of the last message.
    seq: u64,
    /// The latest moment anybody told. Threads read their clocks before they get the lock.
    now: Duration,
}

impl State {
    pub(crate) fn new(epoch: Epoch, rules: Rules, limits: Limits) -> Self {
        Self {
            registry: Registry::new(rules, limits.topics, limits.forgotten),
            books: Books::default(),
            keys: Keys::new(limits.keys, limits.key_age),
            limits,
            subscriptions: 0,
            epoch,
            seq: 0,
            now: Duration::ZERO,
        }
    }

    pub(crate) fn id(&self, seq: u64) -> Id {
        Id { epoch: self.epoch, seq }
    }

    /// Returns the cursor of whoever has seen all there was.
    pub(crate) fn cursor(&self) -> Id {
        self.id(self.seq)
    }

    #[cfg(test)]
    pub(crate) fn set_seq(&mut self, seq: u64) {
        self.seq = seq;
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.keys.expire(self.now);
    }

    pub(crate) fn publish(
        &mut self,
        publication: Publication,
        now: Duration,
    ) -> Result<Published, Refused> {
        self.advance(now);
        let Publication { topic, payload, event, key, if_version } = publication;
        within(Limit::Payload, payload.bytes().len(), self.limits.payload)?;
        let key = key.map(|key| self.keys.fingerprint(&topic, &key));
        if let Some(seq) = key.and_then(|key| self.keys.get(key)) {
            let subscribers = self.subscribers(&topic);
            return Ok(Published { id: self.id(seq), subscribers, is_repeat: true });
        }
        if let Some(version) = if_version {
            self.check_version(&topic, version)?;
        }
        let published = self.append(&topic, event, payload)?;
        if let Some(key) = key {
            self.keys.insert(key, published.id.seq, self.now);
        }
        Ok(published)
    }

    fn check_version(&self, topic: &TopicName, version: Id) -> Result<(), Refused> {
        let last = self.registry.last(topic).map(|seq| self.id(seq));
        if last == Some(version) { Ok(()) } else { Err(Refused::Version { last }) }
    }

    pub(crate) fn subscribers(&self, topic: &TopicName) -> usize {
        self.registry.get(topic).map_or(0, |topic| topic.listeners.subscribers())
    }

    /// Numbers, keeps and delivers a message.
    pub(crate) fn append(
        &mut self,
        name: &TopicName,
        event: Option<Label>,
        payload: Payload,
    ) -> Result<Published, Refused> {
        if self.seq >= MAX_SEQ {
            return Err(Refused::SequenceEnded);
        }
        let seq = self.seq + 1;
        let id = self.id(seq);
        let topic = self.registry.open_for(name, seq)?;
        self.seq = seq;
        let Some(topic) = topic else {
            return Ok(Published { id, subscribers: 0, is_repeat: false });
        };
        let message = Message {
            id,
            prev: topic.prev(),
            topic: topic.name.clone(),
            event,
            payload,
            at: self.now,
            slow: topic.rules.slow,
        };
        topic.append(&Arc::new(message), &mut self.books);
        let subscribers = topic.listeners.subscribers();
        if topic.is_idle() {
            self.registry.close_idle(name);
        }
        self.make_room();
        Ok(Published { id, subscribers, is_repeat: false })
    }

    /// Lets the oldest messages of all leave while the histories are too large together.
    fn make_room(&mut self) {
        while self.books.bytes > self.limits.history_bytes {
            let Some((rank, name)) = self.books.ranks.first().cloned() else { return };
            let Some(topic) = self.registry.get_mut(&name) else { return };
            topic.evict_ranked(rank, &mut self.books);
            self.registry.close_idle(&name);
        }
    }

    /// Adds a subscriber of a listener to a topic.
    pub(crate) fn join(
        &mut self,
        name: &TopicName,
        listener: &Arc<dyn Listener>,
    ) -> Result<(), Refused> {
        self.registry.open(name)?.listeners.add(listener);
        self.subscriptions += 1;
        Ok(())
    }

    /// Takes a subscriber of a listener away from a topic. Returns `None` when there is none.
    pub(crate) fn part(&mut self, name: &TopicName, listener: &Arc<dyn Listener>) -> Option<()> {
        self.registry.get_mut(name)?.listeners.remove(listener)?;
        self.subscriptions -= 1;
        self.registry.close_idle(name);
        Some(())
    }

    /// Lets the messages of a topic leave that are too old, before anybody looks at it.
    pub(crate) fn freshen(&mut self, name: &TopicName) {
        if let Some(topic) = self.registry.get_mut(name) {
            topic.expire(self.now, &mut self.books);
            self.registry.close_idle(name);
        }
    }

    pub(crate) fn clear(&mut self, name: &TopicName) {
        if let Some(topic) = self.registry.get_mut(name) {
            topic.clear(&mut self.books);
            self.registry.close_idle(name);
        }
    }

    /// Replaces the rules of all topics, those that are there too.
    pub(crate) fn set_rules(&mut self, rules: Rules, now: Duration) {
        self.advance(now);
        for name in self.registry.set_rules(rules) {
            let rules = self.registry.rules(&name).clone();
            if let Some(topic) = self.registry.get_mut(&name) {
                topic.set_rules(rules, self.now, &mut self.books);
                self.registry.close_idle(&name);
            }
        }
    }

    /// Finds where a cursor stands in this life of the hub.
    pub(crate) fn place(&self, since: Since) -> Place {
        match since {
            Since::Now => Place::End,
            Since::Oldest => Place::Start,
            Since::Unreadable => Place::Unreadable,
            Since::After(id) if id.epoch != self.epoch => Place::OtherLife,
            Since::After(id) if id.seq > self.seq => Place::Future,
            Since::After(id) => Place::After(id.seq),
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let timer = self.books.timers.first().map(|(due, _)| *due);
        [timer, self.keys.next_timeout()].into_iter().flatten().min()
    }

    /// Does the next thing that is due. Returns `None` when nothing is.
    pub(crate) fn handle_timer(&mut self) -> Option<()> {
        if self.books.timers.first()?.0 > self.now {
            return None;
        }
        match self.books.timers.pop_first()?.1 {
            Timer::History(name) => {
                if let Some(topic) = self.registry.get_mut(&name) {
                    topic.handle_timeout(self.now, &mut self.books);
                    self.registry.close_idle(&name);
                }
            }
            Timer::Leave(name, client) => self.remove_member(&name, &client),
        }
        Some(())
    }
}

/// Where a cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// After this message of ours.
    After(u64),
    /// After all there is.
    End,
    /// Ahead of all there is, though it is of this life.
    Future,
    /// In another life.
    OtherLife,
    /// Before all there is.
    Start,
    /// Nobody knows where.
    Unreadable,
}

/// Checks a bound.
pub(crate) fn within(limit: Limit, seen: usize, max: usize) -> Result<(), Refused> {
    if seen > max { Err(Refused::Limit { limit, max }) } else { Ok(()) }
}
