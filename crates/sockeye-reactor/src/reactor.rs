//! The reactor as the rest of a program sees it: threads that take connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use mio::{Poll, Token, Waker};
use sockeye_proto::handler::Handler;
use sockeye_proto::{CloseCode, MessageRef, PreparedMessage, Utf8Bytes};

use crate::adopted::Adopted;
use crate::mailbox::{Mailbox, Order};
use crate::worker::Worker;

/// Threads that serve WebSockets, each with connections of its own.
pub struct Reactor<H> {
    threads: Vec<Thread<H>>,
}

struct Thread<H> {
    mailbox: Arc<Mailbox<H>>,
    /// Connections given to the thread and not ended.
    load: Arc<AtomicUsize>,
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
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..count {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            mailboxes.push(Arc::new(Mailbox::new(waker)));
            polls.push(poll);
        }
        // Dropped on the way out by an error, it stops the threads that run by then.
        let mut reactor = Self { threads: Vec::new() };
        for (number, poll) in polls.into_iter().enumerate() {
            let others = mailboxes.iter().enumerate().filter(|(other, _)| *other != number);
            let others = others.map(|(_, mailbox)| mailbox.clone()).collect();
            let Some(mailbox) = mailboxes.get(number).cloned() else { continue };
            let load = Arc::new(AtomicUsize::new(0));
            let worker = Worker::new(poll, mailbox.clone(), others, load.clone());
            let builder = thread::Builder::new().name(format!("reactor-{number}"));
            // A poller that fails leaves nothing to be done on its thread.
            let handle = builder.spawn(move || drop(worker.run()))?;
            reactor.threads.push(Thread { mailbox, load, handle: Some(handle) });
        }
        Ok(reactor)
    }

    /// Gives a connection to the thread that has the fewest.
    pub fn adopt(&self, adopted: Adopted<H>) {
        let lightest = self.threads.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed));
        let Some(thread) = lightest else { return };
        thread.load.fetch_add(1, Ordering::Relaxed);
        thread.mailbox.put(Order::Adopt(Box::new(adopted)));
    }

    /// Sends a message to all subscribers of a topic.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<MessageRef<'m>>) {
        let (topic, message) = (Arc::<str>::from(topic), Arc::new(PreparedMessage::new(message)));
        for thread in &self.threads {
            thread.mailbox.put(Order::Publish(topic.clone(), message.clone()));
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
        self.threads.iter().map(|thread| thread.load.load(Ordering::Relaxed)).sum()
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

/// The waker's token, which is no connection's.
const WAKER: Token = Token(usize::MAX);
