//! Numbers that many threads add to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// A number of things that come and go.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts of things that are told apart by a name or a number. Takes a lock: not for messages.
#[derive(Debug, Default)]
pub(super) struct Tally<K>(Mutex<BTreeMap<K, u64>>);

impl<K: Copy + Ord> Tally<K> {
    pub(super) fn add(&self, key: K) {
        *self.lock().entry(key).or_default() += 1;
    }

    /// Lists the counts in the order of their keys.
    pub(super) fn list(&self) -> Vec<(K, u64)> {
        self.lock().iter().map(|(key, count)| (*key, *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many took at most as long as each bound, and longer than the one before; the last took
    /// longer than all.
    counts: [Count; BOUNDS.len() + 1],
    nanoseconds: Count,
}

impl Histogram {
    pub(crate) fn note(&self, took: Duration) {
        let bucket = BOUNDS.iter().take_while(|(bound, _)| took > *bound).count();
        if let Some(count) = self.counts.get(bucket) {
            count.add(1);
        }
        self.nanoseconds.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Lists, for each bound in seconds, how many took at most as long; all of them at the end.
    pub(super) fn buckets(&self) -> Vec<(&'static str, u64)> {
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        let mut all = 0;
        let sums = self.counts.iter().map(|count| {
            all += count.get();
            all
        });
        bounds.zip(sums).collect()
    }

    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.get())
    }
}

/// The bounds of the buckets: from what publishing takes while nothing is in the way, to what
/// people notice.
const BOUNDS: [(Duration, &str); 9] = [
    (Duration::from_nanos(500), "0.0000005"),
    (Duration::from_micros(1), "0.000001"),
    (Duration::from_micros(5), "0.000005"),
    (Duration::from_micros(25), "0.000025"),
    (Duration::from_micros(100), "0.0001"),
    (Duration::from_millis(1), "0.001"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_secs(1), "1"),
];
