//! A raw peer: frames built bit by bit, replies read bit by bit, and a rig that drives one
//! connection with them and holds it to what is always true.

use std::sync::Arc;

use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::{
    AnyRole, Client, CloseInfo, Config, Connection, Delivery, Error, Event, Kind, Limit,
    LimitError, Message, MessageRef, Misuse, Next, PeerError, Position, Role as _, Side, Time,
};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The end under test; the raw peer plays the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Server,
    Client,
}

pub(crate) const ENDS: [End; 2] = [End::Server, End::Client];

/// The key with which the client under test masks.
pub(crate) const OUR_KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
/// The key with which the peer masks.
pub(crate) const PEER_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A form of the length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Shortest,
    Sixteen,
    SixtyFour,
}

/// A frame of the peer, legal unless asked otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    opcode: u8,
    fin: bool,
    reserved: u8,
    form: Form,
    declared: Option<u64>,
    wrong_mask: bool,
    key: [u8; 4],
    payload: Vec<u8>,
}

pub(crate) fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame {
        opcode,
        fin: true,
        reserved: 0,
        form: Form::Shortest,
        declared: None,
        wrong_mask: false,
        key: PEER_KEY,
        payload: payload.as_ref().to_vec(),
    }
}

/// A frame of a message that goes on.
pub(crate) fn part(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    frame(opcode, payload).not_last()
}

