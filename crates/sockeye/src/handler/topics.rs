//! Who gets what is published to a topic.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Waker;

use sockeye_proto::{MessageRef, PreparedMessage};

use super::mailbox::{Mailbox, Order};
use crate::slots::Slots;

/// Topics and their subscribers, shared by the connections that run with them: see
/// [`WebSocket::run_with`](crate::WebSocket::run_with) and
/// [`Server::topics`](crate::Server::topics). Cloned, it is the same one.
///
/// What is published is framed once for all subscribers, and compressed once for each way of
/// compressing. Each gets what one thread published in its order. One that reads too slowly is closed
/// with 1008, so that it notices what it missed.
#[derive(Clone, Default)]
pub struct Topics(Arc<RwLock<Members>>);

/// The subscribers of each topic that has any.
type Members = HashMap<Arc<str>, Slots<Arc<Mailbox>>>;

/// A connection's place in a topic.
pub(crate) struct Membership {
    pub(crate) topic: Arc<str>,
    place: usize,
}

impl Topics {
    /// Starts without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a message to all subscribers of `topic`.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<MessageRef<'m>>) {
        self.publish_from(topic, message.into(), None);
    }

    /// As [`publish`](Self::publish), by a connection whose own mailbox is looked into anyway.
    pub(crate) fn publish_from(
        &self,
        topic: &str,
        message: MessageRef<'_>,
        own: Option<&Arc<Mailbox>>,
    ) {
        let mut wakers = Vec::new();
        {
            let topics = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let Some(members) = topics.get(topic) else { return };
            let message = Arc::new(PreparedMessage::new(message));
            for mailbox in members.iter() {
                let waker = mailbox.put(Order::Send(message.clone()));
                if !own.is_some_and(|own| Arc::ptr_eq(own, mailbox)) {
                    wakers.extend(waker);
                }
            }
        }
        // Not before: who is woken may want to subscribe at once.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Adds a subscriber.
    pub(crate) fn join(&self, topic: &str, mailbox: Arc<Mailbox>) -> Membership {
        let mut topics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let topic = match topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => topic.into(),
        };
        let place = topics.entry(topic.clone()).or_default().add(mailbox);
        Membership { topic, place }
    }

    /// Removes a subscriber. The last takes the topic along.
    pub(crate) fn leave(&self, Membership { topic, place }: &Membership) {
        let mut topics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(members) = topics.get_mut(topic) else { return };
        let left = members.remove(*place);
        if members.is_empty() {
            topics.remove(topic);
        }
        drop(topics);
        drop(left);
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Topics").field("count", &topics.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_the_last_subscriber_takes_the_topic_along() {
        let topics = Topics::new();
        let mailbox = Arc::new(Mailbox::new(1_000));
        let [first, second] = [(); 2].map(|()| topics.join("t", mailbox.clone()));
        topics.leave(&first);
        topics.leave(&first);
        assert_eq!(topics.join("t", mailbox.clone()).place, first.place);
        topics.leave(&first);
        assert_eq!(format!("{topics:?}"), "Topics { count: 1 }");
        topics.leave(&second);
        assert_eq!(format!("{topics:?}"), "Topics { count: 0 }");
        assert_eq!(Arc::strong_count(&mailbox), 1);
    }
}
