//! One connection on its thread: a socket, the protocol core that speaks over it, and its handler.
//!
//! What a turn needs beside the connection is the thread's, in [`Turn`]. An idle connection holds no
//! buffer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use sockeye_proto::handler::{Handler, Out, Outlet, Sender, Sent};
use sockeye_proto::{
    CloseCode, CloseInfo, Connection, Error, Event, MAX_REASON, MessageRef, Next, PreparedMessage,
    Reply, SendOptions, Server, Side, Time,
};

use crate::topics::{Moved, Subscriptions};
use crate::worker::Local;

/// A connection and all that is kept for it.
pub(crate) struct Conn<H> {
    pub(crate) socket: TcpStream,
    pub(crate) core: Connection<Server>,
    pub(crate) handler: H,
    pub(crate) subscriptions: Subscriptions,
    /// What the socket did not take.
    unsent: Option<Box<Unsent>>,
    /// What was read and not looked at, for want of room for answers.
    unread: Option<Box<[u8]>>,
    state: State,
}

/// Bytes that wait for the socket; the first `written` of them have left.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    written: usize,
}

/// Small facts about a connection.
#[derive(Clone, Copy, Default)]
struct State {
    /// The socket refused bytes for good, or its sending half has been shut down.
    sending_over: bool,
    /// The poller has told of the peer's end of stream, and does not tell again.
    peer_ended: bool,
    /// The handler waits to hear that there is room again.
    wants_drain: bool,
}

/// What the thread lends to the connection whose turn it is.
pub(crate) struct Turn<'t, H> {
    pub(crate) index: u32,
    pub(crate) now: Time,
    /// Where reads go.
    pub(crate) buffer: &'t mut [u8],
    /// Where answers are gathered; empty between turns.
    pub(crate) out: &'t mut Vec<u8>,
    pub(crate) local: &'t mut Local<H>,
}

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Stays {
    Yes,
    /// It stays, and there is more to read at once.
    ReadAgain,
    No,
}

impl<H: Handler> Conn<H> {
    pub(crate) fn new(socket: TcpStream, core: Connection<Server>, handler: H) -> Self {
        let (subscriptions, unsent, unread, state) = Default::default();
        Self { socket, core, handler, subscriptions, unsent, unread, state }
    }

    /// Opens the connection: tells the handler, and takes what came with the handshake.
    pub(crate) fn open(&mut self, received: &mut [u8], turn: &mut Turn<'_, H>) -> Stays {
        let Self { core, handler, subscriptions, state, .. } = self;
        let mut reply = Reply::new(core, turn.out, turn.now);
        let mut outbox = Outbox {
            reply: &mut reply,
            subscriptions,
            state,
            index: turn.index,
            local: turn.local,
        };
        handler.open(&mut Out::new(&mut outbox));
        self.receive(received, turn);
        self.stays()
    }

