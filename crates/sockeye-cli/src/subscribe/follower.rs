//! A subscriber of `sockeye.v1.json`, without I/O: what it asks for, and how far it has come.
//!
//! ```text
//!   welcome ──► history of each topic, if wanted ──► subscribe, behind the cursor ──► burst ──► live
//! ```
//!
//! All topics are subscribed by one command, so that one cursor stands for all of them at any moment,
//! within a burst too. It outlives connections; all else begins anew with each.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::refusal::Refusal;

/// A subscriber.
#[derive(Debug)]
pub(super) struct Follower {
    topics: Vec<String>,
    presence: Presence,
    /// How many messages of the past are wanted of each topic, while they have not come.
    history: usize,
    /// All up to here has been told. `None` as long as there is nothing to come back to.
    cursor: Option<String>,
    stage: Stage,
}

/// Whether to become a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Member,
    Unseen,
}

/// How far a connection is.
#[derive(Debug)]
enum Stage {
    /// Nothing has come.
    Opened,
    Reading(Past),
    /// The command is out.
    Subscribing,
    /// So much is to come of what was missed, and then the cursor is this.
    Burst {
        gaps: u64,
        messages: u64,
        end: String,
    },
    Live,
}

/// The messages of the past, as far as they have come.
#[derive(Debug)]
struct Past {
    /// Where the sequence stood before the first was asked for: what is newer comes by subscription.
    until: String,
    topic: usize,
    /// How many are wanted of the topic still.
    wanted: usize,
    messages: Vec<Value>,
}

/// What a frame comes to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Step {
    /// A frame to send.
    pub(super) send: Option<String>,
    /// What to tell, in this order.
    pub(super) tell: Vec<Told>,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Gap(Value),
    Message(Value),
    /// Words for people.
    Notice(String),
    /// The subscription stands; all up to this id has been told, or follows.
    Subscribed(String),
}

impl Follower {
    /// Begins behind `since`, or now.
    pub(super) fn new(topics: Vec<String>, presence: Presence, since: Option<String>) -> Self {
        Self { topics, presence, history: 0, cursor: since, stage: Stage::Opened }
    }

    /// Begins with messages of the past.
    pub(super) fn with_history(mut self, count: usize) -> Self {
        self.history = count;
        self
    }

    /// Begins anew over another connection.
    pub(super) fn connected(&mut self) {
        self.stage = Stage::Opened;
    }

    /// Takes a frame of the server.
    ///
    /// # Errors
    /// The server refuses what was asked for, or the frame is none.
    pub(super) fn receive(&mut self, text: &str) -> Result<Step, Refusal> {
        let frame: Value = serde_json::from_str(text).map_err(|_| Refusal::nonsense())?;
        match field(&frame, "type") {
            "welcome" => self.welcome(&frame),
            "ok" => self.answer(&frame),
            "error" => Err(Refusal::read(&frame)),
            "message" => Ok(self.message(frame)),
            "gap" => {
                if let Stage::Burst { gaps, .. } = &mut self.stage {
                    *gaps = gaps.saturating_sub(1);
                }
                self.end_burst();
                Ok(Step { tell: vec![Told::Gap(frame)], ..Step::default() })
            }
            // Later versions may say more (docs/protocol.md, "Rules for all frames").
            _ => Ok(Step::default()),
        }
    }

    fn welcome(&mut self, frame: &Value) -> Result<Step, Refusal> {
        let until = id_of(frame)?;
        if self.history > 0 {
            let past = Past { until, topic: 0, wanted: self.history, messages: Vec::new() };
            let send = self.ask_for_page(&past, None);
            self.stage = Stage::Reading(past);
            return Ok(Step { send, ..Step::default() });
        }
        let step = self.subscribe();
        // If the answer is lost, what comes from here on is not.
        self.cursor.get_or_insert(until);
        Ok(step)
    }

    fn subscribe(&mut self) -> Step {
        self.stage = Stage::Subscribing;
        let mut command = json!({"type": "subscribe", "ref": 0, "topics": self.topics});
        if let (Some(cursor), Some(command)) = (&self.cursor, command.as_object_mut()) {
            command.insert("since".to_owned(), json!(cursor));
        }
        if let (Presence::Member, Some(command)) = (self.presence, command.as_object_mut()) {
            command.insert("presence".to_owned(), json!(true));
        }
        Step { send: Some(command.to_string()), ..Step::default() }
    }

