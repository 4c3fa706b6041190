//! Telling when a handler holds its thread up: all connections of the thread wait meanwhile.
//!
//! Each thread notes when it is at work and when it waits; a thread of the watchdog's own looks at the
//! notes now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sockeye_proto::Time;

use crate::{clock, threads};

/// A thread that has not come to wait for new events for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// The thread's number, from 0.
    pub thread: usize,
    /// How long it has been at work by now.
    pub since: Duration,
}

/// Since when a thread is at work.
#[derive(Debug)]
pub(crate) struct Pulse(AtomicU64);

impl Default for Pulse {
    fn default() -> Self {
        Self(AtomicU64::new(WAITING))
    }
}

impl Pulse {
    pub(crate) fn works(&self, now: Time) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }

    pub(crate) fn waits(&self) {
        self.0.store(WAITING, Ordering::Relaxed);
    }

    /// Returns since when the thread is at work.
    fn since(&self) -> Option<Time> {
        let since = self.0.load(Ordering::Relaxed);
        (since != WAITING).then(|| Time::from_micros(since))
    }
}

/// A thread that looks after others; it ends with this.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts to look after threads, and reports those that are at work for longer than `limit` at a
    /// time: once then, and again each time that has doubled.
    pub(crate) fn start(
        pulses: Vec<Arc<Pulse>>,
        limit: Duration,
        report: impl Fn(Blocked) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let watch = move || {
            let mut watched: Vec<_> =
                pulses.into_iter().map(|pulse| Watched::new(pulse, limit)).collect();
            while !stopped.load(Ordering::Acquire) {
                let now = clock::now();
                for (thread, watched) in watched.iter_mut().enumerate() {
                    if let Some(since) = watched.look(now, limit) {
                        report(Blocked { thread, since });
                    }
                }
                thread::park_timeout(limit / 2);
            }
        };
        let handle = threads::start("reactor-watchdog".to_owned(), watch)?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            if handle.thread().id() != thread::current().id() {
                let _ = handle.join();
            }
        }
    }
}

/// What the watchdog knows of a thread.
struct Watched {
    pulse: Arc<Pulse>,
    /// The work that was reported last, and how long it may take until it is reported again.
    reported: Option<Time>,
    next: Duration,
}

impl Watched {
    fn new(pulse: Arc<Pulse>, limit: Duration) -> Self {
        Self { pulse, reported: None, next: limit }
    }

    /// Returns how long the thread is at work if that is to be told now.
    fn look(&mut self, now: Time, limit: Duration) -> Option<Duration> {
        let since = self.pulse.since()?;
        if self.reported != Some(since) {
            self.next = limit;
        }
        let worked = now.since(since);
        if worked < self.next {
            return None;
        }
        (self.reported, self.next) = (Some(since), worked * 2);
        Some(worked)
    }
}

/// The note of a thread that waits.
const WAITING: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    // RES-018
    #[test]
    fn a_thread_is_told_of_once_and_again_each_time_that_has_doubled() {
        let pulse = Arc::new(Pulse::default());
        let mut watched = Watched::new(pulse.clone(), LIMIT);
        assert_eq!(watched.look(at(100), LIMIT), None, "it waits");
        pulse.works(at(100));
        let told: Vec<_> = (100..120).filter_map(|now| watched.look(at(now), LIMIT)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16].map(Duration::from_secs));
        pulse.waits();
        assert_eq!(watched.look(at(200), LIMIT), None);
        pulse.works(at(300));
        assert_eq!(watched.look(at(300), LIMIT), None);
        assert_eq!(watched.look(at(302), LIMIT), Some(Duration::from_secs(2)));
    }
}
