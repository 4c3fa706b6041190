//! Pings that the application waits for.

use std::task::{Context, Waker};
use std::time::Duration;

use sockeye_proto::Time;

/// The most pings waited for at once; a caller that starts more, or drops the wait for many, loses
/// the oldest.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Pings {
    sent: u64,
    waiting: Vec<Ping>,
}

#[derive(Debug)]
struct Ping {
    id: u64,
    sent: Time,
    rtt: Option<Duration>,
    waker: Option<Waker>,
}

impl Pings {
    /// Starts to wait for a pong and returns its number, whose bytes are the payload.
    pub(crate) fn start(&mut self, now: Time) -> u64 {
        if self.waiting.len() == MOST {
            self.waiting.remove(0);
        }
        self.sent += 1;
        self.waiting.push(Ping { id: self.sent, sent: now, rtt: None, waker: None });
        self.sent
    }

    /// Matches a pong. RFC 6455 section 5.5.3 lets a peer answer only the newest of several pings,
    /// so one pong answers those before it too.
    pub(crate) fn answer(&mut self, payload: &[u8], now: Time) {
        let Ok(payload) = payload.try_into().map(u64::from_be_bytes) else { return };
        if !self.waiting.iter().any(|ping| ping.id == payload) {
            return;
        }
        for ping in self.waiting.iter_mut().filter(|ping| ping.id <= payload) {
            ping.rtt.get_or_insert(now - ping.sent);
            if let Some(waker) = ping.waker.take() {
                waker.wake();
            }
        }
    }

    /// Returns the round-trip time once the pong is there, else registers to be woken.
    pub(crate) fn poll(&mut self, id: u64, cx: &mut Context<'_>) -> Option<Duration> {
        let at = self.waiting.iter().position(|ping| ping.id == id)?;
        let ping = self.waiting.get_mut(at)?;
        ping.waker = Some(cx.waker().clone());
        let rtt = ping.rtt?;
        self.waiting.swap_remove(at);
        Some(rtt)
    }
}
