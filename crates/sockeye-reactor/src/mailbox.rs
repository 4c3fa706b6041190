//! What other threads ask of a reactor thread: a list behind a lock, and a wake-up when it was empty.
//!
//! Off the path of messages: a lock is taken when a connection arrives, when something is published
//! or sent from another thread, and once per turn of a thread that has post.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, PoisonError};

use sockeye_proto::handler::Remote;
use sockeye_proto::{CloseCode, PreparedMessage, Utf8Bytes};

use crate::adopted::Arrival;
use crate::door::Reception;
use crate::local::Publication;
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
    Publish(Publication),
    /// Send a message to one connection.
    Send(Key, Arc<PreparedMessage>),
    /// Call one connection's handler.
    Wake(Key),
    /// Close one connection.
    Close(Key, CloseCode, Utf8Bytes),
    /// Close one of so many parts of the connections.
    CloseShare(u32, u32, CloseCode, Utf8Bytes),
    /// Close all connections, those that come later included.
    CloseAll(CloseCode, Utf8Bytes),
    /// Drop what is still open and end.
    Stop,
}

/// What lies in a mailbox.
pub(crate) struct Post<H, N: Network> {
    /// The orders, as they came.
    pub(crate) orders: Vec<Order<H, N>>,
    /// What their messages weigh.
    weight: usize,
    pub(crate) missed: Missed,
}

/// Who was to get messages for which there was no room any more: none of those after the last order.
#[derive(Default)]
pub(crate) struct Missed {
    pub(crate) connections: HashSet<Key>,
    /// All subscribers of topics.
    pub(crate) subscribers: bool,
}

impl Missed {
    /// Adds those of a later time.
    pub(crate) fn extend(&mut self, other: Self) {
        self.connections.extend(other.connections);
        self.subscribers |= other.subscribers;
    }
}

/// The post of one thread.
pub(crate) struct Mailbox<H, N: Network> {
    /// `None` once the thread has ended.
    post: Mutex<Option<Post<H, N>>>,
    /// There is post that the thread has not taken.
    pending: AtomicBool,
    waker: Arc<dyn Wake>,
    /// The thread whose post it is, once it runs: it needs no waking.
    owner: OnceLock<ThreadId>,
}

impl<H, N: Network> Mailbox<H, N> {
    pub(crate) fn new(waker: Arc<dyn Wake>) -> Self {
        let post = Mutex::new(Some(Post::default()));
        Self { post, pending: AtomicBool::new(false), waker, owner: OnceLock::new() }
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
    /// thread has ended, the order is dropped; a message for which there is no room is missed, and the
    /// thread is told by whom.
    pub(crate) fn put(&self, order: Order<H, N>) {
        let mut guard = self.lock();
        let Some(post) = &mut *guard else { return };
        post.add(order);
        drop(guard);
        if !self.pending.swap(true, Ordering::AcqRel) && !self.is_own() {
            self.waker.wake();
        }
    }

    /// Takes all that is there.
    pub(crate) fn take(&self) -> Post<H, N> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Post::default();
        }
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more orders, and returns those that came too late.
    pub(crate) fn close(&self) -> Vec<Order<H, N>> {
        self.lock().take().unwrap_or_default().orders
    }

    fn lock(&self) -> MutexGuard<'_, Option<Post<H, N>>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H, N: Network> Post<H, N> {
    fn add(&mut self, order: Order<H, N>) {
        let Some(weight) = order.weight() else { return self.orders.push(order) };
        // What comes after a message that was missed is missed as well: there is no hole in between.
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MOST {
            return self.orders.push(order);
        }
        match order {
            Order::Send(key, _) | Order::Wake(key) | Order::Close(key, ..) => {
                self.missed.connections.insert(key);
            }
            _ => self.missed.subscribers = true,
        }
    }
}

impl<H, N: Network> Default for Post<H, N> {
    fn default() -> Self {
        Self { orders: Vec::new(), weight: 0, missed: Missed::default() }
    }
}

impl<H, N: Network> Order<H, N> {
    /// Returns what the order counts for, in bytes, if there may be any number of its kind.
    fn weight(&self) -> Option<usize> {
        match self {
            Self::Publish(Publication { message, .. }) | Self::Send(_, message) => {
                Some(EACH + message.payload().len())
            }
            Self::Wake(_) | Self::Close(..) => Some(EACH),
            Self::Adopt(_)
            | Self::Listen(..)
            | Self::Unlisten
            | Self::CloseShare(..)
            | Self::CloseAll(..)
            | Self::Stop => None,
        }
    }
}

/// What a thread's post may weigh, in bytes: a thread takes all of it each time it comes round, so it
/// is far behind with as much as this.
const MOST: usize = 64 << 20;

/// What an order weighs beside its payload, in bytes.
const EACH: usize = 128;

impl<H: Send, N: Network> Remote for Mailbox<H, N> {
    fn send(&self, connection: u64, message: Arc<PreparedMessage>) {
        self.put(Order::Send(Key::from_number(connection), message));
    }

    fn wake(&self, connection: u64) {
        self.put(Order::Wake(Key::from_number(connection)));
    }

    fn close(&self, connection: u64, code: CloseCode, reason: Utf8Bytes) {
        self.put(Order::Close(Key::from_number(connection), code, reason));
    }
}
