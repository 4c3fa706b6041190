//! Topics: what one member sends, all members get, the sender too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye::{CloseCode, ErrorKind, Message, Result, Sender, WebSocket};

/// The longest name of a topic, in bytes.
pub(super) const MAX_TOPIC: usize = 255;

/// The topics of a server. A topic exists while it has members.
#[derive(Clone, Default)]
pub(super) struct Topics {
    topics: Arc<Mutex<HashMap<String, Vec<Member>>>>,
}

#[derive(Clone)]
struct Member {
    id: u64,
    sender: Sender,
}

impl Topics {
    /// Makes a connection a member of `topic` until it ends.
    pub(super) async fn join(&self, topic: &str, ws: WebSocket) -> Result<()> {
        let (sender, mut receiver) = ws.split();
        let membership = self.enter(topic, sender);
        loop {
            match receiver.recv().await? {
                Some(message) => membership.publish(&message),
                None => return Ok(()),
            }
        }
    }

    fn enter<'a>(&'a self, topic: &'a str, sender: Sender) -> Membership<'a> {
        let mut topics = self.lock();
        let members = topics.entry(topic.to_owned()).or_default();
        let id = members.iter().map(|member| member.id).max().map_or(0, |last| last + 1);
        members.push(Member { id, sender });
        Membership { topics: self, topic, id }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Member>>> {
        // Every change below is complete before it can panic.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place in a topic.
struct Membership<'a> {
    topics: &'a Topics,
    topic: &'a str,
    id: u64,
}

impl Membership<'_> {
    /// Queues a message for every member. One that reads too slowly to have room for it is closed,
    /// so that it notices what it missed; nobody waits for it.
    fn publish(&self, message: &Message) {
        let members = self.topics.lock().get(self.topic).cloned().unwrap_or_default();
        for Member { sender, .. } in members {
            match sender.try_send(message.clone()) {
                Err(error) if error.kind() == ErrorKind::BufferFull => {
                    tokio::spawn(async move {
                        let _ = sender.close(CloseCode::POLICY, "slow consumer").await;
                    });
                }
                // One that is closed leaves by itself.
                _ => {}
            }
        }
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        if let Some(members) = topics.get_mut(self.topic) {
            members.retain(|member| member.id != self.id);
            if members.is_empty() {
                topics.remove(self.topic);
            }
        }
    }
}
