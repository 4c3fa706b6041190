//! What a handler can reach on its thread beside its own connection: topics, what is published, and the
//! post.

use std::collections::VecDeque;
use std::sync::Arc;

use sockeye_proto::handler::{Handler, Sender};
use sockeye_proto::{MessageRef, PreparedMessage};

use crate::mailbox::{Mailbox, Missed, Order, Post};
use crate::slab::Key;
use crate::system::Network;
use crate::topics::{Moved, Subscriptions, Topics};
use crate::traffic::Ledger;

/// What the connections of a thread share.
pub(crate) struct Local<H, N: Network> {
    pub(crate) topics: Topics,
    /// Connections whose places in topics changed while another connection had its turn.
    pub(crate) moved: Vec<Moved>,
    pub(crate) traffic: Ledger,
    /// The key of the connection whose turn it is.
    pub(crate) key: Option<Key>,
    /// What was published in this turn, in order.
    publications: Vec<Publication>,
    /// What the thread was asked to do and has not done, in order.
    orders: VecDeque<Order<H, N>>,
    missed: Missed,
    /// This thread's own post, and the other threads'.
    own: Arc<Mailbox<H, N>>,
    others: Vec<Arc<Mailbox<H, N>>>,
}

/// A message for the subscribers of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) topic: Arc<str>,
    /// Where it stands among all that is published, from 1; 0 if it has no position.
    pub(crate) position: u64,
    pub(crate) backlog: Backlog,
    pub(crate) message: Arc<PreparedMessage>,
}

/// What becomes of a message for a connection that has more waiting to be written than its high-water
/// mark ([`Limits::queue_high`](sockeye_proto::Limits::queue_high)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backlog {
    /// It waits behind the rest. A connection whose queue is full is closed with 1008.
    #[default]
    Queue,
    /// It is not sent: the connection leaves the topic, and its handler is told
    /// ([`Handler::missed`]).
    Skip,
}

impl<H: Handler, N: Network> Local<H, N> {
    pub(crate) fn new(own: Arc<Mailbox<H, N>>, others: Vec<Arc<Mailbox<H, N>>>) -> Self {
        let (topics, moved, traffic, publications, orders, missed) = Default::default();
        Self { topics, moved, traffic, key: None, publications, orders, missed, own, others }
    }

    /// Returns a handle to the connection whose turn it is.
    pub(crate) fn sender(&self) -> Sender {
        let nobody = u64::MAX;
        Sender::new(self.own.clone(), self.key.map_or(nobody, Key::number))
    }

    /// Takes what others have asked for since the last time.
    pub(crate) fn take_post(&mut self) {
        let Post { orders, missed, .. } = self.own.take();
        self.orders.extend(orders);
        self.missed.extend(missed);
    }

    /// Returns what to do next.
    pub(crate) fn next_order(&mut self) -> Option<Order<H, N>> {
        self.orders.pop_front()
    }

    /// Returns who missed messages for want of room in the post.
    pub(crate) fn take_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }

    /// Returns what is on its way to a connection up to a position, and takes note that it has that.
    pub(crate) fn catch_up(
        &mut self,
        index: u32,
        own: &Subscriptions,
        position: u64,
    ) -> Vec<Arc<PreparedMessage>> {
        self.take_post();
        let ordered = self.orders.iter().filter_map(|order| match order {
            Order::Publish(publication) => Some(publication),
            _ => None,
        });
        let due = self.publications.iter().chain(ordered).filter(|publication| {
            (1..=position).contains(&publication.position)
                && own.contains(&publication.topic)
                && self.topics.is_new_to(&publication.topic, index, publication.position)
        });
        let due = due.map(|publication| publication.message.clone()).collect();
        self.topics.caught_up(index, own, position);
        due
    }

    /// Publishes here, at the end of the turn, and on the other threads.
    pub(crate) fn publish(&mut self, topic: &str, message: MessageRef<'_>) {
        let topic: Arc<str> = match self.publications.last() {
            Some(last) if *last.topic == *topic => last.topic.clone(),
            _ => topic.into(),
        };
        let message = Arc::new(PreparedMessage::new(message));
        let publication = Publication { topic, position: 0, backlog: Backlog::Queue, message };
        for other in &self.others {
            other.put(Order::Publish(publication.clone()));
        }
        self.hand_out_later(publication);
    }

    /// Publishes here, at the end of the turn.
    pub(crate) fn hand_out_later(&mut self, publication: Publication) {
        self.publications.push(publication);
    }

    pub(crate) fn has_publications(&self) -> bool {
        !self.publications.is_empty()
    }

    /// Takes what was published, in order.
    pub(crate) fn take_publications(&mut self) -> Vec<Publication> {
        std::mem::take(&mut self.publications)
    }

    /// Returns who gets which of the publications: by connection, each in order.
    pub(crate) fn deliveries(&self, publications: &[Publication]) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for (number, Publication { topic, position, .. }) in publications.iter().enumerate() {
            let members = self.topics.members(topic).iter().copied();
            let members = members.filter(|index| self.topics.is_new_to(topic, *index, *position));
            deliveries.extend(members.map(|index| Delivery { index, number }));
        }
        deliveries.sort_unstable();
        deliveries
    }
}

#[cfg(any(test, feature = "simulation"))]
impl Publication {
    /// Makes one without a position.
    pub(crate) fn new(topic: &str, message: Arc<PreparedMessage>) -> Self {
        Self { topic: topic.into(), position: 0, backlog: Backlog::Queue, message }
    }
}

/// A publication that is due to a connection, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    pub(crate) index: u32,
    pub(crate) number: usize,
}
