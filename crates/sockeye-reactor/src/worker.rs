//! A reactor thread: waits, gives each ready connection its turn, carries out orders, hands out what
//! was published, and lets deadlines act.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use sockeye_proto::handler::{Handler, Sender};
use sockeye_proto::{CloseCode, MessageRef, PreparedMessage, Time, Utf8Bytes};

use crate::adopted::Adopted;
use crate::clock;
use crate::connection::{Conn, Stays, Turn};
use crate::mailbox::{Mailbox, Order};
use crate::slab::{Key, Slab};
use crate::topics::{Moved, Topics};
use crate::wheel::Wheel;

/// One thread's world.
pub(crate) struct Worker<H> {
    poll: Poll,
    mailbox: Arc<Mailbox<H>>,
    connections: Slab<Conn<H>>,
    wheel: Wheel,
    local: Local<H>,
    /// Connections that have more to read although the poller will not say so.
    again: Vec<u32>,
    buffer: Vec<u8>,
    out: Vec<u8>,
    /// Why connections are closed as soon as they come.
    closing: Option<(CloseCode, Utf8Bytes)>,
    load: Arc<AtomicUsize>,
}

/// What a handler can reach on its thread beside its own connection.
pub(crate) struct Local<H> {
    pub(crate) topics: Topics,
    /// Connections whose places in topics changed while another connection had its turn.
    pub(crate) moved: Vec<Moved>,
    /// What was published in this turn, in order.
    publications: Vec<(Arc<str>, Arc<PreparedMessage>)>,
    /// This thread's own post, and the other threads'.
    own: Arc<Mailbox<H>>,
    others: Vec<Arc<Mailbox<H>>>,
    /// The key of the connection whose turn it is.
    key: Option<Key>,
}

impl<H: Handler> Local<H> {
    /// Returns a handle to the connection whose turn it is.
    pub(crate) fn sender(&self) -> Sender {
        let nobody = u64::MAX;
        Sender::new(self.own.clone(), self.key.map_or(nobody, Key::number))
    }

    /// Publishes here, at the end of the turn, and on the other threads.
    pub(crate) fn publish(&mut self, topic: &str, message: MessageRef<'_>) {
        let topic: Arc<str> = match self.publications.last() {
            Some((last, _)) if **last == *topic => last.clone(),
            _ => topic.into(),
        };
        let message = Arc::new(PreparedMessage::new(message));
        for other in &self.others {
            other.put(Order::Publish(topic.clone(), message.clone()));
        }
        self.publications.push((topic, message));
    }
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(
        poll: Poll,
        mailbox: Arc<Mailbox<H>>,
        others: Vec<Arc<Mailbox<H>>>,
        load: Arc<AtomicUsize>,
    ) -> Self {
        let topics = Topics::default();
        Self {
            poll,
            mailbox: mailbox.clone(),
            connections: Slab::new(),
            wheel: Wheel::new(),
            local: Local {
                topics,
                moved: Vec::new(),
                publications: Vec::new(),
                own: mailbox,
                others,
                key: None,
            },
            again: Vec::new(),
            buffer: vec![0; READ],
            out: Vec::new(),
            closing: None,
            load,
        }
    }

