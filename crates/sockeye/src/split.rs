//! The two halves of a connection that is sent on and received from in different places.
//!
//! Both halves poll the same link, and whichever is awake drives it: a task that only receives also
//! writes what others queued. So that none sleeps while another's waker is the one registered, the
//! link is polled with a waker that wakes every half.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sockeye_proto::{CloseCode, CloseInfo, SendOptions};

use crate::error::Result;
use crate::held::Held;
use crate::io::{AnyIo, Io};
use crate::link::Link;
use crate::message::{Event, Message};
use crate::websocket::give_back;

/// The sending half; cloned, it serves many tasks. Made by
/// [`WebSocket::split`](crate::WebSocket::split).
pub struct Sender<S: Io = AnyIo> {
    shared: Arc<Shared<S>>,
}

/// The receiving half.
pub struct Receiver<S: Io = AnyIo> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Io> {
    held: Mutex<Held<S>>,
    halves: Arc<Wakers>,
    /// Wakes `halves`.
    waker: Waker,
}

/// The wakers of all halves that wait.
#[derive(Default)]
struct Wakers(Mutex<Vec<Waker>>);

pub(crate) fn split<S: Io>(held: Held<S>) -> (Sender<S>, Receiver<S>) {
    let halves = Arc::new(Wakers::default());
    let waker = Waker::from(halves.clone());
    let shared = Arc::new(Shared { held: Mutex::new(held), halves, waker });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

impl<S: Io> Sender<S> {
    /// Sends a message, as [`WebSocket::send`](crate::WebSocket::send) does.
    ///
    /// # Errors
    /// The connection is closed; the message comes back if it was not taken.
    pub async fn send(&self, message: impl Into<Message>) -> Result<()> {
        self.send_with(message, SendOptions::default()).await
    }

    /// Sends a message as `options` say.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with(&self, message: impl Into<Message>, options: SendOptions) -> Result<()> {
        let mut message = Some(message.into());
        let send =
            |link: &mut Link<S>, cx: &mut Context<'_>| link.poll_send(cx, &mut message, options);
        let sent = self.shared.drive(send).await;
        sent.map_err(|error| give_back(error, message))
    }

    /// Queues a message and waits only while too much is queued already. The receiving half, if it is
    /// being awaited, writes it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed(&self, message: impl Into<Message>) -> Result<()> {
        let mut message = Some(message.into());
        let options = SendOptions::default();
        let fed = self.shared.drive(|link, cx| link.poll_feed(cx, &mut message, options)).await;
        self.shared.halves.wake_all();
        fed.map_err(|error| give_back(error, message))
    }

    /// Queues a message without waiting, and writes what the transport takes at once, so that the
    /// queue grows only while the peer does not read. The receiving half, if it is being awaited,
    /// writes the rest.
    ///
    /// # Errors
    /// The queue is full or the connection closed; the message comes back with
    /// [`Error::into_message`](crate::Error::into_message).
    pub fn try_send(&self, message: impl Into<Message>) -> Result<()> {
        let message = message.into();
        let waiting = {
            let mut held = self.shared.lock();
            held.enqueue(message.as_ref(), SendOptions::default()).map(|()| {
                held.poll_write(&mut Context::from_waker(&self.shared.waker)).is_pending()
            })
        };
        if waiting.as_ref().is_ok_and(|waiting| *waiting) {
            // What waits has a deadline now, which whoever drives the connection must know of.
            self.shared.halves.wake_all();
        }
        waiting.map(drop).map_err(|error| error.with_message(message))
    }

    /// Waits until everything queued has been taken by the transport.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn flush(&self) -> Result<()> {
        self.shared.drive(Link::poll_flush).await
    }

    /// Pings the peer and returns how long the answer took.
    ///
    /// # Errors
    /// The connection ends before the pong comes.
    pub async fn ping(&self) -> Result<Duration> {
        let payload = self.shared.lock().start_ping()?;
        self.shared.drive(|link, cx| link.poll_pong(cx, payload)).await
    }

    /// Starts the closing handshake; the receiving half sees its end as `None`.
    ///
    /// # Errors
    /// The caller's faults: a code that may not be sent, a reason over 123 bytes.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared.lock().close(Some(code), reason)?;
        // A transport that does not take the frame any more is closed all the same.
        let _ = self.flush().await;
        self.shared.halves.wake_all();
        Ok(())
    }

    /// Returns the bytes that are queued and not yet taken by the transport, framing included.
    pub fn buffered_amount(&self) -> usize {
        self.shared.lock().core().queued()
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        !self.shared.lock().core().is_open()
    }
}

impl<S: Io> Receiver<S> {
    /// Receives the next message, as [`WebSocket::recv`](crate::WebSocket::recv) does.
    ///
    /// # Errors
    /// As [`WebSocket::recv`](crate::WebSocket::recv).
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        self.shared.drive(Link::poll_message).await
    }

    /// Receives the next event of any kind.
    ///
    /// # Errors
    /// As [`WebSocket::recv`](crate::WebSocket::recv).
    pub async fn event(&mut self) -> Result<Option<Event>> {
        self.shared.drive(Link::poll_event).await
    }

    /// Returns how the connection ended; `None` while it has not.
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.shared.lock().core().close_info().cloned()
    }
}

impl<S: Io> Shared<S> {
    /// Polls the link with `poll` until it is ready, on behalf of the calling task.
    async fn drive<T>(&self, mut poll: impl FnMut(&mut Link<S>, &mut Context<'_>) -> Poll<T>) -> T {
        poll_fn(|cx| {
            let mut held = self.lock();
            // Before the poll, as the wake-up may come during it.
            let is_new = self.halves.register(cx.waker());
            let polled = poll(&mut held, &mut Context::from_waker(&self.waker));
            if is_new && polled.is_ready() {
                self.halves.forget(cx.waker());
            }
            polled
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Held<S>> {
        // A panic inside the lock is a bug of ours; the link's own state stays consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wakers {
    /// Adds a waker; false when it is there already.
    fn register(&self, waker: &Waker) -> bool {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !wakers.iter().any(|known| known.will_wake(waker));
        if is_new {
            wakers.push(waker.clone());
        }
        is_new
    }

    /// Removes the waker of a half that no longer waits, which would else keep its task's memory.
    fn forget(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.retain(|known| !known.will_wake(waker));
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl<S: Io> Clone for Sender<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Io> fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<S: Io> fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
