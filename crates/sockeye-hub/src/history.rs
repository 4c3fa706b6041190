//! What one topic keeps of its past.
//!
//! Knows in what order messages lie and which have left; when they leave, the topic decides.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Message;

/// The messages of a topic, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// The highest number of a message of this topic that is not here. A cursor below it has
    /// missed something.
    evicted: u64,
}

impl History {
    /// Makes the empty history of a topic whose messages up to `evicted` are gone.
    pub(crate) fn after_eviction(evicted: u64) -> Self {
        Self { evicted, ..Self::default() }
    }

    /// Adds the newest message. Returns what it costs.
    pub(crate) fn push(&mut self, message: Arc<Message>) -> usize {
        let cost = message.cost();
        self.bytes = self.bytes.saturating_add(cost);
        self.messages.push_back(message);
        cost
    }

    /// Takes note of a message that is not kept at all.
    pub(crate) fn skip(&mut self, seq: u64) {
        self.evicted = seq;
    }

    /// Removes the oldest message. Returns what it cost.
    pub(crate) fn evict(&mut self) -> Option<usize> {
        let message = self.messages.pop_front()?;
        let cost = message.cost();
        self.bytes = self.bytes.saturating_sub(cost);
        self.evicted = message.id.seq;
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(cost)
    }

    pub(crate) fn oldest(&self) -> Option<&Arc<Message>> {
        self.messages.front()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the messages numbered after `seq`, oldest first.
    pub(crate) fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Message>> {
        let from = self.messages.partition_point(|message| message.id.seq <= seq);
        self.messages.range(from..)
    }

    /// Returns the messages numbered before `seq`, newest first.
    pub(crate) fn before(&self, seq: u64) -> impl Iterator<Item = &Arc<Message>> {
        let to = self.messages.partition_point(|message| message.id.seq < seq);
        self.messages.range(..to).rev()
    }
}
