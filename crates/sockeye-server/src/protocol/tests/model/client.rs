//! A client that does what `docs/protocol.md` says, and nothing more clever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::ledger::{Ledger, Log};
use crate::auth::Moment;
use crate::protocol::testing::Peer;

/// A client, whether or not it is connected.
#[derive(Default)]
pub(super) struct Client {
    pub(super) peer: Option<Peer>,
    pub(super) cursor: Option<String>,
    pub(super) topics: BTreeMap<String, Topic>,
    sent: VecDeque<Command>,
    bursts: Vec<Burst>,
    pub(super) met: BTreeSet<&'static str>,
}

/// A topic that a client wants.
pub(super) struct Topic {
    pub(super) ledger: Ledger,
    pub(super) state: State,
}

/// How far a subscription is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// It stands where the client's cursor stands.
    Settled,
    /// It is to begin behind this cursor, or now.
    Begins(Option<String>),
    /// The client has left it, and the answer has not come.
    Leaving,
}

enum Command {
    Publish,
    Subscribe(Vec<String>),
    Unsubscribe(String),
}

/// What is still to come of the burst that is being read.
struct Burst {
    topics: Vec<String>,
    cursor: String,
    gaps: u64,
    messages: u64,
}

impl Client {
    fn send(&mut self, command: Command, frame: &Value, now: Moment) {
        let peer = self.peer.as_mut().unwrap();
        peer.session.receive(&frame.to_string(), now, &mut peer.wire);
        self.sent.push_back(command);
    }

    pub(super) fn publish(&mut self, topic: &str, data: &str, now: Moment) {
        let frame = json!({"type": "publish", "topic": topic, "data": data});
        self.send(Command::Publish, &frame, now);
    }

    pub(super) fn subscribe(&mut self, topics: &[String], since: Option<&str>, now: Moment) {
        let mut frame = json!({"type": "subscribe", "topics": topics});
        if let Some(since) = since {
            frame["since"] = json!(since);
        }
        for topic in topics {
            self.topics.get_mut(topic).unwrap().state = State::Begins(since.map(str::to_owned));
        }
        self.send(Command::Subscribe(topics.to_vec()), &frame, now);
    }

    pub(super) fn unsubscribe(&mut self, topic: &str, now: Moment) {
        self.topics.get_mut(topic).unwrap().state = State::Leaving;
        let frame = json!({"type": "unsubscribe", "topics": [topic]});
        self.send(Command::Unsubscribe(topic.to_owned()), &frame, now);
    }

    /// Loses the connection and whatever was under way.
    pub(super) fn disconnect(&mut self, now: Moment) {
        if let Some(mut peer) = self.peer.take() {
            peer.session.end(now, &mut peer.wire);
        }
        if self.bursts.iter().any(|burst| burst.messages > 0) {
            self.met.insert("a connection lost within a burst");
        }
        self.sent.clear();
        self.bursts.clear();
        self.topics.retain(|_, topic| topic.state != State::Leaving);
    }

    /// Reads a frame. Tells whether there was one.
    pub(super) fn read(&mut self, log: &Log) -> bool {
        let Some(peer) = &mut self.peer else { return false };
        let Some(frame) = peer.wire.unread.pop_front() else { return false };
        let frame: Value = serde_json::from_str(&frame).unwrap();
        match frame["type"].as_str().unwrap() {
            "welcome" => drop(self.cursor.get_or_insert_with(|| text(&frame["id"]))),
            "ok" => self.take_answer(&frame),
            "gap" => self.take_gap(&frame, log),
            "message" => self.take_message(&frame, log),
            _ => panic!("{frame}"),
        }
        self.end_burst(log);
        self.check(log);
        true
    }

    fn take_answer(&mut self, frame: &Value) {
        assert!(self.bursts.is_empty(), "an answer within a burst");
        match self.sent.pop_front().unwrap() {
            Command::Publish => assert!(frame["id"].is_string()),
            Command::Unsubscribe(topic) => {
                assert_eq!(frame["topics"], json!([topic]));
                self.topics.remove(&topic);
            }
            Command::Subscribe(topics) => {
                assert_eq!(frame["topics"], json!(topics));
                self.bursts.push(Burst {
                    topics,
                    cursor: text(&frame["id"]),
                    gaps: frame["gaps"].as_u64().unwrap(),
                    messages: frame["messages"].as_u64().unwrap(),
                });
            }
        }
    }

    fn take_gap(&mut self, frame: &Value, log: &Log) {
        match self.bursts.last_mut() {
            Some(burst) => burst.gaps = burst.gaps.checked_sub(1).unwrap(),
            None => _ = self.met.insert("a gap after slow reading"),
        }
        self.met.insert(match frame["reason"].as_str().unwrap() {
            "evicted" => "evicted",
            "epoch" => "epoch",
            "slow" => "slow",
            _ => "a cursor that is none",
        });
        let name = text(&frame["topic"]);
        self.topics.get_mut(&name).unwrap().ledger.tell(&name, frame, log);
    }

    fn take_message(&mut self, frame: &Value, log: &Log) {
        let (name, id) = (text(&frame["topic"]), text(&frame["id"]));
        let topic = self.topics.get_mut(&name).unwrap();
        let place = topic.ledger.accept(frame, log);
        let Some(burst) = self.bursts.last_mut() else {
            // Live: in the order of all topics.
            assert!(!matches!(topic.state, State::Begins(_)), "before the answer: {frame}");
            let cursor = self.cursor.replace(id).unwrap();
            assert!(!is_of_this_life(&cursor, log) || log.count_to(&cursor) <= place, "{frame}");
            return;
        };
        assert_eq!(burst.gaps, 0, "a gap comes before the messages behind it");
        burst.messages -= 1;
        assert!(burst.topics.contains(&name), "{frame} is not of the burst");
        if place < log.count_to(&burst.cursor) && burst.topics.len() < self.topics.len() {
            self.met.insert("a burst of some topics");
        }
        // The burst's own cursor.
        for name in burst.topics.clone() {
            self.topics.get_mut(&name).unwrap().state = State::Begins(Some(id.clone()));
        }
    }

    fn end_burst(&mut self, log: &Log) {
        let is_done = |burst: &mut Burst| burst.gaps == 0 && burst.messages == 0;
        let Some(burst) = self.bursts.pop_if(is_done) else { return };
        let cursor = self.cursor.replace(burst.cursor.clone()).unwrap();
        let before = if is_of_this_life(&cursor, log) { log.count_to(&cursor) } else { 0 };
        assert!(before <= log.count_to(&burst.cursor), "the cursor goes back");
        for name in &burst.topics {
            let topic = self.topics.get_mut(name).unwrap();
            if topic.state != State::Leaving {
                topic.state = State::Settled;
            }
        }
    }

    /// Checks that the cursor stands for what it says.
    fn check(&self, log: &Log) {
        let Some(cursor) = &self.cursor else { return };
        if !is_of_this_life(cursor, log) {
            return;
        }
        for (name, topic) in &self.topics {
            if topic.state == State::Settled {
                topic.ledger.check(name, log, log.count_to(cursor));
            }
        }
    }
}

/// Tells whether a cursor is of the server's present life.
fn is_of_this_life(cursor: &str, log: &Log) -> bool {
    cursor.split_once('-').is_some_and(|(epoch, _)| epoch == log.epoch)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
