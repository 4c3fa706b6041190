//! What others ask of a connection that runs a handler: a bounded list behind a lock, and a wake-up
//! when its future waits.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use sockeye_proto::handler::Remote;
use sockeye_proto::{CloseCode, PreparedMessage, Utf8Bytes};

/// What a connection is asked to do.
pub(crate) enum Order {
    /// Send a message.
    Send(Arc<PreparedMessage>),
    /// Call the handler.
    Wake,
    /// Start the closing handshake.
    Close(CloseCode, Utf8Bytes),
}

/// The post of one connection. Made when it first subscribes or asks for a sender.
pub(crate) struct Mailbox(Mutex<Post>);

struct Post {
    orders: Vec<Order>,
    /// What the orders cost, and may cost, in bytes.
    bytes: usize,
    most: usize,
    /// Whoever polled the connection last, unless it has been woken since.
    waker: Option<Waker>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Something did not fit: its owner takes what did, and that nothing follows.
    Full,
    /// The connection has ended.
    Over,
}

/// What there was for a connection.
pub(crate) struct Delivery {
    /// In the order in which it came.
    pub(crate) orders: Vec<Order>,
    /// Something behind them was lost.
    pub(crate) is_cut: bool,
}

impl Mailbox {
    /// Makes a mailbox for so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self(Mutex::new(Post {
            orders: Vec::new(),
            bytes: 0,
            most,
            waker: None,
            state: State::Open,
        }))
    }

    /// Leaves an order; returns whom to wake for it, best when no lock is held any more.
    #[must_use]
    pub(crate) fn put(&self, order: Order) -> Option<Waker> {
        let mut post = self.lock();
        if post.state != State::Open {
            return None;
        }
        let cost = order.cost();
        if post.bytes.saturating_add(cost) > post.most && !post.orders.is_empty() {
            post.state = State::Full;
        } else {
            post.bytes += cost;
            post.orders.push(order);
        }
        post.waker.take()
    }

    /// Takes all orders, and sees to it that the next one wakes.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Delivery {
        let mut post = self.lock();
        if !post.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            post.waker = Some(cx.waker().clone());
        }
        post.bytes = 0;
        let orders = std::mem::take(&mut post.orders);
        Delivery { orders, is_cut: post.state == State::Full }
    }

    /// Takes no more orders, and drops those that came too late.
    pub(crate) fn close(&self) {
        let mut post = self.lock();
        post.state = State::Over;
        let late = (std::mem::take(&mut post.orders), post.waker.take());
        drop(post);
        drop(late);
    }

    fn lock(&self) -> MutexGuard<'_, Post> {
        // Every change is complete before it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remote for Mailbox {
    fn send(&self, _: u64, message: Arc<PreparedMessage>) {
        if let Some(waker) = self.put(Order::Send(message)) {
            waker.wake();
        }
    }

    fn wake(&self, _: u64) {
        if let Some(waker) = self.put(Order::Wake) {
            waker.wake();
        }
    }

    fn close(&self, _: u64, code: CloseCode, reason: Utf8Bytes) {
        if let Some(waker) = self.put(Order::Close(code, reason)) {
            waker.wake();
        }
    }
}

impl Order {
    /// Returns what keeping it costs; even an empty message takes its place in the list.
    fn cost(&self) -> usize {
        let payload = match self {
            Self::Send(message) => message.payload().len(),
            Self::Wake => 0,
            Self::Close(_, reason) => reason.len(),
        };
        size_of::<Self>() + payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Order {
        Order::Send(Arc::new(PreparedMessage::new(&vec![0; len][..])))
    }

    #[test]
    fn what_does_not_fit_cuts_the_post_until_it_is_taken_and_for_good() {
        let mailbox = Mailbox::new(1_000);
        let cx = Context::from_waker(Waker::noop());
        assert!(mailbox.put(message(5_000)).is_none(), "one always fits, and nobody waits yet");
        assert!(!mailbox.take(&cx).is_cut);
        assert!(mailbox.put(message(900)).is_some(), "who waits is woken");
        assert!(mailbox.put(message(900)).is_none(), "once");
        let Delivery { orders, is_cut } = mailbox.take(&cx);
        assert_eq!((orders.len(), is_cut), (1, true));
        assert!(mailbox.put(message(1)).is_none(), "nothing follows a gap");
        assert!(mailbox.take(&cx).orders.is_empty());
    }

    #[test]
    fn what_comes_after_the_end_is_not_kept() {
        let mailbox = Mailbox::new(1_000);
        let late = Arc::new(PreparedMessage::new("late"));
        let _ = mailbox.put(Order::Send(late.clone()));
        mailbox.close();
        let _ = mailbox.put(Order::Send(late.clone()));
        assert_eq!(Arc::strong_count(&late), 1);
    }
}