    /// Runs until it is told to stop, or the poller fails; then ends what is still open.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let result = self.serve();
        for order in self.mailbox.close() {
            if let Order::Adopt(_) = order {
                self.lighten();
            }
        }
        (0..self.connections.bound()).for_each(|index| self.remove(index));
        result
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let (mut again, mut due) = (Vec::new(), Vec::new());
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let now = clock::now();
            std::mem::swap(&mut again, &mut self.again);
            // One turn each, however often it was asked for.
            again.sort_unstable();
            again.dedup();
            for index in again.drain(..) {
                self.turn(index, now, |connection, turn| connection.read(false, turn));
            }
            for event in &events {
                let Token(token) = event.token();
                let Ok(index) = u32::try_from(token) else { continue };
                if event.is_writable() {
                    self.turn(index, now, Conn::writable);
                }
                let closed = event.is_read_closed() || event.is_error();
                if closed || event.is_readable() {
                    self.turn(index, now, |connection, turn| connection.read(closed, turn));
                }
            }
            for order in self.mailbox.take() {
                match order {
                    Order::Stop => return Ok(()),
                    order => self.obey(order, now),
                }
            }
            self.hand_out(now);
            self.wheel.advance(now, |index| due.push(index));
            for index in due.drain(..) {
                self.turn(index, now, Conn::timeout);
            }
            self.out.shrink_to(OUT_KEPT);
        }
    }

    /// Returns how long nothing has to be done unless something happens.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.local.publications.is_empty() {
            return Some(Duration::ZERO);
        }
        // A moment more, so that the tick has come when the wait is over.
        self.wheel.next().map(|next| next.since(clock::now()) + Duration::from_millis(1))
    }

    /// Gives a connection its turn.
    fn turn(
        &mut self,
        index: u32,
        now: Time,
        act: impl FnOnce(&mut Conn<H>, &mut Turn<'_, H>) -> Stays,
    ) {
        let Self { connections, local, buffer, out, .. } = self;
        local.key = connections.key(index);
        let Some(connection) = connections.at(index) else { return };
        let mut turn = Turn { index, now, buffer, out, local };
        // A connection looks after its handler's panics; whatever else panics ends it, and what it
        // leaves behind must not reach another.
        let stays = catch_unwind(AssertUnwindSafe(|| act(connection, &mut turn)));
        let stays = stays.unwrap_or_else(|_| {
            out.clear();
            Stays::No
        });
        let due = connection.core.poll_timeout();
        // Before anyone leaves: who does must know its places.
        self.settle();
        match stays {
            Stays::No => return self.remove(index),
            Stays::ReadAgain => self.again.push(index),
            Stays::Yes => {}
        }
        // A deadline that has moved away is found out when its timer fires.
        if let Some(due) = due
            && self.wheel.due(index).is_none_or(|set| due < set)
        {
            self.wheel.set(index, due);
        }
    }

    /// Tells connections of their new places in topics.
    fn settle(&mut self) {
        while let Some(Moved { topic, index, place }) = self.local.moved.pop() {
            if let Some(connection) = self.connections.at(index) {
                connection.subscriptions.moved(&topic, place);
            }
        }
    }

    fn obey(&mut self, order: Order<H>, now: Time) {
        if !matches!(order, Order::Publish(..)) {
            // What was published before goes out before.
            self.hand_out(now);
        }
        match order {
            Order::Adopt(adopted) => self.adopt(*adopted, now),
            Order::Publish(topic, message) => self.local.publications.push((topic, message)),
            Order::Send(key, message) => {
                if self.connections.get(key).is_some() {
                    self.turn(key.index, now, |connection, turn| {
                        connection.send_prepared(std::iter::once(&*message), turn)
                    });
                }
            }
            Order::Close(key, code, reason) => {
                if self.connections.get(key).is_some() {
                    self.turn(key.index, now, |connection, turn| {
                        connection.close(code, &reason, turn)
                    });
                }
            }
            Order::CloseAll(code, reason) => {
                for index in 0..self.connections.bound() {
                    self.turn(index, now, |connection, turn| connection.close(code, &reason, turn));
                }
                self.closing = Some((code, reason));
            }
            Order::Stop => {}
        }
    }

    /// Takes a connection in.
    fn adopt(&mut self, adopted: Adopted<H>, now: Time) {
        let Adopted { socket, core, mut received, handler } = adopted;
        let connection = Conn::new(socket, core, handler);
        let Some(key) = self.connections.insert(connection) else { return self.lighten() };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.connections.at(key.index).is_some_and(|connection| {
            let token = Token(key.index as usize);
            self.poll.registry().register(connection.socket.source(), token, interest).is_ok()
        });
        if !registered {
            return self.remove(key.index);
        }
        self.turn(key.index, now, |connection, turn| connection.open(&mut received, turn));
        if let Some((code, reason)) = self.closing.clone() {
            self.turn(key.index, now, |connection, turn| connection.close(code, &reason, turn));
        }
    }

    /// Forgets a connection; dropping its socket closes it and takes it from the poller.
    fn remove(&mut self, index: u32) {
        let Some(mut connection) = self.connections.remove(index) else { return };
        self.wheel.cancel(index);
        while let Some(moved) = connection.leave_any_topic(&mut self.local) {
            self.local.moved.extend(moved);
            self.settle();
        }
        let _ = catch_unwind(AssertUnwindSafe(move || connection.ended()));
        self.lighten();
    }

    fn lighten(&self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Hands out what was published, all that is due to a subscriber of a topic in one write.
    fn hand_out(&mut self, now: Time) {
        if self.local.publications.is_empty() {
            return;
        }
        let mut places = HashMap::new();
        let mut topics: Vec<(Arc<str>, Vec<Arc<PreparedMessage>>)> = Vec::new();
        for (topic, message) in std::mem::take(&mut self.local.publications) {
            let place = *places.entry(topic.clone()).or_insert_with(|| {
                topics.push((topic, Vec::new()));
                topics.len() - 1
            });
            if let Some((_, messages)) = topics.get_mut(place) {
                messages.push(message);
            }
        }
        for (topic, messages) in topics {
            // A connection that leaves meanwhile changes the list.
            for index in self.local.topics.members(&topic).to_vec() {
                self.turn(index, now, |connection, turn| {
                    connection.send_prepared(messages.iter().map(|message| &**message), turn)
                });
            }
        }
    }
}

/// Bytes read at a time: a large message then takes few reads, and the buffer stays in the cache.
const READ: usize = 256 << 10;

/// What the buffer of answers keeps between turns, at most, in bytes.
const OUT_KEPT: usize = 1 << 20;

/// Events taken from the poller at a time.
const EVENTS: usize = 1024;
