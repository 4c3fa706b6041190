//! What a handler can reach on its thread beside its own connection: topics, what is published, and the
//! post.

use std::collections::HashMap;
use std::sync::Arc;

use sockeye_proto::handler::{Handler, Sender};
use sockeye_proto::{MessageRef, PreparedMessage};

use crate::mailbox::{Mailbox, Order};
use crate::slab::Key;
use crate::system::Network;
use crate::topics::{Moved, Topics};

/// What the connections of a thread share.
pub(crate) struct Local<H, N: Network> {
    pub(crate) topics: Topics,
    /// Connections whose places in topics changed while another connection had its turn.
    pub(crate) moved: Vec<Moved>,
    /// The key of the connection whose turn it is.
    pub(crate) key: Option<Key>,
    /// What was published in this turn, in order.
    publications: Vec<Publication>,
    /// This thread's own post, and the other threads'.
    own: Arc<Mailbox<H, N>>,
    others: Vec<Arc<Mailbox<H, N>>>,
}

type Publication = (Arc<str>, Arc<PreparedMessage>);

impl<H: Handler, N: Network> Local<H, N> {
    pub(crate) fn new(own: Arc<Mailbox<H, N>>, others: Vec<Arc<Mailbox<H, N>>>) -> Self {
        let (topics, moved, publications) = Default::default();
        Self { topics, moved, key: None, publications, own, others }
    }

    /// Returns a handle to the connection whose turn it is.
    pub(crate) fn sender(&self) -> Sender {
        let nobody = u64::MAX;
        Sender::new(self.own.clone(), self.key.map_or(nobody, Key::number))
    }

    /// Publishes here, at the end of the turn, and on the other threads.
    pub(crate) fn publish(&mut self, topic: &str, message: MessageRef<'_>) {
        let topic: Arc<str> = match self.publications.last() {
            Some((last, _)) if **last == *topic => last.clone(),
            _ => topic.into(),
        };
        let message = Arc::new(PreparedMessage::new(message));
        for other in &self.others {
            other.put(Order::Publish(topic.clone(), message.clone()));
        }
        self.hand_out_later(topic, message);
    }

    /// Publishes here, at the end of the turn.
    pub(crate) fn hand_out_later(&mut self, topic: Arc<str>, message: Arc<PreparedMessage>) {
        self.publications.push((topic, message));
    }

    pub(crate) fn has_publications(&self) -> bool {
        !self.publications.is_empty()
    }

    /// Takes what was published, by topic.
    pub(crate) fn take_publications(&mut self) -> Vec<(Arc<str>, Vec<Arc<PreparedMessage>>)> {
        let mut topics: Vec<(Arc<str>, Vec<Arc<PreparedMessage>>)> = Vec::new();
        if self.publications.is_empty() {
            return topics;
        }
        let mut places = HashMap::new();
        for (topic, message) in std::mem::take(&mut self.publications) {
            let place = *places.entry(topic.clone()).or_insert_with(|| {
                topics.push((topic, Vec::new()));
                topics.len() - 1
            });
            if let Some((_, messages)) = topics.get_mut(place) {
                messages.push(message);
            }
        }
        topics
    }
}
