//! What the routes count, for whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, and what there is now.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Streams that are open.
    pub streams: Gauge,
    /// Polls that wait.
    pub polls: Gauge,
    /// Messages that were published.
    pub published: Count,
    /// Messages that were given out, by streams and polls.
    pub delivered: Count,
    /// Streams that ended because their reader was too slow.
    pub slow: Count,
    /// Requests that were refused.
    pub refused: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, by: u64) {
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
}

/// One of the things of a gauge, as long as it lives.
#[derive(Debug)]
pub(super) struct Counted {
    counters: Arc<Counters>,
    gauge: fn(&Counters) -> &Gauge,
}

impl Counted {
    pub(super) fn new(counters: &Arc<Counters>, gauge: fn(&Counters) -> &Gauge) -> Self {
        gauge(counters).0.fetch_add(1, Ordering::Relaxed);
        Self { counters: counters.clone(), gauge }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.counters).0.fetch_sub(1, Ordering::Relaxed);
    }
}
