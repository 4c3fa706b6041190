//! How a server stops: no new connections, a Close frame for each that is open, a last deadline.

use std::future::{self, Future};
use std::pin::pin;
use std::time::Duration;

use sockeye_proto::CloseCode;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;
use crate::control::Control;
use crate::race::race;

/// How a server takes leave of its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// The code that clients are told; default 1001, going away.
    pub code: CloseCode,
    /// The time over which the Close frames are spread, so that the clients do not all come back in
    /// one moment; default 0.
    pub over: Duration,
    /// When connections that are still open are dropped, counted from the start; default 30 s.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { code: CloseCode::AWAY, over: Duration::ZERO, deadline: Duration::from_secs(30) }
    }
}

impl Drain {
    /// Takes leave with `code`, spread over `over`, and drops what is open after `deadline`.
    pub fn new(code: CloseCode, over: Duration, deadline: Duration) -> Self {
        Self { code, over, deadline }
    }
}

/// The phases of a server's life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Serving,
    Draining(Drain),
    Dropping,
}

/// A connection's view of its server's life.
#[derive(Clone, Debug)]
pub(crate) struct Life(watch::Receiver<Phase>);

impl Life {
    pub(super) fn begin() -> (watch::Sender<Phase>, Self) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (sender, Self(receiver))
    }

    /// Whether new connections are turned away.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(*self.0.borrow(), Phase::Serving)
    }

    /// Waits until new connections are turned away.
    pub(super) async fn ending(&mut self) {
        self.wait_for(|phase| !matches!(phase, Phase::Serving)).await;
    }

    /// Passes the drain on to a connection, at its share of the time; ready when the connection is to
    /// be dropped.
    pub(super) async fn end(&mut self, control: &Control) {
        if let Phase::Draining(drain) =
            self.wait_for(|phase| !matches!(phase, Phase::Serving)).await
        {
            let asked = async {
                sleep(clock::jitter(drain.over)).await;
                control.close(drain.code, "server is stopping");
                future::pending::<()>().await;
            };
            Box::pin(self.until_dropped(asked)).await;
        }
    }

    /// Runs `served` to its end, or until the server drops it.
    pub(super) async fn until_dropped(&mut self, served: impl Future<Output = ()>) {
        let dropping = pin!(self.wait_for(|phase| matches!(phase, Phase::Dropping)));
        race(pin!(served), dropping).await;
    }

    async fn wait_for(&mut self, reached: impl FnMut(&Phase) -> bool) -> Phase {
        // The server is gone only after it has dropped its connections.
        self.0.wait_for(reached).await.map_or(Phase::Dropping, |phase| phase.clone())
    }
}
