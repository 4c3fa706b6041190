//! Pings that the application waits for.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sockeye_proto::Time;

/// The most pings waited for at once; a caller that starts more, or drops the wait for many, loses
/// the oldest, whose wait ends with an error.
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
        if self.waiting.len() == MOST
            && let Some(waker) = self.waiting.remove(0).waker
        {
            waker.wake();
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

    /// Returns the round-trip time once the pong is there, else registers to be woken. Ready with
    /// `None` when newer pings have taken the place of this one.
    pub(crate) fn poll(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Option<Duration>> {
        let Some(at) = self.waiting.iter().position(|ping| ping.id == id) else {
            return Poll::Ready(None);
        };
        let Some(ping) = self.waiting.get_mut(at) else { return Poll::Ready(None) };
        ping.waker = Some(cx.waker().clone());
        let Some(rtt) = ping.rtt else { return Poll::Pending };
        self.waiting.remove(at);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Poll::Ready(Some(rtt))
    }
}