    fn answer(&mut self, frame: &Value) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.stage, Stage::Live) {
            Stage::Reading(past) => self.page(frame, past),
            Stage::Subscribing => self.subscribed(frame),
            // An answer to nothing, which changes nothing.
            other => {
                self.stage = other;
                Ok(Step::default())
            }
        }
    }

    fn subscribed(&mut self, frame: &Value) -> Result<Step, Refusal> {
        if let Some(refused) = list(frame, "refused").first() {
            return Err(Refusal::read(refused));
        }
        let number = |name| frame.get(name).and_then(Value::as_u64).unwrap_or_default();
        let end = id_of(frame)?;
        let mut tell = vec![Told::Subscribed(end.clone())];
        tell.extend(list(frame, "absent").iter().map(|absent| {
            let (topic, refusal) = (field(absent, "topic"), Refusal::read(absent));
            Told::Notice(format!("no member of {topic}: {}", refusal.text()))
        }));
        self.stage = Stage::Burst { gaps: number("gaps"), messages: number("messages"), end };
        self.end_burst();
        Ok(Step { tell, ..Step::default() })
    }

    fn message(&mut self, frame: Value) -> Step {
        if let Stage::Burst { messages, .. } = &mut self.stage {
            *messages = messages.saturating_sub(1);
        }
        // Live, or the burst's own: both tell how far all topics have come.
        self.cursor = Some(field(&frame, "id").to_owned());
        self.end_burst();
        Step { tell: vec![Told::Message(frame)], ..Step::default() }
    }

    fn end_burst(&mut self) {
        if let Stage::Burst { gaps: 0, messages: 0, end } = &mut self.stage {
            self.cursor = Some(std::mem::take(end));
            self.stage = Stage::Live;
        }
    }

    /// Asks for a page of the history of the topic that is read; `None` behind the last topic.
    fn ask_for_page(&self, past: &Past, next: Option<&str>) -> Option<String> {
        let topic = self.topics.get(past.topic)?;
        let limit = past.wanted.min(PAGE);
        let mut command = json!({
            "type": "history", "ref": 0, "topic": topic, "limit": limit, "reverse": true,
        });
        if let (Some(next), Some(command)) = (next, command.as_object_mut()) {
            command.insert("since".to_owned(), json!(next));
        }
        Some(command.to_string())
    }

    /// Takes a page of history, and asks for the next, or subscribes behind the last.
    fn page(&mut self, frame: &Value, mut past: Past) -> Result<Step, Refusal> {
        let messages = list(frame, "messages");
        let until = &past.until;
        let old = messages.iter().filter(|message| order(field(message, "id"), until).is_le());
        past.messages.extend(old.cloned());
        past.wanted = past.wanted.saturating_sub(messages.len());
        let next = frame.get("next").and_then(Value::as_str).filter(|_| past.wanted > 0);
        if next.is_none() {
            past.topic += 1;
            past.wanted = self.history;
        }
        if let Some(send) = self.ask_for_page(&past, next) {
            self.stage = Stage::Reading(past);
            return Ok(Step { send: Some(send), ..Step::default() });
        }
        self.history = 0;
        past.messages.sort_by(|one, other| order(field(one, "id"), field(other, "id")));
        self.cursor = Some(past.until);
        let tell = past.messages.into_iter().map(Told::Message).collect();
        Ok(Step { tell, ..self.subscribe() })
    }
}

/// Compares two ids of one life of the server.
fn order(one: &str, other: &str) -> Ordering {
    let number = |id: &str| id.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
    number(one).cmp(&number(other))
}

fn id_of(frame: &Value) -> Result<String, Refusal> {
    let id = frame.get("id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(Refusal::nonsense)
}

/// Returns a text of a frame; empty if it has none of the name.
pub(super) fn field<'a>(frame: &'a Value, name: &str) -> &'a str {
    frame.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(frame: &'a Value, name: &str) -> &'a [Value] {
    frame.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The most messages of a page of history, as the protocol has it.
const PAGE: usize = 300;

#[cfg(test)]
mod tests;
