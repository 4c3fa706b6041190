//! The same bytes given to us and to others: tungstenite's and fastwebsockets' decoders of frames,
//! hyper's parser of requests.
//!
//! The generators start from the same seed on each run. Where an other is more lenient than RFC
//! 6455 the difference is written down here, with what it is, and nothing else may differ.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocketError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Settings, RngAlgorithm, TestRng, TestRunner};
use sockeye::Config;
use sockeye_proto::{AnyRole, Client, Connection, Error, Event, Message, PeerError, Time};
use tokio_tungstenite::tungstenite as other;

use crate::support::{BINARY, CLOSE, CONTINUATION, From, PING, PONG, TEXT, frame};

/// Runs `property` on values that are the same each time.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: std::fmt::Debug,
{
    let settings = Settings { cases, failure_persistence: None, ..Settings::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(settings, rng).run(&strategy, property).unwrap();
}

/// What a decoder makes of bytes; control frames that ask for no verdict are left out.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    /// The peer closed; nothing behind it counts.
    Close(Option<u16>, String),
    Failed,
}

/// What we make of frames, and if we fail, why, and the frames up to the one at fault.
fn ours(from: From, frames: &[Sent]) -> (Vec<Seen>, Option<(PeerError, &[Sent])>) {
    let (mut config, role) = match from {
        From::Client => (Config::server(), AnyRole::Server),
        From::Server => (Config::client(), AnyRole::Client(Client::new(|| [1, 2, 3, 4]))),
    };
    config.limits.control_rate = u16::MAX;
    config.limits.message = LONGEST;
    let now = Time::from_micros(0);
    let mut connection = Connection::new(role, Arc::new(config), now);
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    for (index, frame) in frames.iter().enumerate() {
        let mut input = frame.encode(from);
        let mut events = connection.receive(&mut input, now, &mut out);
        while let Some(event) = events.next() {
            seen.push(match event {
                Ok(Event::Message(Message::Text(text))) => Seen::Text(text.into_string()),
                Ok(Event::Message(Message::Binary(bytes))) => Seen::Binary(bytes.into_vec()),
                Ok(Event::Close(close)) => {
                    Seen::Close(Some(close.code.get()).filter(|code| *code != 1005), close.reason)
                }
                Ok(_) => continue,
                Err(Error::Peer(error)) => {
                    seen.push(Seen::Failed);
                    return (seen, Some((error, &frames[..=index])));
                }
                Err(error) => panic!("no limit is reached: {error}"),
            });
        }
    }
    (seen, None)
}

