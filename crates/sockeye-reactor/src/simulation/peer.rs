//! A simulated client: what it has sent, what it is owed, and whether what it reads is that.

use std::collections::VecDeque;

use sockeye_proto::{CloseInfo, Time};

use super::frames::{self, BINARY, CLOSE, FIN, PING, PONG, Parsed};

/// A client, and what the handler of its connection was told.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// It stands at the door, and says hello before anything else.
    pub(super) has_to_greet: bool,
    /// It reads nothing.
    pub(super) is_deaf: bool,
    /// Its messages, in order.
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) received: Vec<u8>,
    /// Answers that its handler sent and that it has not read.
    pub(super) owed: VecDeque<Vec<u8>>,
    /// Orders of other threads to send to it: how many were given, and how many it has read.
    pub(super) orders: u32,
    pub(super) orders_read: u32,
    /// The numbers of the publications that it reads next, once it reads any: of handlers, and of
    /// other threads.
    pub(super) publications: [Option<u32>; 2],
    /// How often it may miss some, for it was not subscribed meanwhile.
    pub(super) absences: [u32; 2],
    pub(super) is_subscribed: bool,
    pub(super) has_sent_close: bool,
    pub(super) has_sent_fin: bool,
    /// When the closing handshake began.
    pub(super) closing_since: Option<Time>,
    pub(super) close_read: Option<u16>,
    pub(super) pongs_read: usize,
    pub(super) pings_read: Vec<Time>,
    pub(super) end: Option<End>,
    /// Why its connection may end at any time.
    pub(super) excuse: Option<&'static str>,
    pub(super) told: Told,
}

/// What a handler was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) opened: bool,
    pub(super) messages: usize,
    pub(super) failed: Option<String>,
    pub(super) closed: Option<CloseInfo>,
    /// A guest that left before it spoke.
    pub(super) unheard: bool,
    /// It waits to hear of room.
    pub(super) wants_drain: bool,
}

/// How the server's stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

impl Peer {
    /// Makes the next message, of so many bytes at least; returns it as it goes on the wire.
    pub(super) fn compose(&mut self, command: u8, length: usize, fragments: usize) -> Vec<u8> {
        let number = u32::try_from(self.messages.len()).unwrap_or(0);
        let message = numbered(command, number, length);
        let wire = frames::message(&message, fragments);
        self.messages.push(message);
        wire
    }

    /// Takes what a handler was told as a message; says what is wrong with it.
    pub(super) fn heard(&mut self, message: &[u8]) -> Result<(), String> {
        let number = self.told.messages;
        self.told.messages += 1;
        if !self.told.opened || self.told.closed.is_some() {
            return Err("a message before the opening or after the end".to_owned());
        }
        match self.messages.get(number) {
            Some(sent) if sent == message => Ok(()),
            _ => Err(format!("message {number} is not what was sent")),
        }
    }

    /// Reads bytes of the server; returns what the client answers.
    pub(super) fn hear(&mut self, bytes: &[u8], now: Time) -> Result<Vec<u8>, String> {
        self.received.extend_from_slice(bytes);
        let mut answers = Vec::new();
        loop {
            let (opcode, payload, length) = match frames::parse(&self.received) {
                Parsed::Frame(opcode, payload, length) => (opcode, payload, length),
                Parsed::More => return Ok(answers),
                Parsed::Wrong => return Err("no frame of a server".to_owned()),
            };
            self.received.drain(..length);
            if self.close_read.is_some() {
                return Err(format!("a frame {opcode} after the close"));
            }
            match opcode {
                BINARY => self.read_message(&payload)?,
                PING => {
                    self.pings_read.push(now);
                    if !self.has_sent_close {
                        answers.extend(frames::frame(FIN | PONG, &payload));
                    }
                }
                PONG => self.pongs_read += 1,
                CLOSE => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    self.close_read = Some(code);
                    self.closing_since.get_or_insert(now);
                    if !self.has_sent_close {
                        self.has_sent_close = true;
                        answers.extend(frames::frame(FIN | CLOSE, &payload));
                    }
                }
                other => return Err(format!("a frame {other}")),
            }
        }
    }

    fn read_message(&mut self, payload: &[u8]) -> Result<(), String> {
        let number = payload.get(1..).and_then(|rest| rest.first_chunk());
        let number = number.map_or(0, |number| u32::from_le_bytes(*number));
        let [of_handlers, of_others] = &mut self.publications;
        let [absences, absences_there] = &mut self.absences;
        match payload.first() {
            Some(&PUBLICATION) => count_publication(of_handlers, number, absences)?,
            Some(&BULLETIN) => count_publication(of_others, number, absences_there)?,
            Some(&ORDER) => {
                if number != self.orders_read {
                    return Err(format!("order {number} instead of {}", self.orders_read));
                }
                self.orders_read += 1;
            }
            _ => match self.owed.pop_front() {
                Some(owed) if owed == payload => {}
                owed => {
                    let owed = owed.map(|owed| (owed.len(), owed.first().copied()));
                    let got = (payload.len(), payload.first().copied());
                    return Err(format!("read {got:?}, owed {owed:?}"));
                }
            },
        }
        Ok(())
    }

    /// Takes note of the end of the server's stream.
    pub(super) fn ends(&mut self, end: End) -> Result<(), String> {
        self.end = Some(end);
        if end == End::Fin && !self.received.is_empty() && self.excuse.is_none() {
            return Err("the stream ended in mid-frame".to_owned());
        }
        Ok(())
    }

    /// Whether everything that it sent must come back.
    pub(super) fn is_sound(&self) -> bool {
        self.excuse.is_none() && !self.is_deaf && self.close_read.is_none() && !self.told.unheard
    }

    /// Excuses what happens to its connection.
    pub(super) fn excuse(&mut self, why: &'static str) {
        self.excuse.get_or_insert(why);
    }
}

/// Sees to it that publications come in order, and without a gap but for absences.
fn count_publication(
    next: &mut Option<u32>,
    number: u32,
    absences: &mut u32,
) -> Result<(), String> {
    let due = next.replace(number + 1).unwrap_or(number);
    if number > due && *absences > 0 {
        *absences -= 1;
    } else if number != due {
        return Err(format!("publication {number} instead of {due}"));
    }
    Ok(())
}

/// Makes a message that can be told from all others.
pub(super) fn numbered(command: u8, number: u32, length: usize) -> Vec<u8> {
    let mut message = vec![command];
    message.extend_from_slice(&number.to_le_bytes());
    let fill = number.to_le_bytes().first().copied().unwrap_or(0);
    message.resize(message.len() + length, fill);
    message
}

/// What a message asks of its handler, beside being echoed.
pub(super) const ECHO: u8 = b'e';
/// Not even that.
pub(super) const DISCARD: u8 = b'd';
pub(super) const SUBSCRIBE: u8 = b's';
pub(super) const UNSUBSCRIBE: u8 = b'u';
pub(super) const PUBLISH: u8 = b'p';
/// Answers of many times the length.
pub(super) const FLOOD: u8 = b'f';
pub(super) const LEAVE: u8 = b'l';

/// Marks of messages that are no answers.
pub(super) const PUBLICATION: u8 = b'P';
pub(super) const BULLETIN: u8 = b'B';
pub(super) const ORDER: u8 = b'O';
