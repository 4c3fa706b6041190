//! One connection on its thread: a socket, the protocol core that speaks over it, and its handler.
//!
//! What a turn needs beside the connection is the thread's, in [`Turn`]. An idle connection holds no
//! buffer.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sockeye_proto::handler::{Handler, Out, Outlet, Sender, Sent};
use sockeye_proto::{
    CloseCode, CloseInfo, Connection, Event, MessageRef, Next, PreparedMessage, Reply, SendOptions,
    Server, Side, Time,
};

use crate::local::{Backlog, Local, Publication};
use crate::socket::Socket;
use crate::system::{Happening, System};
use crate::topics::{Moved, Subscriptions};

/// A connection and all that is kept for it.
pub(crate) struct Conn<H, S: System> {
    socket: Socket<S>,
    pub(crate) core: Connection<Server>,
    pub(crate) handler: H,
    pub(crate) subscriptions: Subscriptions,
    /// What the socket did not take.
    unsent: Option<Box<Unsent>>,
    /// What was read and not looked at, for want of room for answers.
    unread: Option<Box<Unread>>,
    state: State,
}

/// Bytes that wait for the socket; the first `written` of them have left.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    written: usize,
}

/// Bytes that wait for room; in a box, as few connections have any.
#[derive(Default)]
struct Unread(Vec<u8>);

/// Small facts about a connection.
#[derive(Clone, Copy, Default)]
struct State {
    /// The socket refused bytes for good, or its sending half has been shut down.
    sending_over: bool,
    /// The socket refused bytes for good: what has been received is still delivered, and then it ends.
    broken: bool,
    /// The poller has told of the peer's end of stream, and does not tell again.
    peer_ended: bool,
    /// The peer's end of stream has been read.
    at_end: bool,
    /// The handler waits to hear that there is room again.
    wants_drain: bool,
    /// Under what its messages are counted.
    class: u8,
}

impl State {
    /// Takes note that the socket refused bytes for good. It may be whole but for this, and then reading
    /// never finds an end.
    fn break_off(&mut self) {
        self.sending_over = true;
        self.broken = true;
    }
}

/// What the thread lends to the connection whose turn it is.
pub(crate) struct Turn<'t, H, S: System> {
    pub(crate) index: u32,
    pub(crate) system: &'t mut S,
    pub(crate) now: Time,
    /// Where reads go.
    pub(crate) buffer: &'t mut [u8],
    /// Where answers are gathered; empty between turns.
    pub(crate) out: &'t mut Vec<u8>,
    pub(crate) local: &'t mut Local<H, S::Network>,
}

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Stays {
    Yes,
    /// It stays, and there is more to do at once.
    ReadAgain,
    No,
}

impl<H: Handler, S: System> Conn<H, S> {
    pub(crate) fn new(socket: Socket<S>, core: Connection<Server>, handler: H, class: u8) -> Self {
        let (subscriptions, unsent, unread) = Default::default();
        let state = State { class, ..State::default() };
        Self { socket, core, handler, subscriptions, unsent, unread, state }
    }

    /// Opens the connection: tells the handler, and takes what came with the handshake.
    pub(crate) fn open(&mut self, received: &mut [u8], turn: &mut Turn<'_, H, S>) -> Stays {
        self.call(turn, H::open);
        if self.core.has_room() {
            self.receive(received, turn);
        } else {
            self.keep_unread(received);
        }
        match self.rest(turn) {
            // What the poller would tell of may be inside already.
            Stays::Yes if !self.socket.is_drained_by_short_read() => Stays::ReadAgain,
            stays => stays,
        }
    }

    /// Does what has become possible.
    pub(crate) fn attend(&mut self, happening: Happening, turn: &mut Turn<'_, H, S>) -> Stays {
        if happening.writable {
            self.write_on(turn);
        }
        if happening.readable {
            self.state.peer_ended |= happening.closed;
            return self.read_on(turn);
        }
        self.rest(turn)
    }

