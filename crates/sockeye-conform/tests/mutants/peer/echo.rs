//! One end of an open connection: bytes in, bytes out. Echoes each message and keeps the rules of
//! RFC 6455, but for the one that its fault breaks.

use super::deflate::Codec;
use super::frame::{
    self, BINARY, CLOSE, CONTINUATION, FIN, Form, Header, PING, PONG, RSV1, TEXT, unmask,
};
use super::utf8::Utf8;
use super::{Failure, LIMIT, Role};
use crate::fault::Fault;

/// The echoing end of a connection.
pub(crate) struct Echo {
    role: Role,
    fault: Option<Fault>,
    codec: Option<Codec>,
    phase: Phase,
    /// Bytes of a header that is not all there.
    inbox: Vec<u8>,
    frame: Option<Current>,
    message: Option<Message>,
    /// Echoes of the messages that came in one read.
    echoes: Vec<(u8, Vec<u8>)>,
    out: Vec<u8>,
    pongs: usize,
    /// Control frames since the last message.
    controls: usize,
    /// A fragmented control frame is under way, which only a fault lets happen.
    inside_control: bool,
    close_sent: bool,
    keys: u32,
}

/// What the host has to do once all is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The connection ends in good order: the server drops TCP, the client waits for that.
    Ended,
    /// TCP is dropped at once.
    Crashed,
    /// Nothing happens any more.
    Hung,
}

/// The frame whose payload is coming in.
struct Current {
    header: Header,
    read: u64,
    /// The payload of a control frame, or of a data frame that is looked at late.
    held: Vec<u8>,
}

/// The message that is coming in.
struct Message {
    opcode: u8,
    compressed: bool,
    data: Vec<u8>,
    utf8: Utf8,
    frames: usize,
}

