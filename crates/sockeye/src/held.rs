//! A link with an owner: when the owner lets go of it, the connection is still closed in good order.

use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sockeye_proto::CloseCode;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::io::Io;
use crate::link::Link;

/// How long a connection that was dropped while open may take to close.
const DROPPED: Duration = Duration::from_secs(1);

/// Where a link goes when its owner lets go of it.
pub(crate) type Parting<S> = oneshot::Sender<Box<Link<S>>>;

/// Owns a link. Dropped while the connection stands, it hands the link to the server it came from, or
/// to a task of its own, which says goodbye: a transport closed at once could destroy a Close frame
/// that the peer has not read.
#[derive(Debug)]
pub(crate) struct Held<S: Io> {
    /// Taken only on drop and by `into_link`.
    link: Option<Box<Link<S>>>,
    goodbye: Goodbye<S>,
}

/// Who says goodbye where the owner does not.
#[derive(Debug)]
enum Goodbye<S> {
    /// A task of its own.
    Task,
    /// The server that the connection came from.
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "for servers"))]
    Server(Parting<S>),
    /// Nobody: the server drops the connection.
    #[cfg(feature = "server")]
    Nobody,
}

impl<S: Io> Held<S> {
    pub(crate) fn new(link: Link<S>) -> Self {
        Self { link: Some(Box::new(link)), goodbye: Goodbye::Task }
    }

    #[cfg(feature = "server")]
    pub(crate) fn set_parting(&mut self, parting: Parting<S>) {
        self.goodbye = Goodbye::Server(parting);
    }

    /// Ends the connection without a word when its owner is dropped, because its server drops it.
    #[cfg(feature = "server")]
    pub(crate) fn end_with_server(&mut self) {
        self.goodbye = Goodbye::Nobody;
    }

    /// Takes the link out, without any goodbye.
    pub(crate) fn into_link(mut self) -> Option<Box<Link<S>>> {
        self.link.take()
    }
}

impl<S: Io> Deref for Held<S> {
    type Target = Link<S>;

    fn deref(&self) -> &Link<S> {
        match &self.link {
            Some(link) => link,
            None => unreachable!("the link is taken only with its owner"),
        }
    }
}

impl<S: Io> DerefMut for Held<S> {
    fn deref_mut(&mut self) -> &mut Link<S> {
        match &mut self.link {
            Some(link) => link,
            None => unreachable!("the link is taken only with its owner"),
        }
    }
}

impl<S: Io> Drop for Held<S> {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        if link.is_over() {
            return link.log_end();
        }
        let link = match std::mem::replace(&mut self.goodbye, Goodbye::Task) {
            Goodbye::Task => link,
            Goodbye::Server(parting) => match parting.send(link) {
                Ok(()) => return,
                Err(link) => link,
            },
            #[cfg(feature = "server")]
            Goodbye::Nobody => return,
        };
        let code = if std::thread::panicking() { CloseCode::INTERNAL } else { CloseCode::NORMAL };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(part(link, code));
        }
    }
}

/// Closes a connection whose owner is gone.
pub(crate) async fn part<S: Io>(mut link: Box<Link<S>>, code: CloseCode) {
    if link.core().is_open() {
        // The codes given here may all be sent, and there is no reason to be too long.
        let _ = link.close(Some(code), "");
        let _ = timeout(DROPPED, poll_fn(|cx| link.poll_end(cx))).await;
    } else {
        poll_fn(|cx| link.poll_end(cx)).await;
    }
    link.log_end();
}