    /// Reads what is there, hands it on, and writes the answers, once per read.
    pub(crate) fn read(&mut self, closed: bool, turn: &mut Turn<'_, H>) -> Stays {
        self.state.peer_ended |= closed;
        for _ in 0..READS {
            if self.core.is_above_high_water() {
                self.unread.get_or_insert_default();
                return self.stays();
            }
            if let Some(mut unread) = self.unread.take() {
                self.receive(&mut unread, turn);
                continue;
            }
            match self.socket.read(turn.buffer) {
                Ok(0) => {
                    self.core.receive_eof();
                    return self.stays();
                }
                Ok(count) => {
                    let is_full = count == turn.buffer.len();
                    let buffer = std::mem::take(&mut turn.buffer);
                    self.receive(buffer.get_mut(..count).unwrap_or_default(), turn);
                    turn.buffer = buffer;
                    // The poller tells of what comes later, but not of an end it has told of.
                    if !is_full && !self.state.peer_ended || self.core.next() == Next::Close {
                        return self.stays();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.stays(),
                Err(_) => {
                    self.core.receive_eof();
                    return self.stays();
                }
            }
        }
        // Others want their turn as well.
        Stays::ReadAgain
    }

    /// Goes on writing what waits; then there may be room for more.
    pub(crate) fn writable(&mut self, turn: &mut Turn<'_, H>) -> Stays {
        if self.unsent.is_none() {
            return self.stays();
        }
        self.write(turn);
        if self.unsent.is_none() && std::mem::take(&mut self.state.wants_drain) {
            let Self { core, handler, subscriptions, state, .. } = self;
            let mut reply = Reply::new(core, turn.out, turn.now);
            let mut outbox = Outbox {
                reply: &mut reply,
                subscriptions,
                state,
                index: turn.index,
                local: turn.local,
            };
            handler.drain(&mut Out::new(&mut outbox));
            self.write(turn);
        }
        if self.unread.is_some() && !self.core.is_above_high_water() {
            return Stays::ReadAgain;
        }
        self.stays()
    }

    /// Lets the deadlines act that have come.
    pub(crate) fn timeout(&mut self, turn: &mut Turn<'_, H>) -> Stays {
        if self.unread.is_some() {
            // The peer's silence is ours.
            self.core.reading_paused(turn.now);
        }
        if let Err(error) = self.core.handle_timeout(turn.now, turn.out) {
            self.handler.fail(&error);
        }
        self.write(turn);
        self.stays()
    }

    /// Sends messages that many connections get.
    pub(crate) fn send_prepared<'m>(
        &mut self,
        messages: impl Iterator<Item = &'m PreparedMessage>,
        turn: &mut Turn<'_, H>,
    ) -> Stays {
        for message in messages {
            match self.core.send_prepared(message) {
                Ok(frame) => turn.out.extend_from_slice(&frame),
                // One that reads too slowly is closed, so that it notices what it missed.
                Err(_) if self.core.is_open() => {
                    return self.close(CloseCode::POLICY, "slow consumer", turn);
                }
                Err(_) => break,
            }
        }
        self.write(turn);
        self.stays()
    }

    /// Starts the closing handshake.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str, turn: &mut Turn<'_, H>) -> Stays {
        close(&mut Reply::new(&mut self.core, turn.out, turn.now), code, reason);
        self.write(turn);
        self.stays()
    }

    /// Ends a connection whose handler panicked.
    pub(crate) fn panicked(&mut self, turn: &mut Turn<'_, H>) -> Stays {
        self.handler.panicked();
        self.close(CloseCode::INTERNAL, "", turn)
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
        self.handler.close(&info);
    }

    /// Takes the connection out of one of its topics; `None` when it has none.
    pub(crate) fn leave_any_topic(&mut self, local: &mut Local<H>) -> Option<Option<Moved>> {
        local.topics.unsubscribe_any(&mut self.subscriptions)
    }

    /// Hands the messages among `bytes` to the handler and writes its answers. What stands behind
    /// answers for which there is no room any more is kept.
    fn receive(&mut self, bytes: &mut [u8], turn: &mut Turn<'_, H>) {
        let mut at = 0;
        loop {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let (used, goes_on) = self.hand_on(rest, turn);
            at += used;
            self.write(turn);
            if !goes_on {
                return;
            }
            if self.core.is_above_high_water() {
                let rest = bytes.get(at..).unwrap_or_default();
                self.unread = Some(rest.into());
                return;
            }
        }
    }

