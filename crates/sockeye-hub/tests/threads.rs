//! The hub under real threads: publishers and subscribers that come and go at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use sockeye_hub::{
    Epoch, HistoryRules, Hub, Id, Label, Limits, Listener, Message, Payload, Publication, Rules,
    Since, TopicName, TopicRules,
};

const NOW: Duration = Duration::ZERO;

/// Messages that each publisher publishes.
const MESSAGES: usize = 3_000;

const PUBLISHERS: usize = 3;

#[derive(Default)]
struct Mailbox(Mutex<Vec<Arc<Message>>>);

impl Listener for Mailbox {
    fn deliver(&self, message: &Arc<Message>) {
        self.0.lock().unwrap().push(message.clone());
    }
}

fn hub() -> Hub {
    let mut rules = TopicRules::default();
    rules.history = HistoryRules::default();
    rules.history.messages = usize::MAX;
    rules.history.bytes = usize::MAX;
    Hub::new(Epoch::from_random(7), Rules::all(rules), Limits::default())
}

fn topics() -> Vec<TopicName> {
    ["a", "b", "c"].map(|name| TopicName::new(name).unwrap()).into()
}

/// Publishes to all topics in turn.
fn publish_all(hub: &Hub, publisher: usize) {
    let topics = topics();
    for n in 0..MESSAGES {
        let payload = Payload::text(format!("{publisher}:{n}"));
        let topic = topics[(n + publisher) % topics.len()].clone();
        hub.publish(Publication::new(topic, payload), NOW).unwrap();
    }
}

/// Checks what a subscriber gets, as it gets it.
struct Reader {
    cursor: Id,
    last: HashMap<TopicName, u64>,
    got: usize,
}

impl Reader {
    fn accept(&mut self, message: &Message) {
        assert!(self.cursor.seq < message.id.seq, "twice or out of order: {message:?}");
        let last = self.last.insert(message.topic.clone(), message.id.seq);
        assert_eq!(last.unwrap_or(0), message.prev, "lost before {message:?}");
        self.cursor = message.id;
        self.got += 1;
    }

    /// Joins, reads some of what comes, leaves, and reads the rest of that.
    fn visit(&mut self, hub: &Hub, patience: usize) {
        let mailbox = Arc::new(Mailbox::default());
        let listener: Arc<dyn Listener> = mailbox.clone();
        let joined = hub.subscribe(&topics(), Since::After(self.cursor), &listener, NOW);
        assert!(joined.gaps.is_empty());
        joined.recovered.iter().for_each(|message| self.accept(message));
        assert!(self.cursor.seq <= joined.cursor.seq);
        self.cursor = joined.cursor;
        for _ in 0..patience {
            thread::yield_now();
        }
        let whole = hub.stats().cursor.seq;
        for topic in topics() {
            assert!(hub.unsubscribe(&topic, &listener));
            let left = mailbox.0.lock().unwrap().len();
            let of_topic = |message: &Arc<Message>| message.topic == topic;
            let later = mailbox.0.lock().unwrap()[left..].iter().any(of_topic);
            assert!(!later, "a message after the topic was left");
        }
        let live = std::mem::take(&mut *mailbox.0.lock().unwrap());
        let sure = live.iter().map(|message| message.id.seq).filter(|seq| *seq <= whole);
        assert!(sure.eq(joined.cursor.seq + 1..=whole), "lost or twice");
        // The topics were left one after the other, so the rest is whole up to the first number that
        // is missing: it may be of a topic that was left, and a cursor behind it would lose it.
        for message in live {
            if message.id.seq != self.cursor.seq + 1 {
                break;
            }
            self.accept(&message);
        }
        assert!(mailbox.0.lock().unwrap().is_empty(), "called after it left");
    }
}

// PUB-024, REC-011
#[test]
fn subscribers_that_come_and_go_among_publishers_get_each_message_once_in_order() {
    let (hub, is_over) = (hub(), AtomicBool::new(false));
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                scope.spawn({
                    let hub = &hub;
                    move || publish_all(hub, publisher)
                })
            })
            .collect();
        for subscriber in 0..3 {
            let (hub, is_over) = (&hub, &is_over);
            scope.spawn(move || {
                let cursor = Id { epoch: Epoch::from_random(7), seq: 0 };
                let mut reader = Reader { cursor, last: HashMap::new(), got: 0 };
                let mut patience = subscriber;
                while !is_over.load(Ordering::Acquire) {
                    patience = (patience * 7 + 3) % 50;
                    reader.visit(hub, patience);
                }
                reader.visit(hub, 0);
                assert_eq!(reader.got, PUBLISHERS * MESSAGES);
            });
        }
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        is_over.store(true, Ordering::Release);
    });
    assert_eq!(hub.info(&topics()[0], NOW).subscribers, 0);
}

// PUB-016
#[test]
fn key_used_by_several_threads_at_once_publishes_one_message() {
    let hub = hub();
    for round in 0..200 {
        let barrier = Barrier::new(4);
        let publish = || {
            let mut publication = Publication::new(topics()[0].clone(), Payload::text("x"));
            publication.key = Some(Label::new(&format!("k{round}")).unwrap());
            barrier.wait();
            hub.publish(publication, NOW).unwrap()
        };
        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(publish)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| !answer.is_repeat).count(), 1);
        assert!(answers.iter().all(|answer| answer.id.seq == round + 1));
    }
}
