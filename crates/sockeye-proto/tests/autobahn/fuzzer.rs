//! The fuzzing peer: it builds frames, right and wrong, and reads its peer's frames strictly.
//!
//! Shares no code with the crate under test, or it would inherit its mistakes. Knows frames and
//! messages; what to send, and what to think of the answers, is told from outside.

use std::collections::VecDeque;

use super::cases::{RawFrame, Seen, Starter};
use super::data::Random;
use super::pmce::Codec;

/// One end of a connection, under the command of a test.
pub(crate) struct Fuzzer {
    /// The fuzzer plays the client: it masks, and its peer must not.
    is_client: bool,
    random: Random,
    codec: Option<Codec>,
    auto_fragment: Option<usize>,
    /// What waits to be written; the flag says that the next frame may join the write.
    writes: VecDeque<(Vec<u8>, Joins)>,
    /// The masking key of an unfinished frame and how much of the frame is sent.
    part: ([u8; 4], usize),
    inbox: Vec<u8>,
    message: Option<Partial>,
    pub(crate) seen: Vec<Seen>,
    /// What the peer did that no peer may do.
    pub(crate) violation: Option<String>,
    pub(crate) starter: Option<Starter>,
    /// The code of our Close frame, once it is sent; `None` inside for a frame without a code.
    pub(crate) sent: Option<Option<u16>>,
    /// The code of the peer's Close frame, once it is in.
    pub(crate) received: Option<Option<u16>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    Yes,
    No,
}

/// A message of which some frames are in.
struct Partial {
    is_text: bool,
    compressed: bool,
    data: Vec<u8>,
}

/// A frame as it stands in the inbox.
struct Head {
    fin: bool,
    rsv: u8,
    opcode: u8,
    mask: Option<[u8; 4]>,
    start: usize,
    len: usize,
}

impl Fuzzer {
    pub(crate) fn new(is_client: bool, codec: Option<Codec>) -> Self {
        Self {
            is_client,
            random: Random::new(0xfe),
            codec,
            auto_fragment: None,
            writes: VecDeque::new(),
            part: ([0; 4], 0),
            inbox: Vec::new(),
            message: None,
            seen: Vec::new(),
            violation: None,
            starter: None,
            sent: None,
            received: None,
        }
    }

    /// Cuts messages from now on into frames of this length.
    pub(crate) fn auto_fragment(&mut self, length: usize) {
        self.auto_fragment = Some(length);
    }

    /// Sends a frame just as it is told.
    pub(crate) fn frame(&mut self, frame: &RawFrame) {
        let bytes = self.build(frame);
        match frame.chop {
            Some(length) => {
                self.writes.extend(bytes.chunks(length).map(|chunk| (chunk.to_vec(), Joins::No)));
            }
            None if frame.alone => self.writes.push_back((bytes, Joins::No)),
            None => self.write(bytes),
        }
    }

    /// Sends a message in frames of at most `fragment` bytes. As in the suite's own sender, one
    /// of several whole frames ends with an empty frame.
    pub(crate) fn message(&mut self, opcode: u8, payload: &[u8], fragment: Option<usize>) {
        let mut packed = Vec::new();
        let (mut rest, mut rsv) = match &mut self.codec {
            Some(codec) => {
                codec.compress(payload, &mut packed);
                (&packed[..], RSV1)
            }
            None => (payload, 0),
        };
        let mut opcode = opcode;
        let longest = fragment.or(self.auto_fragment).filter(|longest| rest.len() > *longest);
        loop {
            let cut = longest.filter(|longest| rest.len() >= *longest);
            let (now, later) = rest.split_at(cut.unwrap_or(rest.len()));
            let more = cut.is_some();
            let bytes = self.build_parts(more, rsv, opcode, now);
            self.write(bytes);
            (rest, opcode, rsv) = (later, CONTINUATION, 0);
            if !more {
                return;
            }
        }
    }

    /// Sends the header of an unfinished message's first frame of `length` bytes.
    pub(crate) fn begin(&mut self, opcode: u8, length: usize) {
        let mut bytes = Vec::new();
        let key = self.mask();
        append_header(&mut bytes, opcode, length, key);
        self.part = (key.unwrap_or_default(), 0);
        self.write(bytes);
    }

    /// Sends some of the payload of the frame begun.
    pub(crate) fn part(&mut self, payload: &[u8]) {
        let (key, sent) = self.part;
        let masked = payload.iter().enumerate().map(|(at, byte)| byte ^ key[(sent + at) % 4]);
        let bytes = masked.collect();
        self.part.1 += payload.len();
        self.write(bytes);
    }

