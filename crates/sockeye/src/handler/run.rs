//! The future in which a connection runs its handler.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "server")]
use sockeye_proto::CloseCode;
use sockeye_proto::CloseInfo;
use sockeye_proto::handler::Handler;

use super::Topics;
use crate::held::Held;
use crate::io::Io;
use crate::link::Driver;

/// A connection with its handler. Dropped before the end, it tells the handler of an abnormal one,
/// and the connection goes as it does without a handler.
pub(crate) struct Run<S: Io, H: Handler> {
    driver: Driver<H>,
    held: Held<S>,
}

impl<S: Io, H: Handler> Run<S, H> {
    pub(crate) fn new(held: Held<S>, handler: H, topics: Topics) -> Self {
        Self { driver: Driver::new(handler, topics), held }
    }

    /// Starts the closing handshake, with a code that may be sent and a short reason. It goes out with
    /// the next turn.
    #[cfg(feature = "server")]
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        let _ = self.held.close(Some(code), reason);
    }
}

/// Nothing in it is ever pinned.
impl<S: Io, H: Handler> Unpin for Run<S, H> {}

impl<S: Io, H: Handler> Future for Run<S, H> {
    type Output = CloseInfo;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseInfo> {
        let Self { driver, held } = &mut *self;
        driver.poll(held, cx)
    }
}

impl<S: Io, H: Handler> Drop for Run<S, H> {
    fn drop(&mut self) {
        self.driver.end(&self.held.close_info());
    }
}