    /// Reads what is there, hands it on, and writes the answers, once per read.
    pub(crate) fn read_on(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        let is_dry = (0..READS).any(|_| self.read_once(turn));
        match self.rest(turn) {
            // Others want their turn as well.
            Stays::Yes if !is_dry => Stays::ReadAgain,
            stays => stays,
        }
    }

    /// Reads once; tells whether there is nothing more to read for now.
    fn read_once(&mut self, turn: &mut Turn<'_, H, S>) -> bool {
        if !self.core.has_room() {
            self.unread.get_or_insert_default();
            return true;
        }
        if let Some(mut unread) = self.unread.take() {
            self.receive(&mut unread.0, turn);
            return false;
        }
        match self.socket.read(turn.system, turn.buffer) {
            Ok(count) if count > 0 => {
                let is_full = count == turn.buffer.len();
                let buffer = std::mem::take(&mut turn.buffer);
                self.receive(buffer.get_mut(..count).unwrap_or_default(), turn);
                turn.buffer = buffer;
                // The poller tells of what comes later, but not of an end it has told of.
                let is_drained = !is_full && self.socket.is_drained_by_short_read();
                is_drained && !self.state.peer_ended || self.core.next() == Next::Close
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.state.at_end |= self.state.broken;
                true
            }
            Ok(_) => {
                self.state.at_end = true;
                true
            }
            Err(_) => {
                self.core.receive_eof();
                true
            }
        }
    }

    /// Goes on writing what waits.
    fn write_on(&mut self, turn: &mut Turn<'_, H, S>) {
        if self.unsent.is_some() {
            self.write(turn);
        } else if self.socket.holds_back() {
            // An error shows when the socket is read.
            let _ = self.socket.flush(turn.system);
        }
    }

    /// Lets the deadlines act that have come.
    pub(crate) fn timeout(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        if self.unread.is_some() {
            // The peer's silence is ours.
            self.core.reading_paused(turn.now);
        }
        if let Err(error) = self.core.handle_timeout(turn.now, turn.out) {
            guard(&mut self.handler, |handler| handler.fail(&error));
        }
        self.write(turn);
        self.rest(turn)
    }

