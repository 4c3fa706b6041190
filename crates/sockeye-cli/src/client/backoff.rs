//! How long a client waits between two attempts: longer each time, and a random part of that, so that
//! clients which lost the same server do not come back in a crowd.
//!
//! Reads no clock: the moment is an argument.

use std::time::{Duration, Instant};

/// The waits of one client.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    /// Failures in a row.
    failures: u32,
    /// When the present connection was opened.
    opened: Option<Instant>,
}

/// How waits grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The first wait is at most so long; each further one at most twice as long as that before.
    pub(crate) first: Duration,
    /// No wait is longer, but for one that the server asks for.
    pub(crate) longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// Starts without a failure.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, failures: 0, opened: None }
    }

    /// Notes that a connection is open, which is no success before it has lasted.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// Notes a failure, and returns how long to wait before the next attempt.
    ///
    /// `asked` is what the server asked for: the wait is at least that, up to 5 minutes.
    pub(crate) fn failed(&mut self, now: Instant, asked: Option<Duration>) -> Duration {
        self.failed_with(now, asked, fraction())
    }

    /// As [`failed`](Self::failed), with the random part, which is at least 0 and less than 1.
    fn failed_with(&mut self, now: Instant, asked: Option<Duration>, random: f64) -> Duration {
        let opened = self.opened.take();
        if opened.is_some_and(|opened| now.saturating_duration_since(opened) >= STABLE) {
            self.failures = 0;
        }
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let longest = self.pace.first.saturating_mul(factor).min(self.pace.longest);
        self.failures = self.failures.saturating_add(1);
        asked.unwrap_or_default().min(LONGEST_ASKED) + longest.mul_f64(random)
    }
}

/// Returns a random number that is at least 0 and less than 1.
fn fraction() -> f64 {
    // Without randomness the middle is as good as anything.
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}

/// How long a connection must last to count as a success.
const STABLE: Duration = Duration::from_secs(10);

/// The longest wait that a server can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bound(backoff: &mut Backoff, now: Instant) -> Duration {
        backoff.failed_with(now, None, 1.0)
    }

    // REC-001
    #[test]
    fn waits_double_from_half_a_second_to_20_s_and_begin_anew_after_10_stable_seconds() {
        let now = Instant::now();
        let mut backoff = Backoff::new(Pace::default());
        let bounds: Vec<f64> = (0..8).map(|_| bound(&mut backoff, now).as_secs_f64()).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        for _ in 0..100 {
            assert_eq!(bound(&mut backoff, now), 20 * SECOND);
        }
        backoff.opened(now);
        assert_eq!(bound(&mut backoff, now + 10 * SECOND), SECOND / 2);
        // The distribution: even between nothing and the bound, at every step of it.
        for failures in [0, 3, 9] {
            let mut bins = [0_u32; 10];
            let mut longest = Duration::ZERO;
            for _ in 0..20_000 {
                let mut backoff = Backoff { failures, ..Backoff::new(Pace::default()) };
                longest = bound(&mut backoff.clone(), now);
                let share = backoff.failed(now, None).div_duration_f64(longest);
                let bin =
                    bins.iter_mut().zip(1..).find(|(_, edge)| share * 10.0 < f64::from(*edge));
                *bin.expect("it is below the bound").0 += 1;
            }
            // 2,000 each, with a standard deviation of 42: six of them are never left.
            assert!(bins.iter().all(|bin| bin.abs_diff(2_000) < 255), "{longest:?} {bins:?}");
        }
    }

    /// Returns how many of 10,000 clients try in each second from the loss of their server on.
    fn attempts(start: Instant) -> [u32; 60] {
        let mut attempts = [0; 60];
        for _ in 0..10_000 {
            let (mut backoff, mut now) = (Backoff::new(Pace::default()), start);
            loop {
                now += backoff.failed(now, None);
                let second = usize::try_from((now - start).as_secs()).unwrap();
                let Some(count) = attempts.get_mut(second) else { break };
                *count += 1;
            }
        }
        attempts
    }

    // RES-011
    #[test]
    fn of_those_that_lost_the_same_server_at_most_a_fifth_a_second_tries_from_the_10th_second_on() {
        let attempts = attempts(Instant::now());
        assert!(attempts[10..].iter().all(|count| *count < 2_000), "{attempts:?}");
        assert!(attempts[10..].iter().all(|count| *count > 500), "nor do they fall silent");
    }

    // REC-005
    #[test]
    fn a_server_that_accepts_and_closes_at_once_has_failed_all_the_same() {
        let mut now = Instant::now();
        let mut backoff = Backoff::new(Pace::default());
        let mut bounds = Vec::new();
        for _ in 0..7 {
            backoff.opened(now);
            now += Duration::from_millis(9_999);
            bounds.push(bound(&mut backoff, now).as_secs_f64());
        }
        assert_eq!(bounds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0]);
    }

    #[test]
    fn ten_minutes_without_a_network_take_a_few_dozen_attempts() {
        let start = Instant::now();
        for _ in 0..1_000 {
            let mut backoff = Backoff::new(Pace::default());
            let (mut now, mut attempts) = (start, 0);
            while now < start + 600 * SECOND {
                now += backoff.failed(now, None);
                attempts += 1;
            }
            assert!((30..150).contains(&attempts), "{attempts}");
        }
    }

    #[test]
    fn what_a_server_asks_for_is_waited_and_a_random_part_beyond_but_no_hour() {
        let now = Instant::now();
        for (asked, least) in [(30, 30), (3_600, 300), (0, 0)] {
            for random in [0.0, 0.5, 0.999] {
                let mut backoff = Backoff::new(Pace::default());
                let wait = backoff.failed_with(now, Some(asked * SECOND), random);
                assert!((least * SECOND..(least + 1) * SECOND).contains(&wait), "{wait:?}");
            }
        }
    }
}