    /// Hands messages on while there is room for answers. Returns how many bytes they took, and
    /// whether there may be more events.
    fn hand_on(&mut self, bytes: &mut [u8], turn: &mut Turn<'_, H>) -> (usize, bool) {
        let Self { core, handler, subscriptions, state, .. } = self;
        let mut events = core.receive(bytes, turn.now, turn.out);
        let (index, local) = (turn.index, &mut *turn.local);
        while let Some(result) = events.next_with(|event, reply| {
            if let Event::Message(message) = event {
                let mut outbox = Outbox { reply, subscriptions, state, index, local };
                handler.message(message.as_ref(), &mut Out::new(&mut outbox));
            }
            reply.connection().is_above_high_water()
        }) {
            match result {
                Ok(false) => {}
                Ok(true) => return (events.consumed(), true),
                Err(error) => {
                    // The core has told the peer, and no event follows.
                    handler.fail(&error);
                    break;
                }
            }
        }
        (events.consumed(), false)
    }

    /// Writes what was gathered, behind what waits from before.
    fn write(&mut self, turn: &mut Turn<'_, H>) {
        if let Some(mut unsent) = self.unsent.take() {
            unsent.bytes.append(turn.out);
            let Unsent { bytes, written } = &mut *unsent;
            *written = self.write_bytes(bytes, *written, turn.now);
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
        let written = self.write_bytes(turn.out, 0, turn.now);
        if let Some(rest) = turn.out.get(written..).filter(|rest| !rest.is_empty()) {
            self.unsent = Some(Box::new(Unsent { bytes: rest.to_vec(), written: 0 }));
        }
        turn.out.clear();
    }

    /// Writes as much as the socket takes; returns up to where.
    fn write_bytes(&mut self, bytes: &mut Vec<u8>, mut written: usize, now: Time) -> usize {
        while written < bytes.len() {
            let rest = bytes.get(written..).unwrap_or_default();
            let count = if self.state.sending_over {
                rest.len()
            } else {
                match self.socket.write(rest) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.core.written(0, now, bytes);
                        return written;
                    }
                    // What has been received is still delivered: reading finds the end by itself.
                    Err(_) => {
                        self.state.sending_over = true;
                        continue;
                    }
                }
            };
            written += count;
            self.core.written(count, now, bytes);
        }
        written
    }

    /// Does with the transport what the core says.
    fn stays(&mut self) -> Stays {
        match self.core.next() {
            Next::Close => return Stays::No,
            Next::Shutdown if self.unsent.is_none() && !self.state.sending_over => {
                self.state.sending_over = true;
                // A peer that is gone already needs no end of stream.
                let _: io::Result<()> = self.socket.shutdown(Shutdown::Write);
            }
            Next::Shutdown | Next::AwaitEof | Next::Continue => {}
        }
        Stays::Yes
    }
}

/// What a handler sends through, during its turn.
struct Outbox<'t, 'r, H> {
    reply: &'t mut Reply<'r, Server>,
    subscriptions: &'t mut Subscriptions,
    state: &'t mut State,
    index: u32,
    local: &'t mut Local<H>,
}

impl<H: Handler> Outlet for Outbox<'_, '_, H> {
    fn send(&mut self, message: MessageRef<'_>, options: SendOptions) -> Sent {
        let sent = match self.reply.send(message, options) {
            Ok(()) if self.reply.connection().is_above_high_water() => Sent::Buffered,
            Ok(()) => Sent::Ok,
            Err(_) => Sent::Dropped,
        };
        self.state.wants_drain |= sent != Sent::Ok;
        sent
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        close(self.reply, code, reason);
    }

    fn subscribe(&mut self, topic: &str) {
        self.local.topics.subscribe(self.index, self.subscriptions, topic);
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

/// Starts the closing handshake as well as the code and the reason allow.
fn close(reply: &mut Reply<'_, Server>, code: CloseCode, reason: &str) {
    let ends = (0..=MAX_REASON.min(reason.len())).rev();
    let reason = ends.into_iter().find_map(|end| reason.get(..end)).unwrap_or_default();
    if let Err(Error::Misuse(_)) = reply.close(Some(code), reason) {
        // 1011 may always be sent.
        let _ = reply.close(Some(CloseCode::INTERNAL), reason);
    }
}

/// Reads per turn, so that a peer that never stops sending leaves room for others.
const READS: usize = 16;
