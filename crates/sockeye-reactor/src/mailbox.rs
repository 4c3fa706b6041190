//! What other threads ask of a reactor thread: a list behind a lock, and a wake-up when it was empty.
//!
//! Off the path of messages: a lock is taken when a connection arrives, when something is published
//! or sent from another thread, and once per turn of a thread that has post.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use sockeye_proto::handler::Remote;
use sockeye_proto::{CloseCode, PreparedMessage, Utf8Bytes};

use crate::adopted::Adopted;
use crate::slab::Key;

/// What a thread is asked to do.
pub(crate) enum Order<H> {
    /// Serve a connection.
    Adopt(Box<Adopted<H>>),
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
pub(crate) struct Mailbox<H> {
    /// `None` once the thread has ended.
    orders: Mutex<Option<Vec<Order<H>>>>,
    /// There is post that the thread has not been woken for in vain.
    pending: AtomicBool,
    waker: Waker,
}

impl<H> Mailbox<H> {
    pub(crate) fn new(waker: Waker) -> Self {
        let orders = Mutex::new(Some(Vec::new()));
        Self { orders, pending: AtomicBool::new(false), waker }
    }

    /// Leaves an order, and wakes the thread unless that has been done for earlier ones. Where the
    /// thread has ended, the order is dropped.
    pub(crate) fn put(&self, order: Order<H>) {
        let mut orders = self.lock();
        let Some(list) = &mut *orders else { return };
        list.push(order);
        drop(orders);
        if !self.pending.swap(true, Ordering::AcqRel) {
            // It can only fail for want of memory in the kernel, and then the next turn finds it.
            let _ = self.waker.wake();
        }
    }

    /// Takes all orders, in the order in which they came.
    pub(crate) fn take(&self) -> Vec<Order<H>> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more orders, and returns those that came too late.
    pub(crate) fn close(&self) -> Vec<Order<H>> {
        self.lock().take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Order<H>>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Send> Remote for Mailbox<H> {
    fn send(&self, connection: u64, message: Arc<PreparedMessage>) {
        self.put(Order::Send(Key::from_number(connection), message));
    }

    fn close(&self, connection: u64, code: CloseCode, reason: Utf8Bytes) {
        self.put(Order::Close(Key::from_number(connection), code, reason));
    }
}
