//! What clients send: text frames become commands.
//!
//! Owns which frames are commands at all. Members that are not known are passed over, so that
//! clients may know more than this server; a command that is not known is refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use sockeye_hub::{Label, MAX_SEQ, Order, Payload, Publication, Since, TopicName};

use super::refusal::Refusal;
use crate::auth::json::parse_within;
use crate::http::is_reserved;

/// What a client calls a command, repeated in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Number(u64),
    Text(String),
}

/// A text frame, as far as it can be read.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) reference: Option<Reference>,
    pub(crate) command: Result<Command, Refusal>,
}

/// What a client wants.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    History(Stretch),
    Ping,
    Presence { topic: TopicName, after: Option<Label>, limit: usize },
    Publish(Publication),
    Refresh { token: String },
    Subscribe(Subscribe),
    Unsubscribe { topics: Vec<TopicName> },
}

/// A part of a topic's history.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) topic: TopicName,
    pub(crate) since: Since,
    pub(crate) order: Order,
    pub(crate) limit: usize,
}

/// A wish to get messages.
#[derive(Clone, Debug)]
pub(crate) struct Subscribe {
    /// Each once.
    pub(crate) topics: Vec<TopicName>,
    pub(crate) since: Since,
    pub(crate) presence: bool,
    /// Whether the client has never been here, although it is given a cursor.
    pub(crate) is_new: bool,
    /// Topics that the client left again while this waited.
    pub(crate) cancelled: Vec<TopicName>,
}

impl Subscribe {
    /// Makes the command of a client that comes, or comes back.
    pub(crate) fn new(topics: Vec<TopicName>, since: Since) -> Self {
        Self { topics, since, presence: false, is_new: false, cancelled: Vec::new() }
    }
}

impl Command {
    /// Returns how many topics it lists.
    pub(crate) fn topics(&self) -> usize {
        match self {
            Self::Subscribe(subscribe) => subscribe.topics.len(),
            Self::Unsubscribe { topics } => topics.len(),
            _ => 0,
        }
    }
}

impl Frame {
    /// Reads a text frame.
    pub(crate) fn parse(text: &str) -> Self {
        let object = match parse_within(DEPTH, text.as_bytes()) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Self::unreadable(Refusal::bad("a frame is one JSON object")),
            Err(error) => return Self::unreadable(Refusal::bad(error.to_string())),
        };
        let mut members = Members(object);
        match members.reference() {
            Ok(reference) => Self { reference, command: members.command() },
            Err(refusal) => Self::unreadable(refusal),
        }
    }

    fn unreadable(refusal: Refusal) -> Self {
        Self { reference: None, command: Err(refusal) }
    }
}

/// Reads a message to publish: `topic`, `data` or `base64`, and `event`, `key` and `if_version` where
/// they are there.
///
/// # Errors
/// It is none.
pub(crate) fn publication(object: Map<String, Value>) -> Result<Publication, Refusal> {
    Members(object).publication()
}

/// The members of a frame that have not been looked at.
struct Members(Map<String, Value>);

impl Members {
    fn reference(&mut self) -> Result<Option<Reference>, Refusal> {
        let refusal = || Refusal::bad("`ref` is a whole number up to 2^53-1 or a text of 64 bytes");
        match self.take("ref") {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= REF_BYTES => Ok(Some(Reference::Text(text))),
            Some(Value::Number(number)) => {
                let number = number.as_u64().filter(|number| *number <= MAX_SEQ);
                number.map(Reference::Number).map(Some).ok_or_else(refusal)
            }
            Some(_) => Err(refusal()),
        }
    }

    fn command(mut self) -> Result<Command, Refusal> {
        match self.required("type")?.as_str() {
            "history" => self.history(),
            "ping" => Ok(Command::Ping),
            "presence" => self.presence(),
            "publish" => self.publication().map(Command::Publish),
            "refresh" => Ok(Command::Refresh { token: self.required("token")? }),
            "subscribe" => Ok(Command::Subscribe(Subscribe {
                topics: self.topics()?,
                since: self.since()?.unwrap_or(Since::Now),
                presence: self.flag("presence")?,
                is_new: false,
                cancelled: Vec::new(),
            })),
            "unsubscribe" => Ok(Command::Unsubscribe { topics: self.topics()? }),
            _ => Err(Refusal::new("unknown_command", "no command is called so")),
        }
    }