    /// Hands over what was published to the connection's topics.
    pub(crate) fn deliver<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication>,
        turn: &mut Turn<'_, H, S>,
    ) -> Stays {
        let mut has_missed = false;
        for publication in publications {
            if has_missed && !self.subscriptions.contains(&publication.topic) {
                // It has left since these were counted out.
            } else if self.is_crowded(turn) && publication.backlog == Backlog::Skip {
                has_missed = true;
                self.miss(publication, turn);
            } else if self.core.append_prepared(&publication.message, turn.out).is_err() {
                return self.no_room(turn);
            } else {
                turn.local.traffic.sent_prepared(self.state.class, &publication.message);
            }
        }
        self.write(turn);
        self.rest(turn)
    }

    /// Sends a message that others may get as well.
    pub(crate) fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        turn: &mut Turn<'_, H, S>,
    ) -> Stays {
        self.is_crowded(turn);
        if self.core.append_prepared(message, turn.out).is_err() {
            return self.no_room(turn);
        }
        turn.local.traffic.sent_prepared(self.state.class, message);
        self.write(turn);
        self.rest(turn)
    }

    /// Tells whether so much waits that a sender should pause. Only what the socket does not take
    /// counts against the peer.
    fn is_crowded(&mut self, turn: &mut Turn<'_, H, S>) -> bool {
        if self.core.is_above_high_water() {
            self.write(turn);
        }
        self.core.is_above_high_water()
    }

    /// Ends a turn in which a message was not taken. A connection that reads too slowly is closed, so
    /// that it notices what it missed.
    fn no_room(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        if self.core.is_open() {
            return self.close_slow(turn);
        }
        self.write(turn);
        self.rest(turn)
    }

    /// Leaves the topic of what is not sent, and tells the handler, which may catch up when the queue
    /// is empty.
    fn miss(&mut self, publication: &Publication, turn: &mut Turn<'_, H, S>) {
        let Publication { topic, position, .. } = publication;
        let moved = turn.local.topics.unsubscribe(&mut self.subscriptions, topic);
        turn.local.moved.extend(moved);
        self.state.wants_drain = true;
        self.call(turn, |handler, out| handler.missed(topic, *position, out));
    }

    /// Calls the handler because somebody asked for it.
    pub(crate) fn wake(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        self.call(turn, H::wake);
        self.rest(turn)
    }

    /// Closes a connection that misses messages.
    pub(crate) fn close_slow(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        self.close(CloseCode::POLICY, SLOW_CONSUMER, turn)
    }

    /// Starts the closing handshake.
    pub(crate) fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        turn: &mut Turn<'_, H, S>,
    ) -> Stays {
        Reply::new(&mut self.core, turn.out, turn.now).close_in_any_case(code, reason);
        self.write(turn);
        self.rest(turn)
    }

    /// Says goodbye to the handler.
    pub(crate) fn ended(mut self) {
        let unknown = || CloseInfo {
            code: CloseCode::ABNORMAL,
            reason: String::new(),
            clean: false,
            by: Side::Transport,
        };
        let info = self.core.close_info().cloned().unwrap_or_else(unknown);
        // What it drops may panic as well, and must not meet a panic that is still on its way.
        let _ = catch_unwind(AssertUnwindSafe(|| self.handler.close(&info)));
    }

    /// Returns how many bytes wait for the socket.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.as_ref().map_or(0, |unsent| unsent.bytes.len() - unsent.written)
    }

    /// Takes the connection out of one of its topics; `None` when it has none.
    pub(crate) fn leave_any_topic(
        &mut self,
        local: &mut Local<H, S::Network>,
    ) -> Option<Option<Moved>> {
        local.topics.unsubscribe_any(&mut self.subscriptions)
    }

    /// Hands the messages among `bytes` to the handler and writes its answers. What stands behind
    /// answers for which there is no room any more is kept.
    fn receive(&mut self, bytes: &mut [u8], turn: &mut Turn<'_, H, S>) {
        let mut at = 0;
        loop {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let (used, goes_on) = self.hand_on(rest, turn);
            at += used;
            self.write(turn);
            if !goes_on {
                return;
            }
            if !self.core.has_room() {
                self.keep_unread(bytes.get(at..).unwrap_or_default());
                return;
            }
        }
    }

    fn keep_unread(&mut self, bytes: &[u8]) {
        self.unread = Some(Box::new(Unread(bytes.to_vec())));
    }

    /// Hands messages on while there is room for answers. Returns how many bytes they took, and
    /// whether there may be more events.
    fn hand_on(&mut self, bytes: &mut [u8], turn: &mut Turn<'_, H, S>) -> (usize, bool) {
        let Self { core, handler, subscriptions, state, socket, unsent, .. } = self;
        let Turn { index, system, now, out, local, .. } = turn;
        let mut way = Way { socket, system, is_free: unsent.is_none() && !state.sending_over };
        let mut events = core.receive(bytes, *now, out);
        while let Some(result) = events.next_with(|event, reply| {
            if let Event::Message(message) = event {
                local.traffic.received(state.class, message.as_ref());
                let (index, way) = (*index, &mut way);
                let outbox = Outbox { reply, subscriptions, state, index, local, way };
                outbox.call(handler, |handler, out| handler.message(message.as_ref(), out));
            }
            !reply.connection().has_room()
        }) {
            match result {
                Ok(false) => {}
                Ok(true) => return (events.consumed(), true),
                Err(error) => {
                    // The core has told the peer, and no event follows.
                    guard(handler, |handler| handler.fail(&error));
                    break;
                }
            }
        }
        (events.consumed(), false)
    }

    /// Calls the handler outside of any message, and writes what it sends.
    fn call(&mut self, turn: &mut Turn<'_, H, S>, act: impl FnOnce(&mut H, &mut Out<'_>)) {
        let Self { core, handler, subscriptions, state, socket, unsent, .. } = self;
        let Turn { index, system, now, out, local, .. } = turn;
        let way = &mut Way { socket, system, is_free: unsent.is_none() && !state.sending_over };
        let reply = &mut Reply::new(core, out, *now);
        Outbox { reply, subscriptions, state, index: *index, local, way }.call(handler, act);
        self.write(turn);
    }

    /// Writes what was gathered, behind what waits from before.
    fn write(&mut self, turn: &mut Turn<'_, H, S>) {
        if let Some(mut unsent) = self.unsent.take() {
            unsent.bytes.append(turn.out);
            let Unsent { bytes, written } = &mut *unsent;
            *written = self.write_bytes(bytes, *written, turn.system, turn.now);
            if *written < bytes.len() {
                if *written > bytes.len() / 2 {
                    bytes.drain(..*written);
                    *written = 0;
                }
                self.unsent = Some(unsent);
            }
            return;
        }
        if turn.out.is_empty() {
            return;
        }
        let written = self.write_bytes(turn.out, 0, turn.system, turn.now);
        if let Some(rest) = turn.out.get(written..).filter(|rest| !rest.is_empty()) {
            self.unsent = Some(Box::new(Unsent { bytes: rest.to_vec(), written: 0 }));
        }
        turn.out.clear();
    }

    /// Writes as much as the socket takes; returns up to where.
    fn write_bytes(
        &mut self,
        bytes: &mut Vec<u8>,
        mut written: usize,
        system: &mut S,
        now: Time,
    ) -> usize {
        while written < bytes.len() {
            let rest = bytes.get(written..).unwrap_or_default();
            let count = if self.state.sending_over {
                rest.len()
            } else {
                match self.socket.write(system, rest) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.core.written(0, now, bytes);
                        return written;
                    }
                    Err(_) => {
                        self.state.break_off();
                        continue;
                    }
                }
            };
            written += count;
            self.core.written(count, now, bytes);
        }
        written
    }

    /// Ends a turn: tells the handler of room that it waits for, whichever write made it, and finds
    /// out how the connection goes on.
    fn rest(&mut self, turn: &mut Turn<'_, H, S>) -> Stays {
        if self.state.at_end && (self.state.broken || self.all_left()) {
            // Not before: a peer that sends no more may still read what is due to it.
            self.core.receive_eof();
        }
        if self.has_drained() {
            self.state.wants_drain = false;
            self.call(turn, H::drain);
        }
        let may_read = self.unread.is_some() && self.core.has_room();
        match self.stays(turn.system) {
            // The poller tells nothing of room that there was all the time.
            Stays::Yes if may_read || self.state.broken || self.has_drained() => Stays::ReadAgain,
            stays => stays,
        }
    }

    /// Whether the handler waits for room that is there.
    fn has_drained(&self) -> bool {
        self.state.wants_drain && self.all_left() && self.core.is_open()
    }

    /// Whether all that was sent has left.
    fn all_left(&self) -> bool {
        self.unsent.is_none() && !self.socket.holds_back()
    }

    /// Does with the transport what the core says.
    fn stays(&mut self, system: &mut S) -> Stays {
        match self.core.next() {
            Next::Close => return Stays::No,
            Next::Shutdown if self.all_left() && !self.state.sending_over => {
                self.state.sending_over = true;
                // A peer that is gone already needs no end of stream.
                let _: io::Result<()> = self.socket.shut_down(system);
            }
            Next::Shutdown | Next::AwaitEof | Next::Continue => {}
        }
        Stays::Yes
    }
}

