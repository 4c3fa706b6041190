//! What a server asks of a connection from outside: to close, because the server is stopping.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use sockeye_proto::CloseCode;

/// Shared by a connection and the server it came from.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    close: Option<(CloseCode, String)>,
    /// Whoever polled the connection last.
    waker: Option<Waker>,
}

impl Control {
    /// Asks the connection to close.
    #[cfg(feature = "server")]
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        let waker = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.close = Some((code, reason.to_owned()));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns what is asked, once, or registers to be woken when something is.
    pub(crate) fn poll_close(&self, cx: &mut Context<'_>) -> Option<(CloseCode, String)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.waker = Some(cx.waker().clone()),
        }
        state.close.take()
    }
}
