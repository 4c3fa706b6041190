//! The clock as the core sees it: an argument.
//!
//! The core reads no clock. A host picks any fixed point, measures from it, and passes what it
//! measured. Microseconds in a `u64` last for half a million years and keep what a connection knows
//! of time in forty bytes.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment, in microseconds since a fixed point that the host chose.
///
/// All moments given to one connection count from the same point. The zero moment is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// Makes the moment `micros` microseconds after the host's fixed point.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Makes the moment `elapsed` after the host's fixed point; durations beyond the range saturate.
    pub const fn after_start(elapsed: Duration) -> Self {
        let whole = elapsed.as_secs().saturating_mul(1_000_000);
        Self(whole.saturating_add(elapsed.subsec_micros() as u64))
    }

    /// Returns the microseconds since the host's fixed point.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the time that passed since `earlier`, or zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(Self::after_start(duration).0))
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_the_longest_duration_saturates() {
        assert_eq!(Time::from_micros(5) + Duration::MAX, Time::from_micros(u64::MAX));
    }

    #[test]
    fn a_moment_before_the_other_is_zero_apart() {
        assert_eq!(Time::from_micros(1) - Time::from_micros(9), Duration::ZERO);
        assert_eq!(Time::from_micros(9) - Time::from_micros(1), Duration::from_micros(8));
    }
}