/// What a handler sends through, during its turn.
struct Outbox<'t, 'r, 'w, H, S: System> {
    reply: &'t mut Reply<'r, Server>,
    subscriptions: &'t mut Subscriptions,
    state: &'t mut State,
    index: u32,
    local: &'t mut Local<H, S::Network>,
    way: &'t mut Way<'w, S>,
}

/// The way out for messages that are too long to be gathered.
struct Way<'t, S: System> {
    socket: &'t mut Socket<S>,
    system: &'t mut S,
    /// Nothing waits from before.
    is_free: bool,
}

impl<S: System> Way<'_, S> {
    /// Writes as much as leaves at once; returns how much need not be written any more.
    fn write(&mut self, state: &mut State, waiting: &[u8], payload: &[u8]) -> usize {
        match self.socket.write_both(self.system, waiting, payload) {
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) =>
            {
                0
            }
            Err(_) => {
                state.break_off();
                self.is_free = false;
                waiting.len() + payload.len()
            }
        }
    }
}

impl<H: Handler, S: System> Outbox<'_, '_, '_, H, S> {
    /// Calls the handler; where it panics, its connection closes.
    fn call(mut self, handler: &mut H, act: impl FnOnce(&mut H, &mut Out<'_>)) {
        if !guard(handler, |handler| act(handler, &mut Out::new(&mut self))) {
            self.reply.close_in_any_case(CloseCode::INTERNAL, "");
        }
    }
}

