//! How many handshakes may be pending at a time, in all and from one address.
//!
//! Counts from the moment a connection is accepted to the end of its handshake. An address has an
//! entry only while a handshake of it is pending.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye_proto::handshake::Rejection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::retry_later;

/// The handshakes of a server that are pending.
pub(super) struct Pending {
    most: usize,
    per_ip: PerIp,
    counts: Mutex<Counts>,
    refusals: Arc<Semaphore>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// How many handshakes of one address may be pending.
#[derive(Clone, Copy, Debug)]
pub(super) enum PerIp {
    /// Of any address this many.
    Any(usize),
    /// This many, but any number of this machine's own programs.
    Foreign(usize),
}

/// A pending handshake; it ends when this is dropped.
pub(super) struct Handshake {
    pending: Arc<Pending>,
    ip: Option<IpAddr>,
}

/// Which bound leaves no room for a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    InAll,
    OfOneAddress,
}

impl Pending {
    pub(super) fn new(most: usize, per_ip: PerIp) -> Arc<Self> {
        let refusals = Arc::new(Semaphore::new(MOST_REFUSALS));
        Arc::new(Self { most, per_ip, counts: Mutex::default(), refusals })
    }

    /// Begins a handshake with a client whose address is not known yet.
    ///
    /// # Errors
    /// As many are pending as may be.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Handshake, TooMany> {
        let mut counts = self.lock();
        if counts.all >= self.most {
            return Err(TooMany::InAll);
        }
        counts.all += 1;
        Ok(Handshake { pending: self.clone(), ip: None })
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().all
    }

    /// Returns leave to answer a connection that is turned away; `None` when so many are being
    /// answered that this one is better dropped.
    pub(super) fn refuse(&self) -> Option<OwnedSemaphorePermit> {
        self.refusals.clone().try_acquire_owned().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Every change is complete before it can panic.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// Counts the handshake as one of this address, and no longer as one of another.
    ///
    /// # Errors
    /// As many of this address are pending as may be.
    pub(super) fn is_of(&mut self, ip: IpAddr) -> Result<(), TooMany> {
        // The address that a socket for both versions shows is the same client's.
        let ip = ip.to_canonical();
        let mut counts = self.pending.lock();
        if let Some(before) = self.ip.take() {
            counts.leave(before);
        }
        let most = match self.pending.per_ip {
            PerIp::Foreign(_) if ip.is_loopback() => return Ok(()),
            PerIp::Foreign(most) | PerIp::Any(most) => most,
        };
        if counts.by_ip.get(&ip).is_some_and(|count| *count >= most) {
            return Err(TooMany::OfOneAddress);
        }
        *counts.by_ip.entry(ip).or_default() += 1;
        self.ip = Some(ip);
        Ok(())
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut counts = self.pending.lock();
        counts.all -= 1;
        if let Some(ip) = self.ip {
            counts.leave(ip);
        }
    }
}

impl Counts {
    fn leave(&mut self, ip: IpAddr) {
        if let Some(count) = self.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&ip);
            }
        }
    }
}

impl TooMany {
    pub(super) fn rejection(self) -> Rejection {
        match self {
            Self::InAll => retry_later(503, "pending", "Too many clients are connecting.\n"),
            Self::OfOneAddress => {
                retry_later(429, "pending_per_ip", "Too many connections are being opened.\n")
            }
        }
    }
}

/// Refusals that may be on their way at a time. Each holds a descriptor for up to a second, so that
/// the answer arrives; beyond this many, descriptors are worth more than answers.
const MOST_REFUSALS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_machine_are_not_counted_unless_a_bound_was_set() {
        for (per_ip, refused) in
            [(PerIp::Foreign(1), None), (PerIp::Any(1), Some(TooMany::OfOneAddress))]
        {
            let pending = Pending::new(9, per_ip);
            let local = "127.0.0.1".parse().unwrap();
            let mut first = pending.begin().unwrap();
            let mut second = pending.begin().unwrap();
            first.is_of(local).unwrap();
            assert_eq!(second.is_of(local).err(), refused);
            let foreign = "192.0.2.1".parse().unwrap();
            first.is_of(foreign).unwrap();
            assert_eq!(second.is_of(foreign), Err(TooMany::OfOneAddress));
        }
    }

    #[test]
    fn an_address_has_an_entry_only_while_a_handshake_of_it_is_pending() {
        let pending = Pending::new(3, PerIp::Any(2));
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        let mut first = pending.begin().unwrap();
        let mut second = pending.begin().unwrap();
        let mut third = pending.begin().unwrap();
        assert_eq!(pending.begin().err(), Some(TooMany::InAll));
        first.is_of(one).unwrap();
        second.is_of(mapped).unwrap();
        assert_eq!(third.is_of(one), Err(TooMany::OfOneAddress));
        third.is_of(other).unwrap();
        assert_eq!(pending.lock().by_ip.len(), 2);
        second.is_of(other).unwrap();
        drop((first, third));
        assert_eq!(pending.lock().by_ip.len(), 1);
        drop(second);
        let counts = pending.lock();
        assert_eq!((counts.all, counts.by_ip.len()), (0, 0));
    }
}
