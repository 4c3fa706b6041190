//! What must hold when nothing moves any more, and at the end.

use super::acts::RESETS;
use super::link::Hold;
use super::machine::{BROKEN, Machine};
use super::outside::HELLO;
use super::peer::{End, Peer};
use crate::worker::Census;

impl Machine {
    pub(super) fn accept_failed(&mut self, error: &std::io::Error) {
        self.note(|| format!("accepting failed: {error}"));
        let now = self.kernel.now;
        self.accept_failures.push(now);
    }

    /// Sees to it that everything that can be delivered has been.
    pub(super) fn check_settled(&mut self) {
        for number in 0..self.peers.len() {
            if let Some(why) = self.peers.get(number).and_then(|peer| self.stuck(number, peer)) {
                let link = self.kernel.links.get(number).map(ToString::to_string);
                self.fail(number, format!("stuck: {why}; {}", link.unwrap_or_default()));
            }
        }
    }

    /// Says what of a connection should have happened.
    fn stuck(&self, number: usize, peer: &Peer) -> Option<String> {
        let link = self.kernel.links.get(number)?;
        let is_served = peer.told.opened && peer.told.closed.is_none();
        if matches!(peer.excuse, Some(BROKEN | RESETS)) {
            return is_served.then(|| "it lives on although it is broken".to_owned());
        }
        if link.server == Hold::Backlog {
            return Some("it waits to be accepted".to_owned());
        }
        if link.arrived.front() == Some(&HELLO) && !peer.told.opened && link.token.is_some() {
            return Some("it spoke at the door".to_owned());
        }
        if !peer.is_sound() || !peer.told.opened {
            return None;
        }
        if peer.told.messages < peer.messages.len() {
            let (heard, sent) = (peer.told.messages, peer.messages.len());
            return Some(format!("of {sent} messages {heard} were heard"));
        }
        if !peer.owed.is_empty() {
            return Some(format!("{} answers have not come", peer.owed.len()));
        }
        if is_served && peer.orders_read < peer.orders {
            return Some(format!("of {} orders {} came", peer.orders, peer.orders_read));
        }
        let publications = peer.publications.iter().zip(self.publications);
        for (read, published) in publications.filter(|_| peer.is_subscribed && is_served) {
            if let Some(read) = read.filter(|read| *read < published && peer.absences == [0; 2]) {
                return Some(format!("of {published} publications {read} came"));
            }
        }
        if is_served && peer.told.wants_drain {
            return Some("it was not told of room".to_owned());
        }
        if peer.has_sent_close {
            return Some("its Close frame was not answered".to_owned());
        }
        (is_served && peer.has_sent_fin).then(|| "its end was not seen".to_owned())
    }

    /// Sees to it that nothing is left when all clients have.
    pub(super) fn check_over(&mut self, census: &Census) {
        for number in 0..self.peers.len() {
            let (Some(peer), Some(link)) = (self.peers.get(number), self.kernel.links.get(number))
            else {
                continue;
            };
            let why = if peer.told.opened && peer.told.closed.is_none() {
                "its handler was not told of the end"
            } else if matches!(link.server, Hold::Open | Hold::Backlog) {
                "its socket is still there"
            } else if peer.excuse.is_some() || !peer.told.opened {
                continue;
            } else if peer.has_sent_close && peer.close_read.is_none() {
                "it closed, and got no Close frame"
            } else if peer.end == Some(End::Reset) {
                "it did nothing wrong and was reset"
            } else {
                continue;
            };
            self.fail(number, why);
        }
        let load = self.outside.load.load(std::sync::atomic::Ordering::Relaxed);
        if load > 0 || !census.is_empty() {
            self.failures.push(format!("all have left, but load {load}, {census:?}"));
        }
    }

    /// Sees to what must hold after each round.
    pub(super) fn check_round(&mut self, census: &Census) {
        let slack = std::time::Duration::from_millis(64);
        if let Some(due) = census.due.filter(|due| *due + slack < self.judged) {
            let late = self.judged - due;
            self.failures.push(format!("a deadline has not acted for {late:?}"));
        }
        let limit = self.outside.config.limits.queue + CONTROL_FRAMES;
        if census.queued > limit || census.unsent > limit {
            let (queued, unsent) = (census.queued, census.unsent);
            self.failures.push(format!("{queued} bytes queued, {unsent} kept, of {limit}"));
        }
    }
}

/// Bytes of control frames that may wait beside messages.
const CONTROL_FRAMES: usize = 10 << 10;