impl Echo {
    pub(crate) fn new(role: Role, codec: Option<Codec>, fault: Option<Fault>) -> Self {
        Self {
            role,
            fault,
            codec,
            phase: Phase::Open,
            inbox: Vec::new(),
            frame: None,
            message: None,
            echoes: Vec::new(),
            out: Vec::new(),
            pongs: 0,
            controls: 0,
            inside_control: false,
            close_sent: false,
            keys: 0x1234_5677,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns what is to be written.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Takes in what came in one read with the head.
    pub(crate) fn receive_first(&mut self, bytes: &[u8]) {
        if !self.has(Fault::FirstFramesLost) {
            self.receive(bytes);
        }
    }

    /// Takes in what one read brought.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(bytes);
        let mut at = 0;
        while self.phase == Phase::Open {
            match self.step(&mut inbox[at..]) {
                Ok(Some(used)) => at += used,
                Ok(None) => break,
                Err(failure) => self.fail(failure),
            }
        }
        inbox.drain(..at);
        self.inbox = inbox;
        self.send_echoes();
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Reads a header, or some of a payload; returns how many bytes that took.
    fn step(&mut self, rest: &mut [u8]) -> Result<Option<usize>, Failure> {
        let Some(mut current) = self.frame.take() else {
            return self.read_header(rest);
        };
        let left = current.header.length - current.read;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        if count == 0 && left > 0 {
            self.frame = Some(current);
            return Ok(None);
        }
        let part = &mut rest[..count];
        if let Some(key) = current.header.key {
            unmask(part, key, current.read);
        }
        current.read += count as u64;
        self.take_part(&mut current, part)?;
        if count as u64 == left {
            self.end_frame(&current)?;
            if self.has(Fault::OneFrameARead) {
                return Ok(Some(rest.len()));
            }
        } else {
            self.frame = Some(current);
        }
        Ok(Some(count))
    }

    fn read_header(&mut self, rest: &[u8]) -> Result<Option<usize>, Failure> {
        if let [first, second, ..] = rest {
            self.check_start(*first, *second)?;
        }
        let Some(header) = Header::read(rest) else {
            if !rest.is_empty() && self.has(Fault::HeaderInOneRead) {
                self.phase = Phase::Crashed;
            }
            return Ok(None);
        };
        self.check_length(&header)?;
        if matches!(header.opcode, CONTINUATION | TEXT | BINARY) {
            self.begin_data(&header)?;
        }
        self.frame = Some(Current { header, read: 0, held: Vec::new() });
        Ok(Some(header.size))
    }

    /// Checks what the first two bytes of a frame tell.
    fn check_start(&self, first: u8, second: u8) -> Result<(), Failure> {
        let (opcode, rsv) = (first & 15, first & 0x70);
        let masked = second & 0x80 != 0;
        if masked != (self.role == Role::Server) && !self.has(Fault::MaskUnchecked) {
            return Err(Failure::PROTOCOL);
        }
        if rsv & !self.allowed_bits(opcode) != 0 {
            return Err(Failure::PROTOCOL);
        }
        match opcode {
            CONTINUATION | TEXT | BINARY => Ok(()),
            CLOSE | PING | PONG => {
                let whole = first & FIN != 0 || self.has(Fault::FragmentedControlAccepted);
                let short = second & 0x7f < 126 || self.has(Fault::LongControlAccepted);
                if whole && short { Ok(()) } else { Err(Failure::PROTOCOL) }
            }
            3..=7 if self.has(Fault::ReservedDataAccepted) => Ok(()),
            11..=15 if self.has(Fault::ReservedControlAccepted) => Ok(()),
            _ => Err(Failure::PROTOCOL),
        }
    }

    /// Returns the reserved bits that a frame may have, as they stand in its first byte.
    fn allowed_bits(&self, opcode: u8) -> u8 {
        match self.fault {
            Some(Fault::RsvAccepted) => return 0x70,
            Some(Fault::Rsv1Accepted) => return RSV1,
            Some(Fault::Rsv2Accepted) => return 0x20,
            Some(Fault::Rsv3Accepted) => return 0x10,
            _ => {}
        }
        let defined = match opcode {
            TEXT | BINARY => true,
            CONTINUATION => self.has(Fault::DeflateRsv1OnContinuationAccepted),
            _ => self.has(Fault::DeflateRsv1OnControlAccepted),
        };
        if defined && self.codec.is_some() { RSV1 } else { 0 }
    }

    fn check_length(&self, header: &Header) -> Result<(), Failure> {
        if header.is_padded() && !self.has(Fault::PaddedLengthAccepted) {
            return Err(Failure::PROTOCOL);
        }
        if header.length >> 63 != 0 && !self.has(Fault::LengthTopBitAccepted) {
            return Err(Failure::PROTOCOL);
        }
        let bounded = !self.has(Fault::LengthUnbounded) && !self.has(Fault::LengthTopBitAccepted);
        let held = self.message.as_ref().map_or(0, |message| message.data.len());
        let most = (LIMIT - held.min(LIMIT)) as u64;
        if bounded && header.opcode < CLOSE && header.length > most {
            return Err(Failure::TOO_BIG);
        }
        Ok(())
    }

    /// Begins a message or goes on with it.
    fn begin_data(&mut self, header: &Header) -> Result<(), Failure> {
        let goes_on = header.opcode == CONTINUATION;
        match (goes_on, self.message.is_some()) {
            (true, true) => return self.count_frame(),
            (true, false) if self.inside_control => return Ok(()),
            (false, false) => {}
            (true, false) if self.has(Fault::StrayContinuationAccepted) => {}
            (false, true) if self.has(Fault::InterleavedAccepted) => {}
            _ => return Err(Failure::PROTOCOL),
        }
        self.message = Some(Message {
            opcode: header.opcode.max(TEXT),
            compressed: header.rsv & 4 != 0 && self.codec.is_some(),
            data: Vec::new(),
            utf8: Utf8::new(self.fault),
            frames: 1,
        });
        Ok(())
    }

    fn count_frame(&mut self) -> Result<(), Failure> {
        let Some(message) = &mut self.message else { return Ok(()) };
        message.frames += 1;
        match message.frames > MOST_FRAMES && self.fault != Some(Fault::FramesUnbounded) {
            true if message.data.is_empty() => Err(Failure::POLICY),
            true => Err(Failure::TOO_BIG),
            false => Ok(()),
        }
    }

    /// Takes in some of a frame's payload.
    fn take_part(&mut self, current: &mut Current, part: &[u8]) -> Result<(), Failure> {
        if current.header.opcode >= CLOSE || self.has(Fault::Utf8AtFrameEnd) {
            current.held.extend_from_slice(part);
            return Ok(());
        }
        self.append(part)
    }

    /// Appends to the message; text is checked as it comes.
    fn append(&mut self, part: &[u8]) -> Result<(), Failure> {
        let late = self.has(Fault::Utf8AtMessageEnd) || self.has(Fault::Utf8Unchecked);
        let binary_too = self.has(Fault::Utf8CheckedInBinary);
        let Some(message) = &mut self.message else { return Ok(()) };
        let is_text = message.opcode == TEXT || binary_too;
        if is_text && !message.compressed && !late {
            message.utf8.push(part).map_err(|_| Failure::CORRUPT)?;
        }
        message.data.extend_from_slice(part);
        Ok(())
    }

    fn end_frame(&mut self, current: &Current) -> Result<(), Failure> {
        let Header { fin, opcode, length, .. } = current.header;
        if opcode >= CLOSE {
            self.inside_control = !fin;
            if self.has(Fault::ControlBreaksMessage) {
                self.message = None;
            }
            return self.take_control(opcode, &current.held);
        }
        if self.has(Fault::Utf8AtFrameEnd) {
            self.append(&current.held)?;
        }
        if opcode > BINARY || self.inside_control {
            self.inside_control &= !fin;
            return Ok(());
        }
        let inside =
            self.message.as_ref().is_some_and(|message| message.utf8.is_inside_character());
        if inside && self.has(Fault::Utf8EachFrameAlone) {
            return Err(Failure::CORRUPT);
        }
        if !fin || length == 0 && self.has(Fault::EmptyFramesDropped) {
            return Ok(());
        }
        match self.message.take() {
            Some(message) => self.end_message(message),
            None => Ok(()),
        }
    }

    fn end_message(&mut self, message: Message) -> Result<(), Failure> {
        let Message { opcode, compressed, mut data, mut utf8, .. } = message;
        self.controls = 0;
        let mut unchecked = self.has(Fault::Utf8AtMessageEnd);
        if compressed && let Some(codec) = &mut self.codec {
            data = codec.inflate(&data)?;
            unchecked = !self.has(Fault::DeflateUtf8Unchecked);
        }
        if (opcode == TEXT || self.has(Fault::Utf8CheckedInBinary))
            && !self.has(Fault::Utf8Unchecked)
        {
            if unchecked {
                utf8.push(&data).map_err(|_| Failure::CORRUPT)?;
            }
            utf8.end().map_err(|_| Failure::CORRUPT)?;
        }
        self.take_message(opcode, data);
        Ok(())
    }

    /// Echoes a message, each fault in its own way.
    fn take_message(&mut self, mut opcode: u8, mut data: Vec<u8>) {
        match self.fault {
            Some(Fault::TextEchoedAsBinary) => opcode = BINARY,
            Some(Fault::BinaryEchoedAsText) => opcode = TEXT,
            Some(Fault::LastByteLost) => data.truncate(data.len().saturating_sub(1)),
            Some(Fault::MessageLostAt(length)) if data.len() == length => return,
            Some(Fault::CrashAbove1MiB) if data.len() > 1 << 20 => self.phase = Phase::Crashed,
            Some(Fault::EchoedTwice) => self.echoes.push((opcode, data.clone())),
            _ => {}
        }
        self.echoes.push((opcode, data));
        if self.has(Fault::ClosesAfterEcho) {
            self.send_echoes();
            self.send_close(&1000_u16.to_be_bytes());
        }
        // Keeps the order among echoes and pongs.
        if !self.has(Fault::OrderSwapped) {
            self.send_echoes();
        }
    }

    fn take_control(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Failure> {
        self.controls += 1;
        if self.controls > MOST_CONTROLS && !self.has(Fault::FloodsBorne) {
            return Err(Failure::POLICY);
        }
        match opcode {
            CLOSE => return self.take_close(payload),
            PING => self.take_ping(payload),
            PONG if self.has(Fault::HangsOnPong) => self.phase = Phase::Hung,
            _ => {}
        }
        Ok(())
    }

    fn take_ping(&mut self, payload: &[u8]) {
        self.pongs += 1;
        let payload = match self.fault {
            Some(Fault::PongMissing) => return,
            Some(Fault::PongOnlyToFirst) if self.pongs > 1 => return,
            Some(Fault::PongEmpty) => &[],
            Some(Fault::PongOther) => &b"pong"[..],
            Some(Fault::PongTruncated) => &payload[..payload.len().min(8)],
            _ => payload,
        };
        self.send(FIN | PONG, payload);
    }

    fn take_close(&mut self, body: &[u8]) -> Result<(), Failure> {
        let code = match body {
            [] => None,
            [_] if self.has(Fault::OneByteCloseAccepted) => Some(1000),
            [_] => return Err(Failure::PROTOCOL),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !self.takes_code(code) {
                    return Err(Failure::PROTOCOL);
                }
                let valid = std::str::from_utf8(reason).is_ok();
                if !valid && !self.has(Fault::BadCloseReasonAccepted) {
                    return Err(Failure::CORRUPT);
                }
                if reason.len() > 100 && self.has(Fault::LongCloseReasonRefused) {
                    return Err(Failure::PROTOCOL);
                }
                Some(code)
            }
        };
        if self.has(Fault::CloseUnanswered) {
            return Ok(());
        }
        let answer = match (self.fault, code) {
            (Some(Fault::CloseAnsweredWith(other)), _) => Some(other),
            (Some(Fault::CloseAnsweredWithoutCode), _) => None,
            (Some(Fault::DropsOnClose), _) => {
                self.phase = Phase::Crashed;
                return Ok(());
            }
            (_, code) => code,
        };
        self.send_close(&answer.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec()));
        if !self.has(Fault::EchoesAfterClose) {
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    /// Tells whether a Close frame may carry this code (RFC 6455 section 7.4).
    fn takes_code(&self, code: u16) -> bool {
        let right = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        match self.fault {
            Some(Fault::CloseCodeAccepted(wrong)) if wrong == code => true,
            Some(Fault::CloseCodeRefused(refused)) if refused == code => false,
            _ => right,
        }
    }

    fn fail(&mut self, failure: Failure) {
        let code = match (self.fault, failure) {
            (Some(Fault::WrongCodeForProtocol), Failure::PROTOCOL) => 1011,
            (Some(Fault::WrongCodeForText), Failure::CORRUPT) => 1003,
            (Some(Fault::WrongCodeForSize), Failure::TOO_BIG) => 1011,
            (_, Failure(code)) => code,
        };
        self.phase = Phase::Ended;
        self.send_echoes();
        match self.fault {
            Some(Fault::FailureDropsTcp) => self.phase = Phase::Crashed,
            Some(Fault::FailureHasNoCode) => self.send_close(&[]),
            Some(Fault::FailureHangs) => self.phase = Phase::Hung,
            _ => self.send_close(&code.to_be_bytes()),
        }
    }

    fn send_close(&mut self, body: &[u8]) {
        if !self.close_sent {
            self.send(FIN | CLOSE, body);
            self.close_sent = true;
        }
    }

    fn send_echoes(&mut self) {
        let mut echoes = std::mem::take(&mut self.echoes);
        if self.has(Fault::OrderSwapped) {
            echoes.reverse();
        }
        for (opcode, data) in echoes {
            if !self.close_sent || self.has(Fault::EchoesAfterClose) {
                self.send_message(opcode, &data);
            }
        }
    }

    fn send_message(&mut self, opcode: u8, data: &[u8]) {
        let packed = self.codec.as_mut().and_then(|codec| codec.compress(data));
        let rsv1 = if self.has(Fault::DeflateRsv1Missing) { 0 } else { RSV1 };
        match packed {
            None => self.send(FIN | opcode, data),
            Some(packed) if self.has(Fault::DeflateRsv1OnContinuation) => {
                let (first, second) = packed.split_at(packed.len() / 2);
                self.send(RSV1 | opcode, first);
                self.send(FIN | RSV1 | CONTINUATION, second);
            }
            Some(packed) => self.send(FIN | rsv1 | opcode, &packed),
        }
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let masks = (self.role == Role::Client) != self.has(Fault::MaskReversed);
        let key = masks.then(|| {
            // Any generator will do for a peer that is only tested.
            self.keys = self.keys.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.keys.to_be_bytes()
        });
        let padded = self.has(Fault::PaddedLengthSent);
        frame::append(&mut self.out, Form { first, key, padded }, payload);
    }
}

/// As many frames may a message have: more than Autobahn's 65,537.
const MOST_FRAMES: usize = 131_072;

/// As many pings, pongs and Close frames may come in a row.
const MOST_CONTROLS: usize = 10_000;
