//! How a stream of messages is written, one form to a file.
//!
//! All of them say the same: the gaps found at the start, then the cursor where the client stands,
//! then messages and gaps as they come, now and then that the stream is alive, and why it ends. The
//! cursor comes behind the gaps, so that whoever has it has been told of them.

mod events;
mod lines;
mod parts;

use std::time::Duration;

use sockeye_hub::{Gap, Id, Item, Message};

pub(crate) use events::is_reserved;
pub(super) use events::{Breadth, Events};
pub(super) use lines::Lines;
pub(super) use parts::{Parts, Replacement};

/// Writes a stream.
pub(super) trait Format: Send {
    /// Returns the media type of what is written.
    fn content_type(&self) -> String;

    /// Begins.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Tells where the client stands.
    fn cursor(&mut self, out: &mut Vec<u8>, cursor: Id);

    /// Writes a message.
    fn message(&mut self, out: &mut Vec<u8>, message: &Message);

    /// Writes a gap.
    fn gap(&mut self, out: &mut Vec<u8>, gap: &Gap);

    /// Tells that the stream is alive.
    fn heartbeat(&mut self, out: &mut Vec<u8>);

    /// Ends.
    fn close(&mut self, out: &mut Vec<u8>, end: End);
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// An operator has disconnected the client.
    Disconnected,
    /// What the client may has ended.
    Expired,
    /// The client reads too slowly: it comes back with its cursor.
    Slow,
    /// The server stops; the client comes back after a while.
    Stopping {
        /// The while.
        retry: Duration,
    },
}

impl dyn Format {
    pub(super) fn item(&mut self, out: &mut Vec<u8>, item: &Item) {
        match item {
            Item::Gap(gap) => self.gap(out, gap),
            Item::Message(message) => self.message(out, message),
        }
    }
}

impl End {
    /// Returns the end as JSON; nothing for one that explains itself.
    fn json(self) -> Option<String> {
        match self {
            Self::Disconnected => Some(r#"{"type":"disconnected"}"#.to_owned()),
            Self::Expired => Some(r#"{"type":"expired"}"#.to_owned()),
            Self::Slow => None,
            Self::Stopping { retry } => {
                Some(format!(r#"{{"type":"retry","retry":{}}}"#, retry.as_millis()))
            }
        }
    }
}

#[cfg(test)]
mod testing {
    //! Messages for the tests of the forms.

    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use sockeye_hub::{
        Epoch, Hub, Label, Limits, Message, Payload, Publication, Rules, Since, TopicName,
    };

    /// Makes what a hub makes of a publication: a message of the topic `a` with the id `1-1`.
    pub(super) fn message(event: Option<&str>, payload: Payload) -> Arc<Message> {
        let hub = Hub::new(Epoch::from_random(1), Rules::default(), Limits::default());
        let topic: TopicName = "a".parse().unwrap();
        let mut publication = Publication::new(topic.clone(), payload);
        publication.event = event.map(|event| Label::new(event).unwrap());
        hub.publish(publication, Duration::from_millis(5)).unwrap();
        hub.recover(&[topic], Since::Oldest, Duration::ZERO).recovered.remove(0)
    }

    /// Any event there may be.
    pub(super) fn events() -> impl Strategy<Value = Option<String>> {
        let name = any::<String>().prop_filter("no label", |name| Label::new(name).is_ok());
        proptest::option::of(name)
    }

    /// Any payload: text, text with line ends and fields of streams, bytes.
    pub(super) fn payloads() -> impl Strategy<Value = Payload> {
        prop_oneof![
            any::<String>().prop_map(Payload::text),
            r"([\r\n\x00 :-]|data: |id:|event:|\u{feff}){0,20}".prop_map(Payload::text),
            any::<Vec<u8>>().prop_map(Payload::binary),
        ]
    }
}
