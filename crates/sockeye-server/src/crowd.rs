//! How many connections there may be, of one address and new in a second.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::protocol::{Bucket, Rate};

/// The connections that there are, by address.
#[derive(Debug)]
pub(crate) struct Crowd {
    limits: CrowdLimits,
    state: Mutex<State>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CrowdLimits {
    /// Of one address; `None` bounds nothing.
    pub(crate) per_ip: Option<usize>,
    /// New ones in a second.
    pub(crate) new_per_second: u32,
}

#[derive(Debug, Default)]
struct State {
    new: Bucket,
    /// Nobody, while addresses are not bounded.
    of_ip: HashMap<IpAddr, usize>,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// Its address has as many as it may.
    PerIp,
    /// Too many have come within a second.
    New,
}

/// A connection's place in the crowd, until the last clone of it is dropped. Takes a word where
/// addresses are not bounded.
#[derive(Clone, Debug)]
pub(crate) struct Ticket(#[expect(dead_code, reason = "held, not read")] Option<Arc<Place>>);

struct Place {
    crowd: Arc<Crowd>,
    ip: IpAddr,
}

impl Crowd {
    pub(crate) fn new(limits: CrowdLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr, now: Instant) -> Result<Ticket, Crowded> {
        let CrowdLimits { per_ip, new_per_second } = self.limits;
        let mut state = self.lock();
        let is_full =
            |most: usize| state.of_ip.get(&ip).is_some_and(|count| *count >= most) || most == 0;
        if per_ip.is_some_and(is_full) {
            return Err(Crowded::PerIp);
        }
        // What comes in a second may come at once: that is what a return after a restart is.
        let rate = Rate { per_second: new_per_second, burst: new_per_second, ..Rate::default() };
        if !state.new.take(&rate, now) {
            return Err(Crowded::New);
        }
        if per_ip.is_none() {
            return Ok(Ticket(None));
        }
        *state.of_ip.entry(ip).or_default() += 1;
        Ok(Ticket(Some(Arc::new(Place { crowd: self.clone(), ip }))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.crowd.lock();
        if let Some(count) = state.of_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                state.of_ip.remove(&self.ip);
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("ip", &self.ip).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn crowd(per_ip: Option<usize>, new_per_second: u32) -> Arc<Crowd> {
        Arc::new(Crowd::new(CrowdLimits { per_ip, new_per_second }))
    }

    #[test]
    fn address_has_room_again_when_one_of_its_connections_has_ended() {
        let (crowd, now) = (crowd(Some(2), 1_000), Instant::now());
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = crowd.enter(one, now).unwrap();
        let _second = crowd.enter(one, now).unwrap();
        assert_eq!(crowd.enter(one, now).unwrap_err(), Crowded::PerIp);
        let others = crowd.enter(other, now).unwrap();
        drop((first, others));
        assert_eq!(crowd.lock().of_ip.len(), 1, "who has none is forgotten");
        assert!(crowd.enter(one, now).is_ok());
    }

    #[test]
    fn those_of_a_second_may_come_at_once_and_no_more() {
        let (crowd, now) = (crowd(None, 10), Instant::now());
        let ip = IpAddr::from([192, 0, 2, 1]);
        let entered = |now| (0..20).filter(|_| crowd.enter(ip, now).is_ok()).count();
        assert_eq!(entered(now), 10);
        assert_eq!(entered(now + Duration::from_millis(500)), 5);
        assert_eq!(crowd.enter(ip, now).unwrap_err(), Crowded::New);
        assert!(crowd.lock().of_ip.is_empty());
    }
}
