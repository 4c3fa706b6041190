//! How often an event may repeat: what a peer can cause at will must not fill the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Admits [`PER_SECOND`] events a second for each reason.
pub(super) struct PerReason(Mutex<Vec<Window>>);

/// What was admitted for a reason lately.
struct Window {
    reason: &'static str,
    began: Instant,
    admitted: u32,
    suppressed: u64,
}

impl PerReason {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Returns how many events with this reason were suppressed before this one; `None` if it is
    /// suppressed as well.
    pub(super) fn admit(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut windows = lock(&self.0);
        let known = windows.iter().position(|window| window.reason == reason);
        let Some(window) = known.and_then(|at| windows.get_mut(at)) else {
            // Reasons are names in programs, so there are few. More than this are not told apart
            // from a flood.
            if windows.len() == MOST_REASONS {
                return None;
            }
            windows.push(Window { reason, began: now, admitted: 1, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(window.began) >= Duration::from_secs(1) {
            (window.began, window.admitted) = (now, 0);
        }
        if window.admitted == PER_SECOND {
            window.suppressed += 1;
            return None;
        }
        window.admitted += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

/// Admits one event a minute for each address.
pub(super) struct Rarely(Mutex<Option<HashMap<IpAddr, Instant>>>);

impl Rarely {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether an event of this address may be logged now.
    pub(super) fn admit(&self, ip: IpAddr, now: Instant) -> bool {
        let mut table = lock(&self.0);
        let last = table.get_or_insert_default();
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < MINUTE;
        let ip = ip.to_canonical();
        if last.get(&ip).is_some_and(is_recent) {
            return false;
        }
        if last.len() == MOST_ADDRESSES {
            last.retain(|_, at| is_recent(at));
        }
        let has_room = last.len() < MOST_ADDRESSES;
        if has_room {
            last.insert(ip, now);
        }
        has_room
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before it can panic.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events a second with one reason.
const PER_SECOND: u32 = 10;

/// Reasons that are counted; the crate and the core have some fifty.
const MOST_REASONS: usize = 256;

/// Addresses that are remembered, at 40 bytes each; a minute with more has no further events.
const MOST_ADDRESSES: usize = 1024;

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_events_a_second_pass_for_each_reason_and_the_next_tells_what_did_not() {
        let (reasons, start) = (PerReason::new(), Instant::now());
        for _ in 0..10 {
            assert_eq!(reasons.admit("origin", start), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(reasons.admit("origin", start + Duration::from_millis(999)), None);
        }
        assert_eq!(reasons.admit("key", start), Some(0));
        assert_eq!(reasons.admit("origin", start + Duration::from_secs(1)), Some(7));
        assert_eq!(reasons.admit("origin", start + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn an_address_is_admitted_once_a_minute() {
        let (peers, start) = (Rarely::new(), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(peers.admit(one, start));
        assert!(!peers.admit(mapped, start + Duration::from_secs(59)));
        assert!(peers.admit(other, start + Duration::from_secs(59)));
        assert!(peers.admit(one, start + Duration::from_secs(60)));
        assert!(!peers.admit(one, start + Duration::from_secs(119)));
    }

    #[test]
    fn the_table_of_addresses_is_bounded_and_frees_itself() {
        let (peers, start) = (Rarely::new(), Instant::now());
        let ip = |number: u32| IpAddr::from(number.to_be_bytes());
        let many = u32::try_from(MOST_ADDRESSES).unwrap();
        assert!((0..many).all(|number| peers.admit(ip(number), start)));
        assert!(!peers.admit(ip(many), start));
        assert!(peers.admit(ip(many), start + MINUTE));
        assert_eq!(lock(&peers.0).as_ref().map(HashMap::len), Some(1));
    }
}
