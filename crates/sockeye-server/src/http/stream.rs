//! The body of a stream: writes what its subscriber gets, no more at a time than is asked for.
//!
//! A connection that does not take more is not asked, and then what is published waits in the
//! subscriber's queue, where it is bounded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use sockeye_hub::{Id, Item, Slow};

use super::Topics;
use super::admit::Lasting;
use super::format::{End, Format};
use super::visit::{Visit, count_gap};
use crate::alarms::{Alarm, Alarms};
use crate::clients::Parting;
use crate::random;
use crate::subscriber::{Mailbox, Subscriber};

/// A stream.
pub(super) struct Streaming {
    pub(super) subscriber: Subscriber,
    pub(super) format: Box<dyn Format>,
    pub(super) admitted: Lasting,
    pub(super) topics: Arc<Topics>,
    pub(super) visit: Visit,
    pub(super) phase: Phase,
    pub(super) timer: Timer,
}

// One for each stream, of which there are many.
const _: () = assert!(size_of::<Streaming>() <= 232);

/// When a stream has been silent for long, or its grant ends.
pub(super) struct Timer {
    due: Instant,
    /// What is set to wake it.
    alarm: Option<Alarm>,
}

/// Returns when a client comes back that is parted with because the server stops: not before a server
/// can have started again, and then spread over so much time.
pub(super) fn come_back(window: Duration) -> Duration {
    random::between(SOONEST, SOONEST.saturating_add(window))
}

/// Marks a response whose body ends only with its client, or with the server: a host may take it out
/// of the hands of its HTTP server.
#[derive(Clone)]
pub(crate) struct Endless {
    /// Tells when the client is to go, while what is written can't be.
    pub(crate) mailbox: Arc<Mailbox>,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is written; the client stands here.
    Begins(Id),
    /// What waits is still written, then it ends.
    Closing(End),
    Live,
    Over,
}

impl Timer {
    /// Makes one that is due after a while.
    pub(super) fn after(wait: Duration) -> Self {
        Self { due: Instant::now() + wait, alarm: None }
    }

    /// Waits until it is due. The subscriber must have been polled: it is woken.
    fn poll(&mut self, alarms: &Alarms, subscriber: &Subscriber) -> Poll<()> {
        let now = Instant::now();
        if self.due <= now {
            return Poll::Ready(());
        }
        // An alarm that rings too early is set again.
        if self.alarm.is_none_or(|alarm| alarm.at <= now || alarm.at > self.due) {
            self.cancel(alarms);
            self.alarm = Some(alarms.set(self.due, subscriber.mailbox()));
        }
        Poll::Pending
    }

    fn cancel(&mut self, alarms: &Alarms) {
        if let Some(alarm) = self.alarm.take() {
            alarms.cancel(alarm);
        }
    }
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = ready!(self.poll_chunk(context));
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.phase == Phase::Over
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.timer.cancel(&self.topics.alarms);
    }
}

impl Streaming {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut out = Vec::new();
        self.begin(&mut out);
        while self.phase != Phase::Over {
            self.look_for_an_end(context);
            self.fill(&mut out, context);
            if !out.is_empty() {
                self.set_timer();
                return Poll::Ready(Some(out));
            }
            if self.phase == Phase::Live {
                ready!(self.timer.poll(&self.topics.alarms, &self.subscriber));
                self.set_timer();
                // Awake for an end of the grant, most likely, which is looked for first.
                self.look_for_an_end(context);
                if self.phase == Phase::Live {
                    self.format.heartbeat(&mut out);
                }
            }
        }
        Poll::Ready(Some(out).filter(|out| !out.is_empty()))
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let Phase::Begins(cursor) = self.phase else { return };
        self.phase = Phase::Live;
        self.format.open(out);
        for gap in self.subscriber.take_gaps() {
            self.format.gap(out, &gap);
        }
        self.format.cursor(out, cursor);
    }

    /// Finds out whether the client is to go, may get no more, or the server stops.
    fn look_for_an_end(&mut self, context: &mut Context<'_>) {
        if self.phase != Phase::Live {
            return;
        }
        let end = match self.subscriber.poll_parting(context) {
            Poll::Ready(Parting::Dismissed) => End::Disconnected,
            Poll::Ready(Parting::Stopping(window)) => End::Stopping { retry: come_back(window) },
            Poll::Pending => match self.admitted.left(self.topics.clock.wall()) {
                Some(Duration::ZERO) => End::Expired,
                _ => return,
            },
        };
        self.subscriber.close();
        self.phase = Phase::Closing(end);
    }

    /// Writes what is there, up to a chunk.
    fn fill(&mut self, out: &mut Vec<u8>, context: &mut Context<'_>) {
        while out.len() < self.topics.limits.chunk {
            match self.subscriber.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    match &item {
                        Item::Gap(gap) => count_gap(self.visit.metrics(), &self.topics.hub, gap),
                        Item::Message(message) => self.visit.sent(message),
                    }
                    self.format.item(out, &item);
                }
                Poll::Ready(None) => return self.close(out),
                Poll::Pending => return,
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let end = match self.phase {
            Phase::Closing(end) => end,
            _ => {
                self.visit.metrics().slow(Slow::Disconnect).add(1);
                End::Slow
            }
        };
        self.subscriber.close();
        self.format.close(out, end);
        self.phase = Phase::Over;
    }

    /// Sets the timer to the next sign of life, or to the end of the grant if that comes first.
    fn set_timer(&mut self) {
        let heartbeat = self.topics.limits.heartbeat;
        let left = self.admitted.left(self.topics.clock.wall());
        let after = left.map_or(heartbeat, |left| left.min(heartbeat));
        // What is due at once would be due before the clock shows the time.
        let after = after.max(Duration::from_millis(1));
        self.timer.due = Instant::now() + after;
    }
}

/// As long as WebSockets are told to wait at the least.
const SOONEST: Duration = Duration::from_secs(1);
