//! What one subscriber was given and told, held against the truth as it comes.

use std::collections::BTreeSet;

use sockeye_hub::{Gap, GapReason, Id, Message, TopicName};

use crate::log::Log;

/// What a subscriber got.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The messages it got, by place.
    got: BTreeSet<usize>,
    /// The messages that it was told may be missing.
    told: BTreeSet<usize>,
    /// From where on it must have got, or been told of, each message of a topic.
    owed: Vec<(TopicName, usize)>,
    /// The stretches of what it was owed from topics that it left.
    ended: Vec<(TopicName, usize, usize)>,
    /// Where it goes on.
    cursor: Option<Id>,
    /// The same as a place, in whatever life that was: all before it is done.
    done: usize,
    /// What it was told of at least once.
    pub(crate) met: BTreeSet<&'static str>,
}

impl Ledger {
    /// Takes note that the subscriber wants a topic from a place on.
    pub(crate) fn want(&mut self, topic: &TopicName, from: usize) {
        self.owed.push((topic.clone(), from));
    }

    /// Takes note that the subscriber wants a topic no more. It is owed nothing beyond its cursor.
    pub(crate) fn leave(&mut self, topic: &TopicName) {
        let at = self.owed.iter().position(|(owed, _)| owed == topic).unwrap();
        let (topic, from) = self.owed.swap_remove(at);
        self.ended.push((topic, from, self.done));
    }

    pub(crate) fn topics(&self) -> Vec<TopicName> {
        self.owed.iter().map(|(topic, _)| topic.clone()).collect()
    }

    pub(crate) fn accept(&mut self, message: &Message, log: &Log, floor: u64) {
        let place = log.place(message.id.seq);
        assert_eq!(message.id, log.id(place), "a message of another life");
        let entry = &log.entries[place];
        assert_eq!((&message.topic, message.at), (&entry.topic, entry.at));
        assert_eq!(message.payload.bytes()[..8], (place as u64).to_be_bytes(), "payload");
        assert!(self.owed.iter().any(|(topic, _)| *topic == message.topic), "unasked: {message:?}");
        let last = self.got.last().copied();
        assert!(last.is_none_or(|last| last < place), "after {last:?}: {message:?}");
        let before = log.last_before(&message.topic, place).map_or(0, |place| log.id(place).seq);
        assert!(message.prev == before || (before < message.prev && message.prev <= floor));
        self.got.insert(place);
        self.go_to(message.id, log);
    }

    /// Takes note that the subscriber is through with everything up to a cursor of this life.
    pub(crate) fn go_to(&mut self, cursor: Id, log: &Log) {
        assert_eq!(cursor.epoch, log.epoch);
        self.cursor = Some(cursor);
        self.done = log.place(cursor.seq + 1);
    }

    pub(crate) fn cursor(&self) -> Option<Id> {
        self.cursor
    }

    pub(crate) fn tell(&mut self, gap: &Gap, log: &Log, floor: u64) {
        let missing: Vec<usize> =
            log.between(gap).into_iter().filter(|place| !self.got.contains(place)).collect();
        match gap.reason {
            GapReason::Evicted => {
                self.met.insert(if missing.is_empty() { "false alarm" } else { "eviction" });
                let known = gap.before - 1 > floor;
                assert!(!known || !missing.is_empty(), "nothing is missing: {gap:?}");
            }
            GapReason::Slow { dropped } => {
                self.met.insert("slowness");
                assert_eq!(missing.len() as u64, dropped, "{gap:?}");
                assert_eq!(missing, log.between(gap), "{gap:?}");
            }
            GapReason::Epoch | GapReason::Future | GapReason::Unreadable => {
                self.met.insert("restart");
                let earlier = (0..log.start).filter(|at| log.entries[*at].topic == gap.topic);
                self.told.extend(earlier.filter(|place| !self.got.contains(place)));
            }
            other => panic!("{other:?}"),
        }
        self.told.extend(missing);
    }

    /// Checks that of everything owed nothing was passed over in silence.
    pub(crate) fn settle(&self, log: &Log) {
        let open = self.owed.iter().map(|(topic, from)| (topic, *from, log.entries.len()));
        let ended = self.ended.iter().map(|(topic, from, to)| (topic, *from, *to));
        for (topic, from, to) in open.chain(ended) {
            for place in (from..to).filter(|place| log.entries[*place].topic == *topic) {
                let known = self.got.contains(&place) || self.told.contains(&place);
                assert!(known, "{topic}: {place} of {from}..{to} is lost in silence");
            }
        }
    }
}
