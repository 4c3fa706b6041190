//! A simulated TCP connection, as the server's kernel has it: what is on its way, what has arrived,
//! what waits for the client, and how it ended.

use std::collections::VecDeque;
use std::io::{self, Read};

use sockeye_proto::Time;

/// A connection between a client and the server.
#[derive(Debug)]
pub(super) struct Link {
    /// By which the server watches it.
    pub(super) token: Option<u32>,
    /// What has changed and is not told yet.
    pub(super) changes: Changes,
    /// It stands in the list of what is to be told.
    pub(super) is_listed: bool,
    /// From the client, on its way.
    pub(super) in_flight: VecDeque<u8>,
    pub(super) fin_in_flight: bool,
    /// From the client, to be read.
    pub(super) arrived: VecDeque<u8>,
    pub(super) fin_arrived: bool,
    pub(super) room_in: usize,
    /// Since when some of it waits to be read.
    pub(super) unread_since: Option<Time>,
    /// From the server, not read by the client yet.
    pub(super) sent: VecDeque<u8>,
    pub(super) fin_sent: bool,
    pub(super) room_out: usize,
    /// A write found no room: room is told of when there is some.
    pub(super) is_starved: bool,
    /// The client has reset it.
    pub(super) is_reset: bool,
    /// The error that the server meets next.
    pub(super) error: Option<io::ErrorKind>,
    pub(super) server: Hold,
    /// The client takes no part any more.
    pub(super) client_gone: bool,
}

/// What the server does with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It waits to be accepted.
    Backlog,
    Open,
    /// Closed after the client's last byte was read.
    Closed,
    /// Closed before, which tears down what the client has not read.
    Aborted,
}

/// Parts of readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) closed: bool,
}

impl Changes {
    pub(super) const READABLE: Self = Self { readable: true, writable: false, closed: false };
    pub(super) const WRITABLE: Self = Self { readable: false, writable: true, closed: false };
    pub(super) const END: Self = Self { readable: true, writable: false, closed: true };
    pub(super) const ALL: Self = Self { readable: true, writable: true, closed: true };

    pub(super) fn add(&mut self, other: Self) {
        self.readable |= other.readable;
        self.writable |= other.writable;
        self.closed |= other.closed;
    }

    pub(super) fn keep(&mut self, other: Self) {
        self.readable &= other.readable;
        self.writable &= other.writable;
        self.closed &= other.closed;
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl Link {
    pub(super) fn new(room_in: usize, room_out: usize, server: Hold) -> Self {
        Self {
            token: None,
            changes: Changes::default(),
            is_listed: false,
            in_flight: VecDeque::new(),
            fin_in_flight: false,
            arrived: VecDeque::new(),
            fin_arrived: false,
            room_in,
            unread_since: None,
            sent: VecDeque::new(),
            fin_sent: false,
            room_out,
            is_starved: false,
            is_reset: false,
            error: None,
            server,
            client_gone: false,
        }
    }

    /// Returns what a poller would find now.
    pub(super) fn level(&self) -> Changes {
        let ended = self.fin_arrived || self.is_reset;
        Changes {
            readable: ended || self.error.is_some() || !self.arrived.is_empty(),
            writable: self.is_reset || self.has_room(),
            closed: ended,
        }
    }

    /// As the kernel has it: a third must be free before room is told of.
    pub(super) fn has_room(&self) -> bool {
        self.sent.len() * 3 <= self.room_out * 2
    }

    /// Reads at the server's end, at most `most` bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8], most: usize) -> io::Result<usize> {
        let count = self.arrived.len().min(buffer.len()).min(most);
        if count > 0 {
            self.arrived.read_exact(buffer.get_mut(..count).unwrap_or_default())?;
            self.unread_since = self.unread_since.filter(|_| !self.arrived.is_empty());
            return Ok(count);
        }
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.fin_arrived || self.is_reset {
            return Ok(0);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Writes at the server's end, at most `most` bytes.
    pub(super) fn write(&mut self, bytes: &[u8], most: usize) -> io::Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.is_reset || self.fin_sent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.room_out.saturating_sub(self.sent.len());
        let count = bytes.len().min(room).min(most);
        if count == 0 {
            self.is_starved = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.sent.extend(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// Lets so many bytes arrive, and the end behind the last; returns what has changed.
    pub(super) fn deliver(&mut self, count: usize, now: Time) -> Changes {
        let mut changes = Changes::default();
        if self.is_reset || self.server != Hold::Open && self.server != Hold::Backlog {
            // Nobody is there to take it.
            self.in_flight.clear();
            self.fin_in_flight = false;
            return changes;
        }
        let room = self.room_in.saturating_sub(self.arrived.len());
        let count = count.min(room).min(self.in_flight.len());
        if count > 0 {
            let rest = self.in_flight.split_off(count);
            self.arrived.append(&mut std::mem::replace(&mut self.in_flight, rest));
            self.unread_since.get_or_insert(now);
            changes.add(Changes::READABLE);
        }
        if self.fin_in_flight && self.in_flight.is_empty() {
            self.fin_in_flight = false;
            self.fin_arrived = true;
            changes.add(Changes::END);
        }
        changes
    }

    /// Sends what has arrived back on its way, all but `count` bytes: it comes later, then.
    pub(super) fn delay(&mut self, count: usize) {
        let mut later = self.arrived.split_off(count.min(self.arrived.len()));
        later.append(&mut self.in_flight);
        self.in_flight = later;
        self.unread_since = self.unread_since.filter(|_| count > 0);
        self.fin_in_flight |= self.fin_arrived;
        self.fin_arrived = false;
    }

    /// Takes what waits for the client, at most `count` bytes; tells whether there is room to be
    /// told of.
    pub(super) fn take(&mut self, count: usize, into: &mut Vec<u8>) -> bool {
        let count = count.min(self.sent.len());
        let rest = self.sent.split_off(count);
        into.extend(Vec::from(std::mem::replace(&mut self.sent, rest)));
        let tells = self.is_starved && self.has_room();
        self.is_starved &= !tells;
        tells
    }

    /// Resets the connection from the client's end.
    pub(super) fn reset(&mut self) {
        self.in_flight.clear();
        self.fin_in_flight = false;
        self.sent.clear();
        self.is_reset = true;
        self.client_gone = true;
        self.error = Some(io::ErrorKind::ConnectionReset);
    }

    /// Closes the server's end.
    pub(super) fn close(&mut self) {
        let has_unread = !self.arrived.is_empty() || !self.in_flight.is_empty();
        self.server = if has_unread { Hold::Aborted } else { Hold::Closed };
        if has_unread {
            self.sent.clear();
        }
        self.fin_sent = true;
        self.arrived.clear();
        self.in_flight.clear();
        self.token = None;
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (on_its_way, arrived) = (self.in_flight.len(), self.arrived.len());
        let (sent, is_starved, server) = (self.sent.len(), self.is_starved, self.server);
        write!(
            f,
            "{on_its_way} bytes on their way, {arrived} arrived, {sent} back; starved {is_starved}, \
             server {server:?}"
        )
    }
}