    /// Starts the closing handshake, with a body of any shape.
    pub(crate) fn close(&mut self, code: Option<u16>, reason: &[u8]) {
        self.starter.get_or_insert(Starter::Fuzzer);
        self.send_close(code, reason);
    }

    /// Returns what is to be written next, one write after the other.
    pub(crate) fn next_write(&mut self) -> Option<Vec<u8>> {
        self.writes.pop_front().map(|(bytes, _)| bytes)
    }

    /// Reads what the peer wrote, and answers pings and Close frames.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        while self.violation.is_none() {
            match self.read_head(&inbox[at..]) {
                Ok(Some(head)) if inbox.len() - at - head.start >= head.len => {
                    let start = at + head.start;
                    at = start + head.len;
                    let payload = &mut inbox[start..at];
                    if let Some(key) = head.mask {
                        unmask(payload, key);
                    }
                    self.violation = self.take_frame(&head, payload).err();
                }
                Ok(_) => break,
                Err(violation) => self.violation = Some(violation),
            }
        }
        inbox.drain(..at);
        self.inbox = inbox;
    }

    /// Whether bytes of a frame stand there that is not whole, or a message lacks its end.
    pub(crate) fn is_inside_message(&self) -> bool {
        !self.inbox.is_empty() || self.message.is_some()
    }

    /// Returns how many compressed messages came in, if they may be.
    pub(crate) fn inflated(&self) -> Option<usize> {
        self.codec.as_ref().map(|codec| codec.inflated)
    }

    fn write(&mut self, bytes: Vec<u8>) {
        match self.writes.back_mut() {
            Some((last, Joins::Yes)) => last.extend_from_slice(&bytes),
            _ => self.writes.push_back((bytes, Joins::Yes)),
        }
    }

    fn send_close(&mut self, code: Option<u16>, reason: &[u8]) {
        let mut payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        payload.extend_from_slice(reason);
        let bytes = self.build_parts(false, 0, CLOSE, &payload);
        self.write(bytes);
        self.sent = Some(code);
    }

    fn build(&mut self, frame: &RawFrame) -> Vec<u8> {
        self.build_parts(frame.more, frame.rsv, frame.opcode, &frame.payload)
    }

    fn build_parts(&mut self, more: bool, rsv: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        let key = self.mask();
        let fin = if more { 0 } else { FIN };
        let first = fin | rsv << 4 | opcode;
        append_header(&mut bytes, first, payload.len(), key);
        let start = bytes.len();
        bytes.extend_from_slice(payload);
        if let Some(key) = key {
            unmask(&mut bytes[start..], key);
        }
        bytes
    }

    fn mask(&mut self) -> Option<[u8; 4]> {
        let [a, b, c, d, ..] = self.random.next().to_le_bytes();
        self.is_client.then_some([a, b, c, d])
    }

    /// Reads a header; `None` if it is not all there.
    fn read_head(&self, bytes: &[u8]) -> Result<Option<Head>, String> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        let extra = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & 0x80 != 0;
        let start = 2 + extra + if masked { 4 } else { 0 };
        if bytes.len() < start {
            return Ok(None);
        }
        if masked == self.is_client {
            return Err("the frame is masked in the wrong direction".into());
        }
        let long = bytes[2..2 + extra].iter().fold(0, |long, byte| long << 8 | u64::from(*byte));
        let len = if extra == 0 { u64::from(second) & 0x7f } else { long };
        let shortest = match len {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        if shortest != extra {
            return Err(format!("the length {len} is written in {extra} more bytes"));
        }
        let mask = masked.then(|| bytes[start - 4..start].try_into().unwrap());
        Ok(Some(Head {
            fin: first & FIN != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            mask,
            start,
            len: usize::try_from(len).map_err(|_| format!("a frame of {len} bytes"))?,
        }))
    }

    fn take_frame(&mut self, head: &Head, payload: &[u8]) -> Result<(), String> {
        if self.received.is_some() {
            return Err(format!("opcode {} after the Close frame", head.opcode));
        }
        if head.opcode >= CLOSE && (!head.fin || head.rsv != 0 || payload.len() > 125) {
            return Err(format!("a control frame in fragments, long or with RSV={}", head.rsv));
        }
        match head.opcode {
            CONTINUATION | TEXT | BINARY => self.take_data(head, payload),
            CLOSE => self.take_close(payload),
            PING => {
                self.seen.push(Seen::Ping(payload.to_vec()));
                let bytes = self.build_parts(false, 0, PONG, payload);
                self.write(bytes);
                Ok(())
            }
            PONG => {
                self.seen.push(Seen::Pong(payload.to_vec()));
                Ok(())
            }
            other => Err(format!("the reserved opcode {other}")),
        }
    }

    fn take_data(&mut self, head: &Head, payload: &[u8]) -> Result<(), String> {
        let mut message = match (self.message.take(), head.opcode) {
            (Some(message), CONTINUATION) if head.rsv == 0 => message,
            (None, TEXT | BINARY) if head.rsv == 0 || head.rsv == RSV1 && self.codec.is_some() => {
                Partial {
                    is_text: head.opcode == TEXT,
                    compressed: head.rsv == RSV1,
                    data: Vec::new(),
                }
            }
            (open, opcode) => {
                let inside = open.is_some();
                return Err(format!(
                    "opcode {opcode} with RSV={}, inside a message: {inside}",
                    head.rsv
                ));
            }
        };
        message.data.extend_from_slice(payload);
        if !head.fin {
            self.message = Some(message);
            return Ok(());
        }
        let data = match &mut self.codec {
            Some(codec) if message.compressed => codec.inflate(&message.data)?,
            _ => message.data,
        };
        if !message.is_text {
            self.seen.push(Seen::Binary(data));
        } else if std::str::from_utf8(&data).is_ok() {
            self.seen.push(Seen::Text(data));
        } else {
            return Err("text that is not UTF-8".into());
        }
        Ok(())
    }

    fn take_close(&mut self, payload: &[u8]) -> Result<(), String> {
        let code = match payload {
            [] => None,
            [_] => return Err("a Close frame with a body of one byte".into()),
            [high, low, reason @ ..] if std::str::from_utf8(reason).is_ok() => {
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ => return Err("a close reason that is not UTF-8".into()),
        };
        if code.is_some_and(|code| !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)) {
            return Err(format!("the close code {code:?}"));
        }
        self.received = Some(code);
        self.starter.get_or_insert(Starter::Peer);
        if self.sent.is_none() {
            self.send_close(code, &[]);
        }
        Ok(())
    }
}