/// A Close frame with a code and a reason.
pub(crate) fn close_frame(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    frame(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

impl Frame {
    pub(crate) fn not_last(mut self) -> Self {
        self.fin = false;
        self
    }

    /// Sets the reserved bits: 4 is RSV1, 2 RSV2, 1 RSV3.
    pub(crate) fn reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    pub(crate) fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Declares a length that is not the payload's.
    pub(crate) fn declaring(mut self, len: u64) -> Self {
        self.declared = Some(len);
        self
    }

    /// Masks where the role must not, and the other way round.
    pub(crate) fn wrongly_masked(mut self) -> Self {
        self.wrong_mask = true;
        self
    }

    pub(crate) fn key(mut self, key: [u8; 4]) -> Self {
        self.key = key;
        self
    }

    /// Returns the bytes that the peer of `end` sends.
    pub(crate) fn to(&self, end: End) -> Vec<u8> {
        let masked = (end == End::Server) != self.wrong_mask;
        let mask_bit = if masked { 0x80 } else { 0 };
        let len = self.declared.unwrap_or(self.payload.len() as u64);
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode];
        match (self.form, len) {
            (Form::Shortest, 0..=125) => bytes.push(mask_bit | len as u8),
            (Form::Shortest, 126..=0xffff) | (Form::Sixteen, _) => {
                bytes.push(mask_bit | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            (Form::Shortest | Form::SixtyFour, _) => {
                bytes.push(mask_bit | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        if masked {
            bytes.extend(self.key);
        }
        let key = if masked { self.key } else { [0; 4] };
        bytes.extend(self.payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        bytes
    }
}

/// Joins the bytes of several frames.
pub(crate) fn stream(end: End, frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.to(end)).collect()
}

/// An event, or the failure that ended them, with its bytes copied out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Piece(Kind, Vec<u8>, Position),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(Error),
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Text(text.into())
}

pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Seen {
    Seen::Binary(bytes.as_ref().to_vec())
}

pub(crate) fn piece(kind: Kind, bytes: impl AsRef<[u8]>, position: Position) -> Seen {
    Seen::Piece(kind, bytes.as_ref().to_vec(), position)
}

pub(crate) fn failed(error: impl Into<Error>) -> Seen {
    Seen::Failed(error.into())
}

/// A limit that was passed by one.
pub(crate) fn over(limit: Limit, max: u64) -> LimitError {
    LimitError { limit, max, seen: max + 1 }
}

impl Seen {
    fn of(event: Result<Event<'_>, Error>) -> Self {
        match event {
            Ok(Event::Message(Message::Text(text))) => Self::Text(text.into_string()),
            Ok(Event::Message(Message::Binary(bytes))) => Self::Binary(bytes.into_vec()),
            Ok(Event::Piece(piece)) => Self::Piece(piece.kind, piece.bytes.into(), piece.position),
            Ok(Event::Ping(payload)) => Self::Ping(payload.into()),
            Ok(Event::Pong { payload, .. }) => Self::Pong(payload.into()),
            Ok(Event::Close(frame)) => Self::Close(frame.code.get(), frame.reason),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Joins pieces into messages; everything else is kept as it is. The second value is what was
/// handed out of a message that did not end.
pub(crate) fn joined(seen: Vec<Seen>) -> (Vec<Seen>, Vec<u8>) {
    let (mut whole, mut open) = (Vec::new(), None::<(Kind, Vec<u8>)>);
    for event in seen {
        let Seen::Piece(kind, bytes, position) = event else {
            whole.push(event);
            continue;
        };
        let (first, gathered) = open.get_or_insert((kind, Vec::new()));
        assert_eq!(*first, kind, "a message is of one kind");
        assert!(position == Position::Last || !bytes.is_empty(), "no piece says nothing");
        gathered.extend(bytes);
        if position == Position::Last {
            let (kind, bytes) = open.take().unwrap();
            whole.push(match kind {
                Kind::Text => text(std::str::from_utf8(&bytes).expect("valid when whole")),
                Kind::Binary => binary(bytes),
            });
        }
    }
    (whole, open.map_or_else(Vec::new, |(_, bytes)| bytes))
}

/// A frame of the end under test, as the peer reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn reply(opcode: u8, payload: impl AsRef<[u8]>) -> Reply {
    Reply { opcode, fin: true, compressed: false, payload: payload.as_ref().to_vec() }
}

/// Reads every frame in `bytes`, which must hold whole ones, and checks what holds for all frames
/// that `end` may send.
pub(crate) fn read_frames(end: End, mut bytes: &[u8]) -> Vec<Reply> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (reply, rest) = read_frame(end, bytes);
        frames.push(reply);
        bytes = rest;
    }
    frames
}

fn read_frame(end: End, bytes: &[u8]) -> (Reply, &[u8]) {
    let (head, mut rest) = bytes.split_at(2);
    assert_eq!(head[0] & 0x30, 0, "RSV2 and RSV3 are never ours");
    let masked = head[1] & 0x80 != 0;
    assert_eq!(masked, end == End::Client, "a client masks and a server does not");
    let mut take = |count| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
    };
    let len = match head[1] & 0x7f {
        127 => {
            let len = usize::from_be_bytes(take(8).try_into().unwrap());
            assert!(len > 0xffff, "64 bits for a length of {len}");
            len
        }
        126 => {
            let len = u16::from_be_bytes(take(2).try_into().unwrap());
            assert!(len > 125, "16 bits for a length of {len}");
            usize::from(len)
        }
        len => usize::from(len),
    };
    let key = if masked { take(4) } else { &[0; 4] };
    let payload: Vec<u8> =
        take(len).iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    let (opcode, fin, compressed) = (head[0] & 0x0f, head[0] & 0x80 != 0, head[0] & 0x40 != 0);
    assert!([0, 1, 2, 8, 9, 10].contains(&opcode), "opcode {opcode}");
    if opcode >= CLOSE {
        assert!(fin && !compressed && len <= 125, "a control frame is short, whole and plain");
    }
    (Reply { opcode, fin, compressed, payload }, rest)
}

/// Where a stream is cut into reads.
#[derive(Clone, Debug)]
pub(crate) enum Cuts {
    Whole,
    EveryByte,
    /// Reads of these lengths, over and over.
    Lengths(Vec<usize>),
}

/// One connection and its host.
pub(crate) struct Rig {
    pub(crate) conn: Connection<AnyRole>,
    pub(crate) end: End,
    pub(crate) now: Time,
    pub(crate) out: Vec<u8>,
    over: bool,
    closes_sent: usize,
}

/// Makes a connection with the defaults of its end.
pub(crate) fn rig(end: End) -> Rig {
    rig_with(end, |_| ())
}

/// Makes a connection whose settings `set` changes.
pub(crate) fn rig_with(end: End, set: impl FnOnce(&mut Config)) -> Rig {
    let mut config = defaults(end);
    set(&mut config);
    Rig::new(end, Connection::new(role(end), Arc::new(config), Time::from_micros(0)))
}

pub(crate) fn defaults(end: End) -> Config {
    match end {
        End::Server => Config::server(),
        End::Client => Config::client(),
    }
}

pub(crate) fn role(end: End) -> AnyRole {
    match end {
        End::Server => AnyRole::Server,
        End::Client => AnyRole::Client(Client::new(|| OUR_KEY)),
    }
}

impl Rig {
    pub(crate) fn new(end: End, conn: Connection<AnyRole>) -> Self {
        assert_eq!(role(end).is_server(), end == End::Server);
        let (now, out) = (Time::from_micros(0), Vec::new());
        Self { conn, end, now, out, over: false, closes_sent: 0 }
    }

    /// Feeds bytes in one read and takes every event.
    pub(crate) fn feed(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
        let mut input = bytes.as_ref().to_vec();
        let mut seen = Vec::new();
        let mut events = self.conn.receive(&mut input, self.now, &mut self.out);
        while let Some(event) = events.next() {
            seen.push(Seen::of(event));
            assert!(events.consumed() <= bytes.as_ref().len());
        }
        assert_eq!(events.consumed(), bytes.as_ref().len(), "all bytes are used or thrown away");
        assert!(events.next().is_none(), "the end of events is the end");
        self.note_end(&seen);
        seen
    }

    pub(crate) fn feed_frames(&mut self, frames: &[Frame]) -> Vec<Seen> {
        self.feed(stream(self.end, frames))
    }

    /// Feeds bytes in several reads.
    pub(crate) fn feed_cut(&mut self, bytes: &[u8], cuts: &Cuts) -> Vec<Seen> {
        match cuts {
            Cuts::Whole => self.feed(bytes),
            Cuts::EveryByte => bytes.chunks(1).flat_map(|byte| self.feed(byte)).collect(),
            Cuts::Lengths(lengths) => {
                let (mut seen, mut rest) = (Vec::new(), bytes);
                for len in lengths.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let (read, later) = rest.split_at((*len).max(1).min(rest.len()));
                    seen.extend(self.feed(read));
                    rest = later;
                }
                seen
            }
        }
    }

    /// Feeds bytes but stops after each event and gives the rest again in another call.
    pub(crate) fn feed_stopping(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut input = bytes.to_vec();
        let mut seen = Vec::new();
        let mut at = 0;
        loop {
            let mut events = self.conn.receive(&mut input[at..], self.now, &mut self.out);
            let event = events.next().map(Seen::of);
            at += events.consumed();
            let Some(event) = event else {
                break;
            };
            seen.push(event);
        }
        self.note_end(&seen);
        seen
    }

    /// Takes what was appended for the peer, as a transport that takes all of it.
    pub(crate) fn replies(&mut self) -> Vec<Reply> {
        let frames = self.unwritten_replies();
        let len = self.out.len();
        self.out.clear();
        self.conn.written(len, self.now, &mut self.out);
        frames
    }

    /// Reads what was appended for the peer and leaves it there.
    pub(crate) fn unwritten_replies(&mut self) -> Vec<Reply> {
        let frames = read_frames(self.end, &self.out);
        let closes = frames.iter().filter(|frame| frame.opcode == CLOSE).count();
        assert!(closes <= 1, "at most one Close frame");
        if closes == 1 {
            assert_eq!(frames.last().map(|frame| frame.opcode), Some(CLOSE), "nothing follows");
        }
        frames
    }

    /// Lets the clock go on and calls `handle_timeout` each time it is due, as a host does.
    pub(crate) fn wait(&mut self, micros: u64) -> Vec<Error> {
        let until = Time::from_micros(self.now.as_micros() + micros);
        let (mut errors, mut rounds) = (Vec::new(), 0);
        while let Some(due) = self.conn.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            if let Err(error) = self.conn.handle_timeout(self.now, &mut self.out) {
                errors.push(error);
            }
            rounds += 1;
            assert!(rounds < 10_000, "what is due gets done");
        }
        self.now = until;
        let seen: Vec<Seen> = errors.iter().cloned().map(Seen::Failed).collect();
        self.note_end(&seen);
        errors
    }

    pub(crate) fn wait_secs(&mut self, secs: u64) -> Vec<Error> {
        self.wait(secs * 1_000_000)
    }

    pub(crate) fn send<'m>(&mut self, message: impl Into<MessageRef<'m>>) {
        self.conn.send(message, &mut self.out).unwrap();
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.conn.close(Some(code.into()), reason, self.now, &mut self.out).unwrap();
    }

    pub(crate) fn pieces(mut self) -> Self {
        self.conn.set_delivery(Delivery::Pieces);
        self
    }

    pub(crate) fn info(&self) -> CloseInfo {
        self.conn.close_info().expect("the connection is over").clone()
    }

    /// Checks that a connection tells of its end once, and that nothing follows.
    fn note_end(&mut self, seen: &[Seen]) {
        for event in seen {
            assert!(!self.over, "after the end came {event:?}");
            self.over = matches!(event, Seen::Close(..) | Seen::Failed(_));
        }
    }

    /// Checks that the connection failed with `error`: the peer is told `code` once, and the
    /// machine is at its end.
    pub(crate) fn assert_failed(&mut self, error: impl Into<Error>, code: u16) {
        let (error, end) = (error.into(), self.end);
        assert_eq!(error.close_code().map(|code| code.get()), Some(code), "{error:?}");
        let replies = self.replies();
        self.closes_sent += replies.iter().filter(|reply| reply.opcode == CLOSE).count();
        assert_eq!(self.closes_sent, 1, "{end:?}, {error:?}: one Close frame");
        let body = &replies.last().expect("the peer is told").payload;
        assert_eq!(body[..2], code.to_be_bytes(), "{end:?}, {error:?}");
        assert!(body[2..].is_ascii() && body.len() <= 125, "the reason is short ASCII");
        assert_eq!(body[2..], *error.to_string().as_bytes());
        let info = self.info();
        assert_eq!((info.code.get(), info.clean, info.by), (code, false, Side::Local));
        assert_eq!(info.reason, error.to_string());
        assert_eq!(self.conn.next(), Next::Shutdown);
        self.assert_terminal();
        assert_eq!(self.info(), info, "the verdict stands");
    }

    /// Checks that nothing that arrives or is asked for changes anything any more.
    pub(crate) fn assert_terminal(&mut self) {
        let end = self.end;
        for more in [
            frame(TEXT, "more"),
            frame(PING, "more"),
            close_frame(1000, "bye"),
            frame(3, "").reserved(7),
        ] {
            assert_eq!(self.feed(more.to(end)), []);
            assert_eq!(self.feed(&more.to(end)[..1]), []);
        }
        assert!(!self.conn.is_open());
        let closed = Err(Error::Misuse(Misuse::Closed));
        assert_eq!(self.conn.send("x", &mut self.out), closed);
        assert_eq!(self.conn.ping(b"", &mut self.out), closed);
        let piece = self.conn.send_piece(Kind::Text, b"x", Position::Last, &mut self.out);
        assert_eq!(piece, closed);
        assert_eq!(self.conn.close(None, "", self.now, &mut self.out), Ok(()));
        assert_eq!(self.replies(), [], "the peer hears no more");
    }
}

/// Feeds `bytes` to a fresh connection at `end` and checks that they fail it, whole and byte by
/// byte, with no event but the failure.
pub(crate) fn assert_fails(
    end: End,
    set: impl Fn(&mut Config),
    bytes: &[u8],
    error: impl Into<Error>,
    code: u16,
) {
    let error = error.into();
    for cuts in [Cuts::Whole, Cuts::EveryByte] {
        let mut rig = rig_with(end, &set);
        assert_eq!(rig.feed_cut(bytes, &cuts), [failed(error.clone())], "{end:?} {cuts:?}");
        rig.assert_failed(error.clone(), code);
    }
}

/// As [`assert_fails`], for both ends and their defaults.
pub(crate) fn both_fail(frames: &[Frame], error: PeerError, code: u16) {
    for end in ENDS {
        assert_fails(end, |_| (), &stream(end, frames), error, code);
    }
}

/// The peer's compressor, from another hand than ours.
pub(crate) struct Zip(flate2::Compress);

impl Default for Zip {
    fn default() -> Self {
        Self(flate2::Compress::new(flate2::Compression::best(), false))
    }
}

impl Zip {
    /// Compresses a message, referring to those before it, without the tail that is not sent.
    pub(crate) fn message(&mut self, payload: impl AsRef<[u8]>) -> Vec<u8> {
        let payload = payload.as_ref();
        let mut out = Vec::with_capacity(payload.len() * 2 + 1_000);
        self.0.compress_vec(payload, &mut out, flate2::FlushCompress::Sync).unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

/// Compresses a message that refers to no other.
pub(crate) fn zip(payload: impl AsRef<[u8]>) -> Vec<u8> {
    Zip::default().message(payload)
}

/// The peer's decompressor, from another hand than ours.
pub(crate) struct Unzip(flate2::Decompress);

impl Default for Unzip {
    fn default() -> Self {
        Self(flate2::Decompress::new(false))
    }
}

impl Unzip {
    pub(crate) fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut out = Vec::with_capacity(4 << 20);
        let before = self.0.total_in();
        self.0.decompress_vec(&whole, &mut out, flate2::FlushDecompress::Sync).unwrap();
        assert_eq!(self.0.total_in() - before, whole.len() as u64, "all of it is read");
        out
    }
}

/// A first frame of a compressed message, which is its last too unless told otherwise.
pub(crate) fn zipped(opcode: u8, compressed: impl AsRef<[u8]>) -> Frame {
    frame(opcode, compressed).reserved(4)
}

/// Makes a connection that agreed on compression.
pub(crate) fn rig_deflate(end: End, params: Params, set: impl FnOnce(&mut Config)) -> Rig {
    let mut config = defaults(end);
    config.deflate = Some(DeflateConfig::default());
    set(&mut config);
    let conn = Connection::new(role(end), Arc::new(config), Time::from_micros(0));
    Rig::new(end, conn.with_deflate(params))
}

/// What both ends forget after each message.
pub(crate) fn no_context() -> Params {
    Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Params::default()
    }
}
