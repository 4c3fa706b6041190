//! The tester's end of a connection: it builds frames, right and wrong, and reads its peer's frames
//! strictly.
//!
//! Knows frames and messages; what to send when, and what to think of the answers, is told from
//! outside.

use std::collections::VecDeque;
use std::time::Duration;

use crate::case::{FrameForm, MaskForm, Random, Seen, Starter};
use crate::log::{By, Log, Recorder, What};
use crate::wire::deflate::{self, Codec};
use crate::wire::frame::{
    self, BINARY, CLOSE, CONTINUATION, Header, PING, PONG, RSV1, TEXT, apply_mask,
};

/// One end of a connection, under the command of a case.
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
    recorder: Recorder,
    pub(crate) now: Duration,
    pub(crate) seen: Vec<Seen>,
    /// What the peer did that no peer may do.
    pub(crate) violation: Option<String>,
    pub(crate) starter: Option<Starter>,
    /// The code of our Close frame, once it is sent; `None` inside for a frame without a code.
    pub(crate) sent: Option<Option<u16>>,
    /// The code of the peer's Close frame, once it is in.
    pub(crate) received: Option<Option<u16>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joins {
    Yes,
    No,
}

/// A message of which some frames are in.
#[derive(Debug)]
struct Partial {
    is_text: bool,
    compressed: bool,
    data: Vec<u8>,
}

impl Fuzzer {
    pub(crate) fn new(is_client: bool) -> Self {
        Self {
            is_client,
            random: Random::new(0xfe),
            codec: None,
            auto_fragment: None,
            writes: VecDeque::new(),
            part: ([0; 4], 0),
            inbox: Vec::new(),
            message: None,
            recorder: Recorder::default(),
            now: Duration::ZERO,
            seen: Vec::new(),
            violation: None,
            starter: None,
            sent: None,
            received: None,
        }
    }