/// Appends a header whose first byte is given.
fn append_header(bytes: &mut Vec<u8>, first: u8, length: usize, mask: Option<[u8; 4]>) {
    bytes.push(first);
    let flag = if mask.is_some() { 0x80 } else { 0 };
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        bytes.push(flag | short);
    } else if let Ok(medium) = u16::try_from(length) {
        bytes.push(flag | 126);
        bytes.extend_from_slice(&medium.to_be_bytes());
    } else {
        bytes.push(flag | 127);
        bytes.extend_from_slice(&(length as u64).to_be_bytes());
    }
    bytes.extend_from_slice(mask.as_ref().map_or(&[], |key| &key[..]));
}

/// Masks or unmasks, which is the same.
fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        let masked = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        word.copy_from_slice(&(masked ^ u32::from_ne_bytes(key)).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

const FIN: u8 = 0x80;
/// The bit that marks a compressed message, as the raw frames count reserved bits.
const RSV1: u8 = 4;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what a fuzzing server finds wrong with bytes of a client, masked with zeros.
    fn violation(bytes: &[u8]) -> Option<String> {
        let mut fuzzer = Fuzzer::new(false, None);
        fuzzer.receive(bytes);
        fuzzer.violation
    }

    #[test]
    fn the_fuzzer_accepts_what_is_right() {
        assert_eq!(violation(b"\x01\x81\0\0\0\0a\x89\x80\0\0\0\0\x80\x81\0\0\0\0b"), None);
        assert_eq!(violation(b"\x88\x82\0\0\0\0\x03\xe8"), None);
    }

    #[test]
    fn the_fuzzer_finds_what_is_wrong() {
        let wrong: &[&[u8]] = &[
            b"\x81\x01a",
            b"\xc1\x81\0\0\0\0a",
            b"\x83\x80\0\0\0\0",
            b"\x80\x80\0\0\0\0",
            b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0",
            b"\x09\x80\0\0\0\0",
            b"\x82\xfe\0\x01\0\0\0\0a",
            b"\x81\x81\0\0\0\0\xff",
            b"\x88\x81\0\0\0\0\x03",
            b"\x88\x82\0\0\0\0\x03\xed",
            b"\x88\x80\0\0\0\0\x8a\x80\0\0\0\0",
        ];
        for bytes in wrong {
            assert!(violation(bytes).is_some(), "{}", bytes.escape_ascii());
        }
    }
}
