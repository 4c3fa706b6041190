//! How many connections there may be, of one address and new in a second.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::protocol::{Bucket, Rate};

/// The connections that there are, by address. By default they are not bounded.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<State>);

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CrowdLimits {
    /// Of one address; `None` bounds nothing.
    pub(crate) per_ip: Option<usize>,
    /// New ones in a second.
    pub(crate) new_per_second: u32,
}

impl Default for CrowdLimits {
    fn default() -> Self {
        Self { per_ip: None, new_per_second: u32::MAX }
    }
}

#[derive(Debug, Default)]
struct State {
    limits: CrowdLimits,
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
        Self(Mutex::new(State { limits, ..State::default() }))
    }

    /// Changes how many there may be. Those who came while addresses were not bounded do not count.
    pub(crate) fn set_limits(&self, limits: CrowdLimits) {
        self.lock().limits = limits;
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr, now: Instant) -> Result<Ticket, Crowded> {
        let mut state = self.lock();
        state.check(ip)?;
        state.count_new(now)?;
        Ok(self.admit(&mut state, ip))
    }

    /// Lets somebody in who comes back again and again, and does not count as new.
    ///
    /// # Errors
    /// There are too many of its address.
    pub(crate) fn enter_again(self: &Arc<Self>, ip: IpAddr) -> Result<Ticket, Crowded> {
        let mut state = self.lock();
        state.check(ip)?;
        Ok(self.admit(&mut state, ip))
    }

    fn admit(self: &Arc<Self>, state: &mut State, ip: IpAddr) -> Ticket {
        if state.limits.per_ip.is_none() {
            return Ticket(None);
        }
        *state.of_ip.entry(ip).or_default() += 1;
        Ticket(Some(Arc::new(Place { crowd: self.clone(), ip })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, ip: IpAddr) -> Result<(), Crowded> {
        let count = self.of_ip.get(&ip).copied().unwrap_or_default();
        if self.limits.per_ip.is_some_and(|most| count >= most) {
            return Err(Crowded::PerIp);
        }
        Ok(())
    }

    fn count_new(&mut self, now: Instant) -> Result<(), Crowded> {
        let per_second = self.limits.new_per_second;
        // What comes in a second may come at once: that is what a return after a restart is.
        let rate = Rate { per_second, burst: per_second, ..Rate::default() };
        if self.new.take(&rate, now) { Ok(()) } else { Err(Crowded::New) }
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
