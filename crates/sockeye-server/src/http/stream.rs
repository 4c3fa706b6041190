//! The body of a stream: writes what its subscriber gets, no more at a time than is asked for.
//!
//! A connection that does not take more is not asked, and then what is published waits in the
//! subscriber's queue, where it is bounded.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use sockeye_hub::{Hub, Id, Item, Slow};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::admit::Admitted;
use super::format::{End, Format};
use super::visit::{Visit, count_gap};
use crate::clock::Clock;
use crate::random;
use crate::subscriber::Subscriber;

/// A stream.
pub(super) struct Streaming {
    pub(super) subscriber: Subscriber,
    pub(super) format: Box<dyn Format>,
    pub(super) admitted: Admitted,
    pub(super) clock: Clock,
    pub(super) hub: Arc<Hub>,
    pub(super) visit: Visit,
    pub(super) phase: Phase,
    pub(super) stopping: Stopping,
    pub(super) timer: Timer,
    /// Bytes that are written at a time.
    pub(super) chunk: usize,
}

/// Marks a response whose body ends only with its client, or with the server: a host may take it out
/// of the hands of its HTTP server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;

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

/// Tells when the server begins to stop, and over how much time clients are to come back.
pub(super) type Stopping = Pin<Box<dyn Future<Output = Duration> + Send>>;

/// Waits until the server begins to stop.
pub(super) fn stopping(mut server: watch::Receiver<Option<Duration>>) -> Stopping {
    Box::pin(async move {
        let window = server.wait_for(Option::is_some).await.map(|window| *window);
        match window {
            Ok(window) => window.unwrap_or_default(),
            // Nobody is left who could stop it.
            Err(_) => pending().await,
        }
    })
}

/// Wakes a stream that is silent.
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    heartbeat: Duration,
}

impl Timer {
    pub(super) fn new(heartbeat: Duration) -> Self {
        Self { sleep: Box::pin(sleep(heartbeat)), heartbeat }
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
                ready!(self.timer.sleep.as_mut().poll(context));
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
        if self.visit.poll_dismissed(context).is_ready() {
            self.subscriber.close();
            self.phase = Phase::Closing(End::Disconnected);
        } else if self.admitted.has_ended(self.clock.wall()) {
            self.subscriber.close();
            self.phase = Phase::Closing(End::Expired);
        } else if let Poll::Ready(window) = self.stopping.as_mut().poll(context) {
            let retry = random::between(Duration::ZERO, window);
            self.subscriber.close();
            self.phase = Phase::Closing(End::Stopping { retry });
        }
    }

    /// Writes what is there, up to a chunk.
    fn fill(&mut self, out: &mut Vec<u8>, context: &mut Context<'_>) {
        while out.len() < self.chunk {
            match self.subscriber.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    match &item {
                        Item::Gap(gap) => count_gap(self.visit.metrics(), &self.hub, gap),
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
        let ends = self.admitted.ends();
        let ends = ends.map(|ends| ends.duration_since(self.clock.wall()).unwrap_or_default());
        let after = ends.map_or(self.timer.heartbeat, |ends| ends.min(self.timer.heartbeat));
        // Timers of 0 ms would fire before the clock shows the time.
        let after = after.max(Duration::from_millis(1));
        self.timer.sleep.as_mut().reset(Instant::now() + after);
    }
}
