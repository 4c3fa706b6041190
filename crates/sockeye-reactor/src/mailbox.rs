//! What other threads ask of a reactor thread: a list behind a lock, and a wake-up when it was empty.
//!
//! Off the path of messages: a lock is taken when a connection arrives, when something is published
//! or sent from another thread, and once per turn of a thread that has post.

use std::sync::{Arc, OnceLock, PoisonError};

use sockeye_proto::handler::Remote;
use sockeye_proto::{CloseCode, PreparedMessage, Utf8Bytes};

use crate::adopted::Arrival;
use crate::door::Reception;
use crate::slab::Key;
use crate::system::{Network, Wake};
// Found beside this module, so that a model of threads can put its own there.
use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering, ThreadId, thread};

/// What a thread is asked to do.
pub(crate) enum Order<H, N: Network> {
    /// Serve a connection.
    Adopt(Box<Arrival<H, N>>),
    /// Accept connections at a listener.
    Listen(N::Listener, Reception<N>),
    /// Accept no more.
    Unlisten,
    /// Hand a message to the subscribers of a topic.
    Publish(Arc<str>, Arc<PreparedMessage>),
    /// Send a message to one connection.
    Send(Key, Arc<PreparedMessage>),
    /// Close one connection.
    Close(Key, CloseCode, Utf8Bytes),
    /// Close all connections, those that come later included.
    CloseAll(CloseCode, Utf8Bytes),
    /// Drop what is still open and end.
    Stop,
}

/// The post of one thread.
pub(crate) struct Mailbox<H, N: Network> {
    /// `None` once the thread has ended.
    orders: Mutex<Option<Vec<Order<H, N>>>>,
    /// There is post that the thread has not taken.
    pending: AtomicBool,
    waker: Arc<dyn Wake>,
    /// The thread whose post it is, once it runs: it needs no waking.
    owner: OnceLock<ThreadId>,
}

impl<H, N: Network> Mailbox<H, N> {
    pub(crate) fn new(waker: Arc<dyn Wake>) -> Self {
        let orders = Mutex::new(Some(Vec::new()));
        Self { orders, pending: AtomicBool::new(false), waker, owner: OnceLock::new() }
    }

    /// Makes the post this thread's.
    pub(crate) fn own(&self) {
        // A thread that is told twice is the same.
        let _ = self.owner.set(thread::current().id());
    }

    /// Tells whether this thread is the one whose post it is.
    pub(crate) fn is_own(&self) -> bool {
        self.owner.get() == Some(&thread::current().id())
    }

    /// Tells whether there is post.
    pub(crate) fn has_post(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Leaves an order, and wakes the thread unless that has been done for earlier ones. Where the
    /// thread has ended, the order is dropped.
    pub(crate) fn put(&self, order: Order<H, N>) {
        let mut orders = self.lock();
        let Some(list) = &mut *orders else { return };
        list.push(order);
        drop(orders);
        if !self.pending.swap(true, Ordering::AcqRel) && !self.is_own() {
            self.waker.wake();
        }
    }

    /// Takes all orders, in the order in which they came.
    pub(crate) fn take(&self) -> Vec<Order<H, N>> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more orders, and returns those that came too late.
    pub(crate) fn close(&self) -> Vec<Order<H, N>> {
        self.lock().take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Order<H, N>>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Send, N: Network> Remote for Mailbox<H, N> {
    fn send(&self, connection: u64, message: Arc<PreparedMessage>) {
        self.put(Order::Send(Key::from_number(connection), message));
    }

    fn close(&self, connection: u64, code: CloseCode, reason: Utf8Bytes) {
        self.put(Order::Close(Key::from_number(connection), code, reason));
    }
}
