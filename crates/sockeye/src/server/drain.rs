//! How a server stops: no new connections, a Close frame for each that is open, a last deadline.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use sockeye_proto::CloseCode;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use crate::clock;
use crate::race::race;
use crate::slots::Slots;

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

/// Leads a server's connections through its life. When this is dropped, they are.
pub(super) struct Phases {
    phase: watch::Sender<Phase>,
    bell: Arc<Bell>,
}

/// Whom to wake when the phase changes. A `watch` could do it, but its way of waiting takes 200 bytes
/// in each connection.
#[derive(Debug, Default)]
struct Bell(Mutex<Slots<Waker>>);

/// A connection's view of its server's life.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    phase: watch::Receiver<Phase>,
    bell: Arc<Bell>,
}

/// A connection's part in the end of its server.
#[derive(Debug)]
pub(super) struct Leaving {
    life: Life,
    /// Where its waker is.
    place: Option<usize>,
    /// When it is its turn to close.
    due: Option<Pin<Box<Sleep>>>,
}

/// What a server asks of a connection, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    /// To close with this code.
    Close(CloseCode),
    /// To end at once.
    Drop,
}

impl Phases {
    /// Leads them into the next phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
        self.bell.ring();
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        self.enter(Phase::Dropping);
    }
}

impl Bell {
    fn ring(&self) {
        let wakers: Vec<Waker> = self.lock().iter().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Slots<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    pub(super) fn begin() -> (Phases, Self) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        let bell = Arc::<Bell>::default();
        (Phases { phase: sender, bell: bell.clone() }, Self { phase: receiver, bell })
    }

    /// Whether new connections are turned away.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(*self.phase.borrow(), Phase::Serving)
    }

    /// Waits until new connections are turned away.
    pub(super) async fn ending(&mut self) {
        self.wait_for(|phase| !matches!(phase, Phase::Serving)).await;
    }

    /// Runs `served` to its end, or until the server drops it.
    pub(super) async fn until_dropped(&mut self, served: impl Future<Output = ()>) {
        let dropping = pin!(self.wait_for(|phase| matches!(phase, Phase::Dropping)));
        race(pin!(served), dropping).await;
    }

    async fn wait_for(&mut self, reached: impl FnMut(&Phase) -> bool) {
        // It fails when the server is gone, and that is only after it has dropped its connections.
        let _ = self.phase.wait_for(reached).await;
    }
}

impl Leaving {
    pub(super) fn new(mut life: Life) -> Self {
        // What was before counts as well.
        life.phase.mark_changed();
        Self { life, place: None, due: None }
    }

    /// Asks what is to be done, and registers to be woken when there is something. To be polled by one
    /// task only.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Asked {
        let bell = &self.life.bell;
        self.place.get_or_insert_with(|| bell.lock().add(cx.waker().clone()));
        if self.life.phase.has_changed().unwrap_or(true) {
            match &*self.life.phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Draining(drain) => {
                    let due = sleep(clock::jitter(drain.over));
                    self.due = Some(Box::pin(due));
                }
                Phase::Dropping => return Asked::Drop,
            }
        }
        let Some(due) = &mut self.due else { return Asked::Nothing };
        if due.as_mut().poll(cx).is_pending() {
            return Asked::Nothing;
        }
        self.due = None;
        match &*self.life.phase.borrow() {
            Phase::Draining(drain) => Asked::Close(drain.code),
            Phase::Serving | Phase::Dropping => Asked::Nothing,
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.life.bell.lock().remove(place);
            drop(waker);
        }
    }
}

/// What a connection is told when its server drains.
pub(super) const REASON: &str = "server is stopping";
