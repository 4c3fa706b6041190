//! What time it is, for the hub and for messages.
//!
//! The hub wants a time that never goes back, messages want one that people know. This is both:
//! the wall's time when the server started, and what has passed since by a clock that nobody sets.
//! When tokens end is judged by the wall's clock, which may be set meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::auth::Moment;

/// A clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Moved by hand: milliseconds since 1970.
    Hand(Arc<AtomicU64>),
    System {
        started: Instant,
        wall: Duration,
    },
}

impl Clock {
    /// Starts a clock at the wall's time.
    pub fn start() -> Self {
        Self::started_at(Moment::now())
    }

    /// Makes a clock that showed the wall's time at a moment.
    pub(crate) fn started_at(moment: Moment) -> Self {
        let wall = moment.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::System { started: moment.monotonic, wall })
    }

    /// Makes a clock that stands at `now` since 1970 until it is moved, for tests.
    pub fn standing_at(now: Duration) -> Self {
        Self(Source::Hand(Arc::new(AtomicU64::new(millis(now)))))
    }

    /// Moves a clock that stands, and all its clones; does nothing to others.
    pub fn advance(&self, by: Duration) {
        if let Source::Hand(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::Relaxed);
        }
    }

    /// Returns the time since 1970, which never goes back.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// Returns what [`now`](Self::now) returns at a moment.
    pub(crate) fn at(&self, moment: Instant) -> Duration {
        match &self.0 {
            Source::Hand(now) => Duration::from_millis(now.load(Ordering::Relaxed)),
            Source::System { started, wall } => {
                wall.saturating_add(moment.saturating_duration_since(*started))
            }
        }
    }

    /// Returns the time by both clocks.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.wall(), monotonic: Instant::now() }
    }

    /// Returns the time by the wall's clock as it is set now.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::Hand(_) => UNIX_EPOCH.checked_add(self.now()).unwrap_or(UNIX_EPOCH),
            Source::System { .. } => SystemTime::now(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_begins_at_the_walls_time_and_never_goes_back() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = Clock::start();
        let first = clock.now();
        assert!(first >= wall);
        assert!(clock.now() >= first);
    }

    #[test]
    fn clock_that_stands_is_moved_by_hand_with_its_clones() {
        let clock = Clock::standing_at(Duration::from_secs(5));
        let other = clock.clone();
        other.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now(), Duration::from_millis(6_500));
        assert_eq!(clock.wall(), UNIX_EPOCH + Duration::from_millis(6_500));
    }
}
