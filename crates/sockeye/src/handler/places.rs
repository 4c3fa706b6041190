//! Where a connection can be reached by others: its mailbox and its places in topics. Of neither is
//! there anything until it is asked for.

use std::cell::OnceCell;
use std::sync::Arc;

use sockeye_proto::MessageRef;
use sockeye_proto::handler::Sender;

use super::mailbox::Mailbox;
use super::topics::{Membership, Topics};

/// What a connection has with its neighbours. It leaves them when this is dropped.
pub(crate) struct Places {
    topics: Topics,
    mailbox: OnceCell<Arc<Mailbox>>,
    memberships: Vec<Membership>,
}

impl Places {
    pub(crate) fn new(topics: Topics) -> Self {
        Self { topics, mailbox: OnceCell::new(), memberships: Vec::new() }
    }

    /// Returns the mailbox, if somebody may have put something in.
    pub(crate) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.get()
    }

    /// Subscribes, with a mailbox for so many bytes.
    pub(crate) fn subscribe(&mut self, topic: &str, most: usize) {
        if self.place_of(topic).is_none() {
            let mailbox = self.make_mailbox(most).clone();
            self.memberships.push(self.topics.join(topic, mailbox));
        }
    }

    pub(crate) fn unsubscribe(&mut self, topic: &str) {
        if let Some(at) = self.place_of(topic) {
            self.topics.leave(&self.memberships.swap_remove(at));
        }
    }

    pub(crate) fn publish(&self, topic: &str, message: MessageRef<'_>) {
        self.topics.publish_from(topic, message, self.mailbox());
    }

    /// Returns a handle to the connection, with a mailbox for so many bytes.
    pub(crate) fn sender(&self, most: usize) -> Sender {
        // Whatever is behind the handle is this connection and no other.
        Sender::new(self.make_mailbox(most).clone(), 0)
    }

    fn make_mailbox(&self, most: usize) -> &Arc<Mailbox> {
        self.mailbox.get_or_init(|| Arc::new(Mailbox::new(most)))
    }

    fn place_of(&self, topic: &str) -> Option<usize> {
        self.memberships.iter().position(|membership| *membership.topic == *topic)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.memberships.iter().for_each(|membership| self.topics.leave(membership));
        if let Some(mailbox) = self.mailbox.get() {
            mailbox.close();
        }
    }
}
