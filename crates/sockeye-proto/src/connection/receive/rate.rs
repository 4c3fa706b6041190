//! How often a peer may send control frames.

use crate::error::{Limit, LimitError};
use crate::time::Time;

/// A token bucket over ping and pong frames.
#[derive(Debug)]
pub(super) struct ControlRate {
    /// Thousandths of a frame.
    tokens: u32,
    filled: Time,
}

impl ControlRate {
    pub(super) fn full(rate: u16, now: Time) -> Self {
        Self { tokens: Self::burst(rate), filled: now }
    }

    /// Twice the rate, in thousandths of a frame.
    fn burst(rate: u16) -> u32 {
        u32::from(rate) * 2 * 1_000
    }

    /// Counts one control frame against `rate` frames a second; a rate of zero counts none.
    pub(super) fn take(&mut self, rate: u16, now: Time) -> Result<(), LimitError> {
        if rate == 0 {
            return Ok(());
        }
        let elapsed = u64::try_from((now - self.filled).as_micros()).unwrap_or(u64::MAX);
        let earned = elapsed.saturating_mul(u64::from(rate)) / 1_000;
        if earned > 0 {
            let burst = Self::burst(rate);
            let tokens = u64::from(self.tokens).saturating_add(earned);
            self.tokens = u32::try_from(tokens).map_or(burst, |tokens| tokens.min(burst));
            self.filled = now;
        }
        match self.tokens.checked_sub(1_000) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => {
                let max = u64::from(rate);
                Err(LimitError { limit: Limit::ControlRate, max, seen: max + 1 })
            }
        }
    }
}
