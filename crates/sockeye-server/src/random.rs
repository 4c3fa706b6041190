//! Random numbers: for names that nobody can guess, and to spread clients over time.

use std::fmt::Write;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// Makes a name of 128 random bits, in hexadecimal digits. `None` when the system has none.
pub(crate) fn name() -> Option<String> {
    let bytes: [u8; 16] = bytes()?;
    let mut name = String::with_capacity(32);
    for byte in bytes {
        // Writing to a String never fails.
        let _ = write!(name, "{byte:02x}");
    }
    Some(name)
}

/// Returns 64 random bits. `None` when the system has none.
pub(crate) fn bits() -> Option<u64> {
    bytes().map(u64::from_le_bytes)
}

/// Returns a time from `from` up to and with `to`, in whole milliseconds.
pub(crate) fn between(from: Duration, to: Duration) -> Duration {
    let bits = bits().unwrap_or(0);
    let span = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX - 1);
    // The remainder's bias is below 2^-40 for spans of hours.
    from + Duration::from_millis(bits % span.saturating_add(1))
}

fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_32_digits_and_differ() {
        let (one, other) = (name().unwrap(), name().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn times_between_two_reach_both_and_nothing_else() {
        let (from, to) = (Duration::from_millis(3), Duration::from_millis(5));
        let seen: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| between(from, to).as_millis()).collect();
        assert!(seen.into_iter().eq([3, 4, 5]));
        assert_eq!(between(to, to), to);
    }
}