fn tungstenite(from: From, bytes: &[u8]) -> Vec<Seen> {
    let mut config = other::protocol::WebSocketConfig::default();
    config.max_message_size = Some(LONGEST);
    config.max_frame_size = Some(LONGEST);
    let io = Transport(Cursor::new(bytes.to_vec()));
    let role = match from {
        From::Client => other::protocol::Role::Server,
        From::Server => other::protocol::Role::Client,
    };
    let mut socket = other::WebSocket::from_raw_socket(io, role, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(other::Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(other::Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(other::Message::Close(close)) => {
                // A code that may not be sent is told as a Close of the decoder's own.
                let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
                seen.push(match close {
                    Some((1002, reason)) if reason == "Protocol violation" => Seen::Failed,
                    Some((code, reason)) => Seen::Close(Some(code), reason),
                    None => Seen::Close(None, String::new()),
                });
                return seen;
            }
            Ok(_) => continue,
            Err(other::Error::Protocol(
                other::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return seen,
            Err(_) => Seen::Failed,
        });
        if seen.last() == Some(&Seen::Failed) {
            return seen;
        }
    }
}

/// Reads what there is, and swallows what is written.
struct Transport(Cursor<Vec<u8>>);

impl std::io::Read for Transport {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl std::io::Write for Transport {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn fast(from: From, bytes: &[u8]) -> Vec<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let io = tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink());
    let role = match from {
        From::Client => Role::Server,
        From::Server => Role::Client,
    };
    let mut socket = fastwebsockets::WebSocket::after_handshake(io, role);
    socket.set_max_message_size(LONGEST + 1);
    let mut collector = FragmentCollector::new(socket);
    let mut seen = Vec::new();
    loop {
        match runtime.block_on(collector.read_frame()) {
            Ok(frame) => match frame.opcode {
                OpCode::Text => {
                    seen.push(Seen::Text(String::from_utf8(frame.payload.to_vec()).unwrap()));
                }
                OpCode::Binary => seen.push(Seen::Binary(frame.payload.to_vec())),
                OpCode::Close => {
                    let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    let reason = frame.payload.get(2..).unwrap_or_default().to_vec();
                    seen.push(Seen::Close(code, String::from_utf8(reason).unwrap()));
                    return seen;
                }
                _ => {}
            },
            Err(WebSocketError::UnexpectedEOF) => return seen,
            Err(_) => {
                seen.push(Seen::Failed);
                return seen;
            }
        }
    }
}

/// A frame of the peer, before it is encoded.
#[derive(Clone, Debug)]
struct Sent {
    first: u8,
    payload: Vec<u8>,
    masking: Masking,
    length: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Masking {
    Right,
    /// A client's frame without a mask, a server's with one.
    Wrong,
}

/// The form of the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Shortest,
    Sixteen,
    SixtyFour,
    /// In 64 bits, the highest of which is set.
    Negative,
}

impl Sent {
    fn legal(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        let (masking, length) = (Masking::Right, Length::Shortest);
        Self { first, payload: payload.into(), masking, length }
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    fn is_data(&self) -> bool {
        self.opcode() & 8 == 0
    }

    fn encode(&self, from: From) -> Vec<u8> {
        let sender = match (from, self.masking) {
            (From::Client, Masking::Right) | (From::Server, Masking::Wrong) => From::Client,
            (From::Server, Masking::Right) | (From::Client, Masking::Wrong) => From::Server,
        };
        let shortest = frame(sender, self.first, &self.payload);
        let mask_bit = shortest[1] & 0x80;
        let len = self.payload.len() as u64;
        let rest = match shortest[1] & 0x7f {
            127 => &shortest[10..],
            126 => &shortest[4..],
            _ => &shortest[2..],
        };
        let head = match self.length {
            Length::Sixteen if len <= 0xffff => {
                [&[self.first, mask_bit | 126][..], &(len as u16).to_be_bytes()].concat()
            }
            Length::Shortest | Length::Sixteen => return shortest,
            Length::SixtyFour => [&[self.first, mask_bit | 127][..], &len.to_be_bytes()].concat(),
            Length::Negative => {
                [&[self.first, mask_bit | 127][..], &(len | 1 << 63).to_be_bytes()].concat()
            }
        };
        [&head, rest].concat()
    }
}

/// Text, or nearly.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[ -~é€😀]{0,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
        1 => (prop_oneof![120..130usize, 65_530..65_540usize]).prop_map(|len| vec![b'x'; len]),
    ]
}

/// A message in fragments, which may be cut inside a character, with control frames between them.
fn any_message() -> impl Strategy<Value = Vec<Sent>> {
    let opcode = prop_oneof![Just(TEXT), Just(BINARY)];
    let cuts = vec(any::<prop::sample::Index>(), 0..4);
    let pings = vec((prop_oneof![Just(PING), Just(PONG)], vec(any::<u8>(), 0..=125)), 0..2);
    (opcode, payload(), cuts, pings).prop_map(|(opcode, payload, cuts, pings)| {
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        at.extend([0, payload.len()]);
        at.sort_unstable();
        let last = at.len() - 2;
        let piece = |(index, cut): (usize, &[usize])| {
            let first = if index == 0 { opcode } else { CONTINUATION };
            let fin = if index == last { 0x80 } else { 0 };
            Sent::legal(fin | first, &payload[cut[0]..cut[1]])
        };
        let mut frames: Vec<_> = at.windows(2).enumerate().map(piece).collect();
        for (opcode, payload) in pings {
            frames.insert(frames.len() / 2, Sent::legal(0x80 | opcode, payload));
        }
        frames
    })
}

/// A frame with any first byte, any form of the length, and now and then the wrong masking.
fn strange() -> impl Strategy<Value = Sent> {
    const FIRSTS: [u8; 6] = [TEXT, BINARY, 0x80 | TEXT, 0x80 | BINARY, 0x80 | PING, 0x80 | PONG];
    let any_frame =
        (any::<u8>(), payload()).prop_map(|(first, payload)| Sent::legal(first, payload));
    let code = prop_oneof![4 => 0..6_000u16, 1 => Just(1014)];
    let close = (code, payload()).prop_map(|(code, mut reason)| {
        reason.truncate(123);
        Sent::legal(0x80 | CLOSE, [&code.to_be_bytes()[..], &reason].concat())
    });
    let short = vec(any::<u8>(), 0..2).prop_map(|payload| Sent::legal(0x80 | CLOSE, payload));
    let plain = (prop::sample::select(&FIRSTS[..]), payload())
        .prop_map(|(first, payload)| Sent::legal(first, payload));
    let length = prop_oneof![
        6 => Just(Length::Shortest),
        2 => Just(Length::Sixteen),
        2 => Just(Length::SixtyFour),
        1 => Just(Length::Negative),
    ];
    let masking = prop_oneof![8 => Just(Masking::Right), 1 => Just(Masking::Wrong)];
    let sent = prop_oneof![any_frame, close, short, plain];
    (sent, length, masking).prop_map(|(sent, length, masking)| Sent { length, masking, ..sent })
}

fn conversation() -> impl Strategy<Value = Vec<Sent>> {
    (vec(any_message(), 0..5), vec(strange(), 0..3), vec(any_message(), 0..2)).prop_map(
        |(before, strange, after)| {
            before.into_iter().flatten().chain(strange).chain(after.into_iter().flatten()).collect()
        },
    )
}

/// A difference that stands in docs/catalogue.md, below FRM-033.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Another refuses close code 1014, registered by IANA in 2012 and sent by proxies.
    BadGateway,
    /// Another begins a message within another.
    Nested,
    /// Another takes a length in more bytes than it needs.
    LongLength,
    /// Another takes a control frame that is too long.
    LongControl,
    /// Another takes a control frame whose length is short but in a long form.
    LongControlLength,
    /// Another takes a frame with the masking of the other side.
    WrongMasking,
    /// Another takes text whose last character is cut.
    CutText,
}

