//! The truth, and what one client got of one topic of it.

use std::collections::BTreeSet;

use serde_json::Value;

/// Everything ever published, over all lives of the server. A place is an index.
#[derive(Default)]
pub(super) struct Log {
    /// Topic and id.
    pub(super) entries: Vec<(String, String)>,
    /// Where this life of the server begins.
    pub(super) start: usize,
    /// What its ids begin with.
    pub(super) epoch: String,
}

/// What a client got of a topic since it subscribed.
#[derive(Default)]
pub(super) struct Ledger {
    /// From where on it must have got, or been told of, everything.
    pub(super) from: usize,
    got: BTreeSet<usize>,
    told: BTreeSet<usize>,
}

impl Log {
    /// Returns how many messages of any life stand at or before a cursor of this life.
    pub(super) fn count_to(&self, cursor: &str) -> usize {
        let seq: usize = cursor.split_once('-').unwrap().1.parse().unwrap();
        self.start + seq
    }

    fn between(&self, topic: &str, gap: &Value) -> Vec<usize> {
        let number = |name: &str| usize::try_from(gap[name].as_u64().unwrap()).unwrap();
        let (from, to) = (self.start + number("after"), self.start + number("before") - 1);
        self.places(topic, from..to.max(from))
    }

    fn places(&self, topic: &str, range: std::ops::Range<usize>) -> Vec<usize> {
        range.filter(|place| self.entries.get(*place).is_some_and(|(of, _)| of == topic)).collect()
    }
}

impl Ledger {
    pub(super) fn new(from: usize) -> Self {
        Self { from, ..Self::default() }
    }

    /// Takes a message. Returns its place.
    pub(super) fn accept(&mut self, message: &Value, log: &Log) -> usize {
        let place: usize = message["data"].as_str().unwrap().parse().unwrap();
        let (topic, id) = &log.entries[place];
        assert_eq!(
            (&message["topic"], &message["id"]),
            (&topic.as_str().into(), &id.as_str().into())
        );
        let last = self.got.last().copied();
        assert!(last.is_none_or(|last| last < place), "after {last:?}: {message}");
        self.got.insert(place);
        place
    }

    /// Takes a gap. It must tell of something.
    pub(super) fn tell(&mut self, topic: &str, gap: &Value, log: &Log) {
        let between = log.between(topic, gap);
        let missing = between.iter().filter(|place| !self.got.contains(place));
        let missing: Vec<usize> = missing.copied().collect();
        match gap["reason"].as_str().unwrap() {
            "evicted" => assert!(!missing.is_empty(), "nothing is missing: {gap}"),
            "slow" => {
                assert_eq!(gap["dropped"], between.len(), "{gap}");
                assert_eq!(missing, between, "{gap}");
            }
            _ => {
                let earlier = log.places(topic, 0..log.start);
                self.told.extend(earlier.iter().filter(|place| !self.got.contains(place)));
            }
        }
        self.told.extend(missing);
    }

    /// Checks that nothing before a place was passed over in silence.
    pub(super) fn check(&self, topic: &str, log: &Log, to: usize) {
        for place in log.places(topic, self.from..to.max(self.from)) {
            let known = self.got.contains(&place) || self.told.contains(&place);
            assert!(known, "{topic}: {place} of {}..{to} is lost in silence", self.from);
        }
    }
}
