//! The reactor as the rest of a program sees it: threads that take connections.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sockeye_proto::handler::Handler;
#[cfg(doc)]
use sockeye_proto::handler::Out;
use sockeye_proto::{CloseCode, MessageRef, PreparedMessage, Utf8Bytes};

use crate::adopted::Adopted;
use crate::door::{Door, Reception};
use crate::local::{Backlog, Publication};
use crate::mailbox::{Mailbox, Order};
use crate::system::{Portable, System, Tcp};
use crate::threads;
use crate::traffic::Traffic;
use crate::watchdog::{Blocked, Watchdog};
use crate::worker::{Shown, Worker};

/// Threads that serve WebSockets, each with connections of its own.
pub struct Reactor<H> {
    watchdog: Option<Watchdog>,
    threads: Vec<Thread<H>>,
}

struct Thread<H> {
    mailbox: Arc<Mailbox<H, Tcp>>,
    shown: Shown,
    handle: Option<JoinHandle<()>>,
}

impl<H: Handler> Reactor<H> {
    /// Starts so many threads; with 0, as many as the machine lets the process run at a time.
    ///
    /// # Errors
    /// The system has no threads or pollers left.
    pub fn start(threads: usize) -> io::Result<Self> {
        let count = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let systems = (0..count).map(|_| Portable::new()).collect::<io::Result<Vec<_>>>()?;
        let mailboxes: Vec<_> =
            systems.iter().map(|system| Arc::new(Mailbox::new(system.waker()))).collect();
        // Dropped on the way out by an error, it stops the threads that run by then.
        let mut reactor = Self { watchdog: None, threads: Vec::new() };
        for (number, system) in systems.into_iter().enumerate() {
            let others = mailboxes.iter().enumerate().filter(|(other, _)| *other != number);
            let others = others.map(|(_, mailbox)| mailbox.clone()).collect();
            let Some(mailbox) = mailboxes.get(number).cloned() else { continue };
            let shown = Shown::default();
            let worker = Worker::new(system, mailbox.clone(), others, shown.clone());
            // A system that fails leaves nothing to be done on its thread.
            let run = move || drop(worker.run());
            let handle = threads::start(format!("reactor-{number}"), run)?;
            reactor.threads.push(Thread { mailbox, shown, handle: Some(handle) });
        }
        Ok(reactor)
    }

    /// Calls `report` when a thread is at work for longer than `limit` without coming to wait for what
    /// is new, so that a handler that blocks is found: all connections of its thread wait for it.
    /// Replaces an earlier watch.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn report_blocking(
        &mut self,
        limit: Duration,
        report: impl Fn(Blocked) + Send + 'static,
    ) -> io::Result<()> {
        let pulses = self.threads.iter().map(|thread| thread.shown.pulse.clone()).collect();
        self.watchdog = Some(Watchdog::start(pulses, limit, report)?);
        Ok(())
    }

    /// Accepts connections at `listener`, and waits up to `patience` for the first bytes of each: what
    /// they mean is the door's to say.
    pub fn listen(&self, listener: TcpListener, door: impl Door, patience: Duration) {
        if let Some(thread) = self.threads.first() {
            thread.mailbox.put(Order::Listen(listener, Reception::new(door, patience)));
        }
    }

    /// Accepts no more connections. Those that have arrived are still brought to their doors.
    pub fn unlisten(&self) {
        for thread in &self.threads {
            thread.mailbox.put(Order::Unlisten);
        }
    }

    /// Gives a connection to the thread that has the fewest, or to this one if it has about as few.
    pub fn adopt(&self, adopted: Adopted<H>) {
        let load = |thread: &Thread<H>| thread.shown.load.load(Ordering::Relaxed);
        let Some(lightest) = self.threads.iter().min_by_key(|thread| load(thread)) else { return };
        let own = self.threads.iter().find(|thread| thread.mailbox.is_own());
        let own = own.filter(|own| load(own) <= load(lightest) + SLACK);
        let thread = own.unwrap_or(lightest);
        thread.shown.load.fetch_add(1, Ordering::Relaxed);
        thread.mailbox.put(Order::Adopt(Box::new(adopted.0)));
    }

    /// Sends a message to all subscribers of a topic.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<MessageRef<'m>>) {
        self.publish_at(topic, 0, Backlog::Queue, message);
    }

    /// As [`publish`](Self::publish), for a message that stands at `position`, from 1, among all that
    /// is published here: who joined with [`Out::subscribe_after`] gets it only if it is behind what
    /// they have. Positions must come in order. `backlog` says what becomes of it where much waits.
    pub fn publish_at<'m>(
        &self,
        topic: &str,
        position: u64,
        backlog: Backlog,
        message: impl Into<MessageRef<'m>>,
    ) {
        let (topic, message) = (Arc::<str>::from(topic), Arc::new(PreparedMessage::new(message)));
        let publication = Publication { topic, position, backlog, message };
        for thread in &self.threads {
            thread.mailbox.put(Order::Publish(publication.clone()));
        }
    }

    /// Starts the closing handshake on part `share` of the connections, where all are in `of` parts of
    /// about the same size, from 0. So all can be closed over a time, and not come back in a crowd.
    pub fn close_share(&self, share: u32, of: u32, code: CloseCode, reason: &str) {
        let reason = Utf8Bytes::from(reason);
        for thread in &self.threads {
            thread.mailbox.put(Order::CloseShare(share, of.max(1), code, reason.clone()));
        }
    }

    /// Starts the closing handshake on all connections, and on those that still come.
    pub fn close_all(&self, code: CloseCode, reason: &str) {
        let reason = Utf8Bytes::from(reason);
        for thread in &self.threads {
            thread.mailbox.put(Order::CloseAll(code, reason.clone()));
        }
    }

    /// Returns how many connections there are.
    pub fn len(&self) -> usize {
        self.threads.iter().map(|thread| thread.shown.load.load(Ordering::Relaxed)).sum()
    }

    /// Returns what has gone over the connections of a class, ended ones too, as far as the threads
    /// have told by now: they tell at the end of each turn.
    pub fn traffic(&self, class: u8) -> Traffic {
        let of_each = self.threads.iter().map(|thread| thread.shown.traffic.of(class));
        of_each.fold(Traffic::default(), Traffic::and)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<H> Drop for Reactor<H> {
    /// Drops what is open, and waits for the threads, but not for one of them on itself: a handler
    /// may hold the last handle.
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.mailbox.put(Order::Stop);
        }
        for thread in &mut self.threads {
            let is_other = |handle: &JoinHandle<()>| handle.thread().id() != thread::current().id();
            if let Some(handle) = thread.handle.take().filter(is_other) {
                let _ = handle.join();
            }
        }
    }
}

impl<H> std::fmt::Debug for Reactor<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("threads", &self.threads.len()).finish()
    }
}

/// How many connections a thread may have above the fewest and still keep one that it has at hand:
/// to move one costs a wake-up.
const SLACK: usize = 16;
