//! Messages of a connection about each of which somebody is asked before it is published: one at a
//! time, in their order, in a task that ends with its connection.

use std::sync::{Arc, Mutex, PoisonError};

use sockeye_hub::{Payload, Publication, TopicName};
use sockeye_proto::handler::Sender;
use tokio::sync::mpsc;

use super::feed::as_sent;
use crate::app::App;
use crate::auth::Denied;
use crate::guest::Guest;
use crate::hook::Answer;

/// The way of a connection's messages to whoever is asked.
pub(crate) struct Relay {
    state: State,
    /// Why the connection is to be closed.
    refusal: Arc<Mutex<Option<Denied>>>,
}

enum State {
    /// The connection has not been opened.
    Ready(Box<Asking>),
    Running(mpsc::Sender<Payload>),
    Over,
}

/// Whose messages they are, and where they go.
struct Asking {
    app: Arc<App>,
    topic: TopicName,
    guest: Arc<Guest>,
}

impl Relay {
    pub(crate) fn new(app: Arc<App>, topic: TopicName, guest: Arc<Guest>) -> Self {
        let asking = Box::new(Asking { app, topic, guest });
        Self { state: State::Ready(asking), refusal: Arc::default() }
    }

    /// Begins to take messages, for the connection that `sender` reaches.
    pub(super) fn open(&mut self, sender: Sender) {
        let State::Ready(asking) = std::mem::replace(&mut self.state, State::Over) else { return };
        let (queue, messages) = mpsc::channel(WAITING);
        let runtime = asking.app.runtime.clone();
        runtime.spawn(asking.run(messages, self.refusal.clone(), sender));
        self.state = State::Running(queue);
    }

    /// Takes a message; tells whether there was room for it.
    pub(super) fn put(&mut self, payload: Payload) -> bool {
        matches!(&self.state, State::Running(queue) if queue.try_send(payload).is_ok())
    }

    /// Returns why the connection is to be closed, once it is.
    pub(super) fn refusal(&self) -> Option<Denied> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Asking {
    /// Asks about each message, until one is refused or the connection has ended.
    async fn run(
        self: Box<Self>,
        mut messages: mpsc::Receiver<Payload>,
        refusal: Arc<Mutex<Option<Denied>>>,
        connection: Sender,
    ) {
        while let Some(payload) = messages.recv().await {
            if let Err(denied) = self.publish(payload, &connection).await {
                *refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(denied);
                return connection.wake();
            }
        }
    }

    async fn publish(&self, payload: Payload, connection: &Sender) -> Result<(), Denied> {
        let publication = Publication::new(self.topic.clone(), payload);
        let Answer { publish, reply } = self.guest.relay(&self.guest.grant, publication).await?;
        if let Some(publication) = publish
            && let Err(refused) = self.app.publish(publication)
        {
            tracing::warn!(topic = self.topic.as_str(), %refused, "publish.refused");
        }
        if let Some(reply) = reply {
            connection.send(as_sent(&reply));
        }
        Ok(())
    }
}

/// Messages of one connection that may wait; one that sends more than a back end answers is closed.
const WAITING: usize = 64;