    fn history(mut self) -> Result<Command, Refusal> {
        let (order, start) = match self.flag("reverse")? {
            true => (Order::NewestFirst, Since::Now),
            false => (Order::OldestFirst, Since::Oldest),
        };
        Ok(Command::History(Stretch {
            topic: self.topic()?,
            since: self.since()?.unwrap_or(start),
            order,
            limit: self.limit()?,
        }))
    }

    fn presence(mut self) -> Result<Command, Refusal> {
        let (topic, after) = (self.topic()?, self.label("after")?);
        Ok(Command::Presence { topic, after, limit: self.limit()? })
    }

    fn publication(mut self) -> Result<Publication, Refusal> {
        let mut publication = Publication::new(self.topic()?, self.payload()?);
        publication.event = self.label("event")?;
        publication.key = self.label("key")?;
        if publication.event.as_ref().is_some_and(|event| is_reserved(event.as_str())) {
            return Err(Refusal::bad("this event is the server's"));
        }
        if let Some(id) = self.text("if_version")? {
            let id = id.parse().map_err(|_| Refusal::bad("`if_version` is the id of a message"))?;
            publication.if_version = Some(id);
        }
        Ok(publication)
    }

    fn payload(&mut self) -> Result<Payload, Refusal> {
        match (self.text("data")?, self.text("base64")?) {
            (Some(text), None) => Ok(Payload::text(text)),
            (None, Some(text)) => {
                let bytes = BASE64_STANDARD.decode(text);
                bytes.map(Payload::binary).map_err(|_| Refusal::bad("`base64` is not base64"))
            }
            _ => Err(Refusal::bad("a message has either `data` or `base64`")),
        }
    }

    fn topic(&mut self) -> Result<TopicName, Refusal> {
        topic(&self.required("topic")?)
    }

    fn topics(&mut self) -> Result<Vec<TopicName>, Refusal> {
        let refusal = || Refusal::bad("`topics` is a list of names, of one at least");
        let Some(Value::Array(items)) = self.take("topics") else { return Err(refusal()) };
        let names = items.iter().map(|item| topic(item.as_str().ok_or_else(refusal)?));
        let mut topics = names.collect::<Result<Vec<_>, _>>()?;
        topics.sort_unstable();
        topics.dedup();
        if topics.is_empty() { Err(refusal()) } else { Ok(topics) }
    }

    fn since(&mut self) -> Result<Option<Since>, Refusal> {
        let since = self.text("since")?;
        Ok(since.map(|since| match since.as_str() {
            "oldest" => Since::Oldest,
            cursor => Since::parse(cursor),
        }))
    }

    fn limit(&mut self) -> Result<usize, Refusal> {
        match self.take("limit") {
            None => Ok(usize::MAX),
            Some(value) => {
                let limit = value.as_u64().filter(|limit| *limit > 0);
                let limit =
                    limit.ok_or_else(|| Refusal::bad("`limit` is a whole number from 1"))?;
                Ok(usize::try_from(limit).unwrap_or(usize::MAX))
            }
        }
    }

    fn label(&mut self, name: &'static str) -> Result<Option<Label>, Refusal> {
        let label = self.text(name)?.map(|text| Label::new(&text));
        label.transpose().map_err(|error| Refusal::name(name, error))
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Refusal::bad(format!("`{name}` is true or false"))),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::bad(format!("`{name}` is missing")))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::bad(format!("`{name}` is a text"))),
        }
    }

    /// Takes a member; `null` counts as none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }
}

fn topic(name: &str) -> Result<TopicName, Refusal> {
    TopicName::new(name).map_err(|error| Refusal::name("topic", error))
}

/// The most levels of arrays and objects in each other.
const DEPTH: usize = 64;

/// The most bytes of a reference that is a text.
const REF_BYTES: usize = 64;
