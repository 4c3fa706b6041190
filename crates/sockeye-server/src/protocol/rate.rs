//! How many commands a client may send: a bucket of tokens that fills with time.

use std::time::{Duration, Instant};

/// How many commands a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Commands a second, in the long run; default 100. 0 counts as 1.
    pub per_second: u32,
    /// Commands at once after a rest; default 200. 0 counts as 1.
    pub burst: u32,
    /// What becomes of those beyond.
    pub excess: Excess,
}

/// What becomes of commands beyond the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    /// The connection is closed with 1008; default, since a client of ours waits for its answers.
    #[default]
    Close,
    /// They are refused and not carried out.
    Refuse,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: 100, burst: 200, excess: Excess::default() }
    }
}

/// When the next command may come: the bucket as the one moment at which it is full again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full: Option<Instant>,
}

impl Bucket {
    /// Takes a command, if there is room for it.
    pub(crate) fn take(&mut self, rate: &Rate, now: Instant) -> bool {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let full = self.full.map_or(now, |full| full.max(now));
        let taken = full.saturating_duration_since(now);
        // Room for one more is what `burst` less one take.
        if taken > one.saturating_mul(rate.burst.max(1) - 1) {
            return false;
        }
        self.full = full.checked_add(one);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_gives_its_burst_at_once_and_then_its_rate() {
        let (rate, start) = (Rate { per_second: 10, burst: 3, ..Rate::default() }, Instant::now());
        let mut bucket = Bucket::default();
        let mut taken = |millis: u64, tries: usize| {
            let now = start + Duration::from_millis(millis);
            (0..tries).filter(|_| bucket.take(&rate, now)).count()
        };
        assert_eq!(taken(0, 10), 3);
        assert_eq!(taken(99, 10), 0);
        assert_eq!(taken(100, 10), 1);
        assert_eq!(taken(1_000, 10), 3, "no more than the burst, however long the rest");
        assert_eq!(taken(500, 10), 0, "a clock that goes back gives nothing");
    }
}