/// Returns what we refuse in the last of these frames, if others may let it pass.
fn difference(why: PeerError, frames: &[Sent]) -> Option<Difference> {
    let last = frames.last()?;
    Some(match why {
        PeerError::ExpectedContinuation => Difference::Nested,
        PeerError::LengthNotMinimal => Difference::LongLength,
        PeerError::ControlTooLong if last.payload.len() > 125 => Difference::LongControl,
        PeerError::ControlTooLong if last.length != Length::Negative => {
            Difference::LongControlLength
        }
        PeerError::MaskedFrame | PeerError::UnmaskedFrame => Difference::WrongMasking,
        PeerError::InvalidUtf8 if last.is_data() && is_cut(&message(frames)) => Difference::CutText,
        _ => return None,
    })
}

/// Returns what the frames hold of the message that they end in.
fn message(frames: &[Sent]) -> Vec<u8> {
    let data = || frames.iter().enumerate().filter(|(_, sent)| sent.is_data());
    let first = data().rfind(|(_, sent)| sent.opcode() != CONTINUATION).map_or(0, |(at, _)| at);
    data().skip_while(|(at, _)| *at < first).flat_map(|(_, sent)| sent.payload.clone()).collect()
}

/// Tells whether all that is wrong with a text is that it stops inside a character.
fn is_cut(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none())
}

/// Gives the same conversations, as a client's and as a server's, to us and to `theirs`, and asserts
/// that both see the same, but for the listed differences, each of which must be met.
fn decodes_the_same(theirs: fn(From, &[u8]) -> Vec<Seen>, listed: &[Difference]) {
    let met = RefCell::new(BTreeSet::new());
    for from in [From::Client, From::Server] {
        check(6_000, conversation(), |frames| {
            let bytes: Vec<u8> = frames.iter().flat_map(|sent| sent.encode(from)).collect();
            let (mut seen, why) = ours(from, &frames);
            let mut their = theirs(from, &bytes);
            if matches!(seen.last(), Some(Seen::Close(Some(1014), _))) && seen != their {
                seen.pop();
                seen.push(Seen::Failed);
                met.borrow_mut().insert(Difference::BadGateway);
            }
            if seen != their
                && let Some(difference) = why.and_then(|(why, frames)| difference(why, frames))
            {
                // What they see of it and behind it is theirs to say.
                seen.pop();
                their.truncate(seen.len());
                met.borrow_mut().insert(difference);
            }
            prop_assert_eq!(seen, their);
            Ok(())
        });
    }
    assert_eq!(met.into_inner().into_iter().collect::<Vec<_>>(), listed);
}

// FRM-033
#[test]
fn tungstenite_decodes_the_same_but_for_the_listed_differences() {
    let listed = [Difference::BadGateway, Difference::LongLength, Difference::LongControlLength];
    decodes_the_same(tungstenite, &listed);
}

// FRM-033
#[test]
fn fastwebsockets_decodes_the_same_but_for_the_listed_differences() {
    let listed = [
        Difference::BadGateway,
        Difference::Nested,
        Difference::LongLength,
        Difference::LongControl,
        Difference::LongControlLength,
        Difference::WrongMasking,
        Difference::CutText,
    ];
    decodes_the_same(fast, &listed);
}

/// The longest message, for all.
const LONGEST: usize = 1 << 20;