    /// Compresses messages, and takes compressed ones, from now on.
    pub(crate) fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
    }

    /// Cuts messages from now on into frames of this length.
    pub(crate) fn auto_fragment(&mut self, length: usize) {
        self.auto_fragment = Some(length);
    }

    /// Sends a frame just as it is told.
    pub(crate) fn frame(&mut self, form: &FrameForm, turn: usize) {
        let bytes = self.build(form, turn);
        match form.chop {
            Some(length) => {
                let chunks = bytes.chunks(length.max(1));
                self.writes.extend(chunks.map(|chunk| (chunk.to_vec(), Joins::No)));
            }
            None if form.alone => self.writes.push_back((bytes, Joins::No)),
            None => self.write(&bytes),
        }
    }

    /// Returns a frame's bytes.
    pub(crate) fn build(&mut self, form: &FrameForm, turn: usize) -> Vec<u8> {
        let payload = form.payload.bytes(turn);
        let payload = if form.packed { deflate::pack(&payload) } else { payload };
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        self.append(&mut bytes, form, &payload);
        bytes
    }

    /// Sends a message in frames of at most `fragment` bytes. As in Autobahn's own sender, one of
    /// several whole frames ends with an empty frame.
    pub(crate) fn message(&mut self, opcode: u8, payload: &[u8], fragment: Option<usize>) {
        let bytes = self.build_message(opcode, payload, fragment);
        self.write(&bytes);
    }

    /// Returns a message's bytes.
    pub(crate) fn build_message(
        &mut self,
        opcode: u8,
        payload: &[u8],
        fragment: Option<usize>,
    ) -> Vec<u8> {
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
        let mut bytes = Vec::with_capacity(rest.len() + 14);
        loop {
            let cut = longest.filter(|longest| rest.len() >= *longest);
            let (now, later) = rest.split_at(cut.unwrap_or(rest.len()));
            let more = cut.is_some();
            self.append(&mut bytes, &FrameForm { more, rsv, opcode, ..FrameForm::default() }, now);
            (rest, opcode, rsv) = (later, CONTINUATION, 0);
            if !more {
                return bytes;
            }
        }
    }

    /// Sends the header of an unfinished message's first frame of `length` bytes.
    pub(crate) fn begin(&mut self, opcode: u8, length: usize) {
        let mut bytes = Vec::new();
        let key = self.key(MaskForm::Duty);
        frame::append_header(&mut bytes, opcode, length as u64, Default::default(), key);
        self.part = (key.unwrap_or_default(), 0);
        self.record_frame(By::Tester, &bytes, &[]);
        self.write(&bytes);
    }

    /// Sends some of the payload of the frame begun.
    pub(crate) fn part(&mut self, payload: &[u8]) {
        let mut bytes = payload.to_vec();
        apply_mask(&mut bytes, self.part.0, self.part.1);
        self.part.1 += payload.len();
        let what = format!("{} bytes of that payload", payload.len());
        self.record(By::Tester, what, &bytes, payload);
        self.write(&bytes);
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.record(By::Tester, format!("{} raw bytes", bytes.len()), bytes, &[]);
        self.write(bytes);
    }

    /// Writes bytes, apart from what stands before and behind.
    pub(crate) fn write_alone(&mut self, bytes: Vec<u8>) {
        self.writes.push_back((bytes, Joins::No));
    }

    /// Starts the closing handshake, with a body of any shape.
    pub(crate) fn close(&mut self, code: Option<u16>, reason: &[u8]) {
        self.starter.get_or_insert(Starter::Tester);
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
            let rest = inbox.get_mut(at..).unwrap_or_default();
            let Some(header) = Header::read(rest) else { break };
            if let Err(violation) = self.check_header(&header) {
                self.record_frame(By::Peer, rest, &[]);
                self.violation = Some(violation);
                break;
            }
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            let end = header.size.saturating_add(length);
            let Some(frame) = rest.get_mut(..end) else { break };
            let wire: Vec<u8> = frame.iter().copied().take(64).collect();
            let payload = frame.get_mut(header.size..).unwrap_or_default();
            if let Some(key) = header.mask {
                apply_mask(payload, key, 0);
            }
            self.recorder.add(self.now, By::Peer, What::Frame(header), &wire, payload);
            self.violation = self.take_frame(&header, payload).err();
            at += end;
        }
        inbox.drain(..at);
        self.inbox = inbox;
    }

    /// Returns how many compressed messages came in, if they may be.
    pub(crate) fn inflated(&self) -> Option<usize> {
        self.codec.as_ref().map(|codec| codec.inflated)
    }

    /// Puts something other than a frame on record.
    pub(crate) fn record(&mut self, by: By, what: String, wire: &[u8], payload: &[u8]) {
        self.recorder.add(self.now, by, What::Said(what), wire, payload);
    }

    /// Returns the record.
    pub(crate) fn log(&self) -> Log {
        self.recorder.log()
    }

    fn record_frame(&mut self, by: By, wire: &[u8], payload: &[u8]) {
        if let Some(header) = Header::read(wire) {
            self.recorder.add(self.now, by, What::Frame(header), wire, payload);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match self.writes.back_mut() {
            Some((last, Joins::Yes)) if last.len() < LONGEST_WRITE => last.extend_from_slice(bytes),
            _ => self.writes.push_back((bytes.to_vec(), Joins::Yes)),
        }
    }

    fn send_close(&mut self, code: Option<u16>, reason: &[u8]) {
        let mut payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        payload.extend_from_slice(reason);
        self.send_control(CLOSE, &payload);
        self.sent = Some(code);
    }

    fn send_control(&mut self, opcode: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        self.append(&mut bytes, &FrameForm { opcode, ..FrameForm::default() }, payload);
        self.write(&bytes);
    }

    /// Appends a frame and puts it on record.
    fn append(&mut self, bytes: &mut Vec<u8>, form: &FrameForm, payload: &[u8]) {
        let key = self.key(form.mask);
        let start = bytes.len();
        frame::append(bytes, form, payload, key);
        self.record_frame(By::Tester, bytes.get(start..).unwrap_or_default(), payload);
    }

    fn key(&mut self, form: MaskForm) -> Option<[u8; 4]> {
        let [a, b, c, d, ..] = self.random.next().to_le_bytes();
        match form {
            MaskForm::Duty => self.is_client.then_some([a, b, c, d]),
            MaskForm::Masked => Some([a, b, c, d]),
            MaskForm::Zeros => Some([0; 4]),
            MaskForm::Unmasked => None,
        }
    }

    /// Checks what no frame of a peer may be.
    fn check_header(&self, header: &Header) -> Result<(), String> {
        if header.mask.is_some() == self.is_client {
            let role = if self.is_client {
                "a server's frame is masked"
            } else {
                "a client's frame is not masked"
            };
            return Err(role.into());
        }
        if header.padded {
            return Err(format!("the length {} is not in its shortest form", header.length));
        }
        // Only data is forbidden after a Close frame (RFC 6455, section 5.5.1).
        if self.received.is_some() && header.opcode < CLOSE {
            return Err(format!("{} after the Close frame", frame::opcode_name(header.opcode)));
        }
        if header.opcode >= CLOSE && (!header.fin || header.rsv != 0 || header.length > 125) {
            return Err(format!(
                "a control frame in fragments, too long or with reserved bits: {}",
                header.tell()
            ));
        }
        if header.length > LONGEST_FRAME {
            return Err(format!("a frame of {} bytes, more than any case asks for", header.length));
        }
        Ok(())
    }

    fn take_frame(&mut self, header: &Header, payload: &[u8]) -> Result<(), String> {
        // What comes after a Close frame is discarded (section 1.4).
        if self.received.is_some() {
            return Ok(());
        }
        match header.opcode {
            CONTINUATION | TEXT | BINARY => self.take_data(header, payload),
            CLOSE => self.take_close(payload),
            PING => {
                self.send_control(PONG, payload);
                Ok(())
            }
            PONG => {
                self.seen.push(Seen::Pong(payload.to_vec()));
                Ok(())
            }
            other => Err(format!("the reserved opcode {other}")),
        }
    }

    fn take_data(&mut self, header: &Header, payload: &[u8]) -> Result<(), String> {
        let may_compress = self.codec.is_some();
        let mut message = match (self.message.take(), header.opcode) {
            (Some(message), CONTINUATION) if header.rsv == 0 => message,
            (None, TEXT | BINARY) if header.rsv == 0 || header.rsv == RSV1 && may_compress => {
                Partial {
                    is_text: header.opcode == TEXT,
                    compressed: header.rsv == RSV1,
                    data: Vec::new(),
                }
            }
            (Some(_), _) => return Err(format!("{} inside a message", header.tell())),
            (None, _) => return Err(format!("{} where a message must begin", header.tell())),
        };
        message.data.extend_from_slice(payload);
        if !header.fin {
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
        // One that only gives back the tester's own is judged by the case.
        let echoes = self.sent.is_some_and(|sent| sent == code);
        if let Some(code @ (0..=999 | 1004..=1006 | 1015..=2999 | 5000..)) = code
            && !echoes
        {
            return Err(format!("the close code {code}, which no endpoint may send"));
        }
        self.received = Some(code);
        self.starter.get_or_insert(Starter::Peer);
        if self.sent.is_none() {
            self.send_close(code, &[]);
        }
        Ok(())
    }
}

/// A write grows by what joins it up to about this many bytes.
const LONGEST_WRITE: usize = 256 << 10;

/// The longest frame that a peer may send, in bytes: no case asks for more than 16 MiB.
const LONGEST_FRAME: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A Close frame with 1000, then what a server sends behind it.
    fn after_close(frames: &[u8]) -> Fuzzer {
        let mut fuzzer = Fuzzer::new(true);
        fuzzer.receive(&[&[0x88, 2, 0x03, 0xe8], frames].concat());
        fuzzer
    }

    #[test]
    fn control_frames_after_a_close_frame_are_discarded() {
        let fuzzer = after_close(&[0x88, 2, 0x03, 0xea, 0x89, 0, 0x8a, 0]);
        assert_eq!(fuzzer.violation, None);
        assert_eq!(fuzzer.received, Some(Some(1000)));
        assert_eq!(fuzzer.seen, []);
    }

    #[test]
    fn data_after_a_close_frame_is_a_violation() {
        let fuzzer = after_close(&[0x81, 0]);
        assert_eq!(fuzzer.violation.as_deref(), Some("TEXT after the Close frame"));
    }
}
