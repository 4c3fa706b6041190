//! One topic: its past, its listeners, its members.
//!
//! Owns when a message leaves the history, and keeps the books of the hub true about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::history::History;
use crate::listeners::Listeners;
use crate::members::Members;
use crate::message::Message;
use crate::{Label, TopicName, TopicRules};

/// A topic that has something: a subscriber, a member or a message.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) rules: TopicRules,
    pub(crate) listeners: Listeners,
    pub(crate) members: Option<Box<Members>>,
    history: History,
    /// The number of the last message, kept or not, if it is known.
    last: Option<u64>,
    /// Under which moment the books have the history's next timer.
    timer: Option<Duration>,
    /// Under which number the books have the history.
    rank: Option<u64>,
}

/// What the hub knows over all topics.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Bytes of all histories.
    pub(crate) bytes: usize,
    /// Messages of all histories.
    pub(crate) messages: usize,
    /// What is due and when. A history stands here at most once, with a moment that its oldest
    /// message does not leave before: it is corrected when the moment comes and not with each
    /// message that leaves, which keeps publishing quick.
    pub(crate) timers: BTreeSet<(Duration, Timer)>,
    /// The histories by their oldest message; the number is corrected as lazily, and never too
    /// high.
    pub(crate) ranks: BTreeSet<(u64, TopicName)>,
}

/// What may be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The oldest message of a topic may leave.
    History(TopicName),
    /// A member of a topic is gone.
    Leave(TopicName, Label),
}

impl Topic {
    /// Makes a topic of whose earlier messages none is left. `last` is its last one's number if it
    /// is known, and `evicted` a number that it does not pass.
    pub(crate) fn new(name: TopicName, rules: TopicRules, last: Option<u64>, evicted: u64) -> Self {
        Self {
            name,
            rules,
            listeners: Listeners::default(),
            members: None,
            history: History::after_eviction(evicted),
            last,
            timer: None,
            rank: None,
        }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// Returns what the next message says of the one before it.
    pub(crate) fn prev(&self) -> u64 {
        self.last.unwrap_or(self.history.evicted())
    }

    /// Tells whether nothing is left for which the topic must be held.
    pub(crate) fn is_idle(&self) -> bool {
        self.history.is_empty() && self.members.is_none() && self.listeners.subscribers() == 0
    }

    /// Keeps a new message as the rules have it, and gives it to the listeners. In this order, so
    /// that the history is whole even if a listener panics.
    pub(crate) fn append(&mut self, message: &Arc<Message>, books: &mut Books) {
        self.last = Some(message.id.seq);
        if self.rules.history.keeps() {
            self.keep(message.clone(), books);
        } else {
            self.history.skip(message.id.seq);
        }
        self.listeners.deliver(message);
    }

    fn keep(&mut self, message: Arc<Message>, books: &mut Books) {
        books.bytes = books.bytes.saturating_add(self.history.push(message));
        books.messages += 1;
        self.trim(books);
        self.enter(books);
    }

    /// Takes on other rules, and lets the messages leave that they do not keep.
    pub(crate) fn set_rules(&mut self, rules: TopicRules, now: Duration, books: &mut Books) {
        // What is too old by now does not come back under a longer age.
        self.expire(now, books);
        self.rules = rules;
        self.trim(books);
        // Under a shorter age the oldest message may leave before the moment in the books.
        if let Some(due) = self.timer.take() {
            books.timers.remove(&(due, Timer::History(self.name.clone())));
        }
        self.expire(now, books);
    }

    /// Lets the oldest messages leave while there are too many.
    fn trim(&mut self, books: &mut Books) {
        let (messages, bytes) = (self.rules.history.messages, self.rules.history.bytes);
        while self.history.len() > messages || self.history.bytes() > bytes {
            self.evict_oldest(books);
        }
    }

    /// Lets the messages leave that are too old.
    pub(crate) fn expire(&mut self, now: Duration, books: &mut Books) {
        while self.due().is_some_and(|due| due <= now) {
            self.evict_oldest(books);
        }
        self.enter(books);
    }

    /// Lets all messages leave.
    pub(crate) fn clear(&mut self, books: &mut Books) {
        while !self.history.is_empty() {
            self.evict_oldest(books);
        }
        self.enter(books);
    }

    /// Corrects the number under which the books have the history, and lets the oldest message
    /// leave if that was its number.
    pub(crate) fn evict_ranked(&mut self, rank: u64, books: &mut Books) {
        books.ranks.remove(&(rank, self.name.clone()));
        self.rank = None;
        if self.history.oldest().is_some_and(|oldest| oldest.id.seq == rank) {
            self.evict_oldest(books);
        }
        self.enter(books);
    }

    /// Lets the messages leave for which a timer was set, after it was taken out of the books.
    pub(crate) fn handle_timeout(&mut self, now: Duration, books: &mut Books) {
        self.timer = None;
        self.expire(now, books);
    }

    fn evict_oldest(&mut self, books: &mut Books) {
        if let Some(cost) = self.history.evict() {
            books.bytes = books.bytes.saturating_sub(cost);
            books.messages -= 1;
        }
    }

    /// Returns when the oldest message leaves; never if the sum is beyond all time.
    fn due(&self) -> Option<Duration> {
        let due = self.history.oldest()?.at.checked_add(self.rules.history.age)?;
        Some(due).filter(|due| *due < Duration::MAX)
    }

    /// Enters the history in the books if it is not there, or takes it out if nothing is left.
    fn enter(&mut self, books: &mut Books) {
        let Some(oldest) = self.history.oldest() else {
            if let Some(rank) = self.rank.take() {
                books.ranks.remove(&(rank, self.name.clone()));
            }
            if let Some(due) = self.timer.take() {
                books.timers.remove(&(due, Timer::History(self.name.clone())));
            }
            return;
        };
        if self.rank.is_none() {
            self.rank = Some(oldest.id.seq);
            books.ranks.insert((oldest.id.seq, self.name.clone()));
        }
        if self.timer.is_none() {
            self.timer = self.due();
            books.timers.extend(self.timer.map(|due| (due, Timer::History(self.name.clone()))));
        }
    }
}
