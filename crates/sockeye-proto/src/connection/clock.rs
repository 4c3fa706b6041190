//! The deadlines of a connection: keep-alive, unfinished messages, unread output, closing.
//!
//! Every deadline is one moment; arming and disarming are stores. The host asks for the earliest
//! with [`Connection::poll_timeout`] and need not follow each change: a timer that fires too early
//! finds nothing due and asks again. When a message must be complete stands with the message.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Connection, Phase, Side};
use crate::close::CloseCode;
use crate::config::Timeouts;
use crate::error::{Error, Timeout};
use crate::frame::Opcode;
use crate::role::Role;
use crate::time::Time;

/// The time that a byte may take to leave, at the least rate of 1,000 bytes a second.
const MICROS_PER_BYTE: u64 = 1_000;

/// A moment that never comes.
pub(super) const NEVER: Time = Time::from_micros(u64::MAX);

#[derive(Debug)]
pub(super) struct Clock {
    /// When the last byte of the peer arrived.
    heard: Time,
    /// When the last data message or piece of one was handed out, or the connection opened.
    last_message: Time,
    /// When the keep-alive ping went out that is not answered yet.
    pinged: Time,
    /// When some of the waiting output must have left.
    written_by: Time,
    /// When the connection must be over: while it is open, with its lifetime; then, with the time
    /// that closing may take.
    over_by: Time,
}

impl Clock {
    pub(super) fn new(timeouts: &Timeouts, now: Time) -> Self {
        Self {
            heard: now,
            last_message: now,
            pinged: NEVER,
            written_by: NEVER,
            over_by: timeouts.lifetime.map_or(NEVER, |lifetime| now + lifetime),
        }
    }

    pub(super) fn hear(&mut self, now: Time) {
        self.heard = now;
    }

    /// Takes note that a message, or a piece of one, was handed out.
    pub(super) fn hear_message(&mut self, now: Time) {
        self.last_message = now;
    }

    /// Takes note of output that waits although `count` bytes have just left. Each byte that leaves
    /// buys a little time, up to the whole `stall`: a peer that reads steadily may take as long as
    /// it needs, one that reads a byte now and then to keep the rest pinned may not.
    pub(super) fn wait_for_write(&mut self, count: usize, now: Time, stall: Duration) {
        let longest = now + stall;
        let earned = Duration::from_micros(count as u64 * MICROS_PER_BYTE);
        let by = if self.written_by == NEVER { longest } else { self.written_by + earned };
        self.written_by = by.min(longest);
    }

    pub(super) fn all_written(&mut self) {
        self.written_by = NEVER;
    }

    /// Matches a pong with the last keep-alive ping and returns the round-trip time.
    fn pong(&mut self, payload: &[u8], now: Time) -> Option<Duration> {
        if self.pinged == NEVER || payload != ping_payload(self.pinged) {
            return None;
        }
        let rtt = now - self.pinged;
        self.pinged = NEVER;
        Some(rtt)
    }
}

/// A round-trip time in four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundTrip {
    /// `u32::MAX` if there is none.
    micros: u32,
}

impl RoundTrip {
    pub(super) const UNKNOWN: Self = Self { micros: u32::MAX };

    fn new(rtt: Duration) -> Self {
        let micros = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        Self { micros: micros.min(u32::MAX - 1) }
    }

    fn get(self) -> Option<Duration> {
        (self.micros != u32::MAX).then(|| Duration::from_micros(self.micros.into()))
    }
}

impl<R: Role> Connection<R> {
    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if never.
    pub fn poll_timeout(&self) -> Option<Time> {
        let clock = &self.clock;
        let due = match self.phase {
            Phase::Ended => NEVER,
            Phase::Closing | Phase::Closed | Phase::Failed => clock.over_by,
            Phase::Open => {
                let keepalive = self.keepalive_due().unwrap_or(NEVER);
                let idle = self.idle_due().unwrap_or(NEVER);
                let first = keepalive.min(idle).min(self.inbound.message_by());
                first.min(clock.written_by).min(clock.over_by)
            }
        };
        (due != NEVER).then_some(due)
    }