impl<H: Handler, S: System> Outbox<'_, '_, '_, H, S> {
    /// Sends a message that is long on the way past the buffer of answers, if that is free.
    fn try_long(&mut self, message: MessageRef<'_>, options: SendOptions) -> Option<Sent> {
        let Self { reply, state, way, .. } = self;
        if !way.is_free || message.as_bytes().len() < S::READ {
            return None;
        }
        reply.offer_through(message, options, |waiting, it| way.write(state, waiting, it))
    }
}

impl<H: Handler, S: System> Outlet for Outbox<'_, '_, '_, H, S> {
    fn send(&mut self, message: MessageRef<'_>, options: SendOptions) -> Sent {
        let long_one = self.try_long(message, options);
        let sent = long_one.unwrap_or_else(|| self.reply.offer(message, options));
        self.state.wants_drain |= sent != Sent::Ok;
        if sent != Sent::Dropped {
            self.local.traffic.sent(self.state.class, message);
        }
        sent
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.reply.close_in_any_case(code, reason);
    }

    fn subscribe_after(&mut self, topic: &str, position: u64) {
        self.local.topics.subscribe(self.index, self.subscriptions, topic, position);
    }

    fn catch_up(&mut self, position: u64) {
        let due = self.local.catch_up(self.index, self.subscriptions, position);
        for message in due {
            if self.reply.append_prepared(&message).is_err() {
                return self.close(CloseCode::POLICY, SLOW_CONSUMER);
            }
            self.local.traffic.sent_prepared(self.state.class, &message);
        }
    }

    fn unsubscribe(&mut self, topic: &str) {
        if let Some(moved) = self.local.topics.unsubscribe(self.subscriptions, topic) {
            self.local.moved.push(moved);
        }
    }

    fn publish(&mut self, topic: &str, message: MessageRef<'_>) {
        self.local.publish(topic, message);
    }

    fn queued(&self) -> usize {
        self.reply.connection().queued()
    }

    fn sender(&self) -> Sender {
        self.local.sender()
    }
}

/// Calls a handler; tells whether it returned. One that panics is told, and what it is told may
/// panic as well.
fn guard<H: Handler>(handler: &mut H, act: impl FnOnce(&mut H)) -> bool {
    let returned = catch_unwind(AssertUnwindSafe(|| act(handler))).is_ok();
    if !returned {
        let _ = catch_unwind(AssertUnwindSafe(|| handler.panicked()));
    }
    returned
}

/// What a peer is told, with [`CloseCode::POLICY`], that reads too slowly.
pub const SLOW_CONSUMER: &str = "slow consumer";

/// Reads per turn, so that a peer that never stops sending leaves room for others.
const READS: usize = 16;
