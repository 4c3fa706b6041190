//! From the hub to the connections: each message is rendered once for each form it is sent in, and
//! handed to the reactor, whose threads send it to their connections.

use std::sync::{Arc, Weak};

use sockeye_hub::{Kind, Listener, Message, Payload, Slow, TopicName};
use sockeye_proto::MessageRef;
use sockeye_reactor::{Backlog, Reactor};

use super::Served;
use crate::envelope::write_message;

/// The form in which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The payload, as it was published.
    Raw,
    /// A JSON object: see [`crate::envelope`].
    Json,
}

/// Takes what is published to topics for all connections that get it in one form.
pub(crate) struct Feed {
    form: Form,
    reactor: Weak<Reactor<Served>>,
}

impl Form {
    /// Returns the name that a topic has on the reactor for connections of this form.
    pub(crate) fn channel(self, topic: &TopicName) -> String {
        [self.prefix(), topic.as_str()].concat()
    }

    /// Returns the topic that has this name.
    pub(crate) fn topic(self, channel: &str) -> Option<TopicName> {
        let name = channel.strip_prefix(self.prefix())?;
        TopicName::new(name).ok()
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Raw => "raw/",
            Self::Json => "json/",
        }
    }
}

impl Feed {
    /// Makes the listener for a form.
    pub(crate) fn listener(form: Form, reactor: &Arc<Reactor<Served>>) -> Arc<dyn Listener> {
        Arc::new(Self { form, reactor: Arc::downgrade(reactor) })
    }
}

impl Listener for Feed {
    fn deliver(&self, message: &Arc<Message>) {
        let Some(reactor) = self.reactor.upgrade() else { return };
        let (channel, position) = (self.form.channel(&message.topic), message.id.seq);
        let backlog = match message.slow {
            Slow::Disconnect => Backlog::Queue,
            Slow::DropOldest | Slow::Latest => Backlog::Skip,
        };
        match self.form {
            Form::Raw => reactor.publish_at(&channel, position, backlog, as_sent(&message.payload)),
            Form::Json => {
                let mut text = String::new();
                write_message(&mut text, message);
                reactor.publish_at(&channel, position, backlog, text.as_str());
            }
        }
    }
}

/// Returns a payload as a WebSocket carries it.
pub(super) fn as_sent(payload: &Payload) -> MessageRef<'_> {
    let bytes = payload.bytes();
    match (payload.kind(), std::str::from_utf8(bytes)) {
        (Kind::Text, Ok(text)) => text.into(),
        _ => bytes.as_ref().into(),
    }
}