    /// Does what is due: pings a silent peer, closes an idle connection, gives up one that does not
    /// answer. Before anything is due it does nothing.
    ///
    /// # Errors
    /// The peer's silence: no byte after a ping, no answer to our Close frame, a message that is
    /// not finished, output that is not read. The allocator's refusal.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.phase {
            Phase::Open => self.open_timeout(now, out).inspect_err(|error| {
                if self.phase == Phase::Open {
                    // No memory for what was due.
                    self.fail(error, now, out);
                }
            }),
            Phase::Closing if is_due(self.clock.over_by, now) => {
                self.end_abnormally(Side::Transport);
                Err(Timeout::Close.into())
            }
            Phase::Closed | Phase::Failed if is_due(self.clock.over_by, now) => {
                self.phase = Phase::Ended;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Closes the connection with 1001 at `time`, whatever happens on it, instead of at the end of
    /// [`Timeouts::lifetime`]. Hosts of many connections spread it, so that not all return at once.
    pub fn expire_at(&mut self, time: Time) {
        if self.phase == Phase::Open {
            self.clock.over_by = time;
        }
    }

    /// Takes note that the host does not read, because the application does not: until it reads
    /// again, silence and an unfinished message are not held against the peer. To be called before
    /// each [`handle_timeout`](Self::handle_timeout) while it lasts.
    pub fn reading_paused(&mut self, now: Time) {
        self.clock.hear(now);
        self.inbound.put_off_message(now + self.config.timeouts.message);
    }

    /// Returns the round-trip time that the last answered keep-alive ping measured;
    /// [`Event::Pong`](crate::Event::Pong) tells one that is longer than 71 minutes.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt.get()
    }

    /// Matches a pong with the last keep-alive ping and returns the round-trip time.
    pub(super) fn hear_pong(&mut self, payload: &[u8], now: Time) -> Option<Duration> {
        let rtt = self.clock.pong(payload, now)?;
        self.rtt = RoundTrip::new(rtt);
        Some(rtt)
    }

    /// Leaves the open phase, or moves on towards the end. What happens during closing never puts
    /// the end off.
    pub(super) fn enter(&mut self, phase: Phase, by: Time) {
        let was_open = self.phase == Phase::Open;
        self.clock.over_by = if was_open { by } else { self.clock.over_by.min(by) };
        self.phase = phase;
    }

    fn open_timeout(&mut self, now: Time, out: &mut Vec<u8>) -> Result<(), Error> {
        let late = if is_due(self.inbound.message_by(), now) {
            Some(Timeout::Message)
        } else if is_due(self.clock.written_by, now) {
            Some(Timeout::WriteStall)
        } else {
            None
        };
        if let Some(timeout) = late {
            let error = Error::from(timeout);
            self.fail(&error, now, out);
            return Err(error);
        }
        if is_due(self.clock.over_by, now) {
            return self.close(Some(CloseCode::AWAY), "lifetime", now, out);
        }
        if self.idle_due().is_some_and(|due| is_due(due, now)) {
            return self.close(Some(CloseCode::AWAY), "idle", now, out);
        }
        if self.keepalive_due().is_some_and(|due| is_due(due, now)) {
            return self.keep_alive(now, out);
        }
        Ok(())
    }

    /// Pings, or gives up a peer that stayed silent after the ping.
    fn keep_alive(&mut self, now: Time, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.is_awaiting_pong() {
            self.end_abnormally(Side::Transport);
            return Err(Timeout::Keepalive.into());
        }
        self.clock.pinged = now;
        Ok(self.append_frame(Opcode::Ping, &ping_payload(now), out)?)
    }

    fn keepalive_due(&self) -> Option<Time> {
        let keepalive = self.config.keepalive.as_ref()?;
        Some(if self.is_awaiting_pong() {
            self.clock.pinged + keepalive.timeout
        } else {
            self.clock.heard + keepalive.interval
        })
    }

    /// Whether nothing at all arrived since the last keep-alive ping. Any byte counts as life, so
    /// a peer that is busy sending may answer late.
    fn is_awaiting_pong(&self) -> bool {
        self.clock.pinged != NEVER && self.clock.heard <= self.clock.pinged
    }

    fn idle_due(&self) -> Option<Time> {
        Some(self.clock.last_message + self.config.timeouts.idle?)
    }
}

/// Whether `deadline` has come; the moment that never comes does not, even at the end of time.
fn is_due(deadline: Time, now: Time) -> bool {
    deadline != NEVER && now >= deadline
}

/// Makes the payload of a keep-alive ping: the moment it was sent, to know its pong by.
fn ping_payload(sent: Time) -> [u8; 8] {
    sent.as_micros().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_kept_to_the_microsecond_and_one_of_hours_as_the_longest() {
        assert_eq!(RoundTrip::UNKNOWN.get(), None);
        for micros in [0, 1, 999_999, 3_600_000_000] {
            let rtt = Duration::from_micros(micros);
            assert_eq!(RoundTrip::new(rtt).get(), Some(rtt));
        }
        let longest = Duration::from_micros(u64::from(u32::MAX) - 1);
        for long in [longest, Duration::from_secs(7_200), Duration::MAX] {
            assert_eq!(RoundTrip::new(long).get(), Some(longest));
        }
    }
}
