//! The same bytes given to us and to others: tungstenite's and fastwebsockets' decoders of frames,
//! hyper's parser of requests.
//!
//! The generators start from the same seed on each run. Where an other is more lenient than RFC
//! 6455 the difference is written down here, with what it is, and nothing else may differ.

use std::io::Cursor;
use std::sync::Arc;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocketError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Settings, RngAlgorithm, TestRng, TestRunner};
use sockeye::Config;
use sockeye_proto::{AnyRole, Connection, Error, Event, Message, PeerError, Time};
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

/// What we make of bytes, and why we fail if we do.
fn ours(bytes: &[u8]) -> (Vec<Seen>, Option<Error>) {
    let mut config = Config::server();
    config.limits.control_rate = u16::MAX;
    let now = Time::from_micros(0);
    let mut connection = Connection::new(AnyRole::Server, Arc::new(config), now);
    let (mut input, mut out, mut seen) = (bytes.to_vec(), Vec::new(), Vec::new());
    let mut why = None;
    let mut events = connection.receive(&mut input, now, &mut out);
    while let Some(event) = events.next() {
        seen.push(match event {
            Ok(Event::Message(Message::Text(text))) => Seen::Text(text.into_string()),
            Ok(Event::Message(Message::Binary(bytes))) => Seen::Binary(bytes.into_vec()),
            Ok(Event::Close(close)) => {
                Seen::Close(Some(close.code.get()).filter(|code| *code != 1005), close.reason)
            }
            Ok(_) => continue,
            Err(error) => {
                why = Some(error);
                Seen::Failed
            }
        });
    }
    (seen, why)
}

fn tungstenite(bytes: &[u8]) -> Vec<Seen> {
    let mut config = other::protocol::WebSocketConfig::default();
    config.max_message_size = Some(1 << 20);
    config.max_frame_size = Some(1 << 20);
    let io = Transport(Cursor::new(bytes.to_vec()));
    let role = other::protocol::Role::Server;
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

fn fast(bytes: &[u8]) -> Vec<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let io = tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink());
    let mut socket = fastwebsockets::WebSocket::after_handshake(io, Role::Server);
    socket.set_max_message_size((1 << 20) + 1);
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

/// Text, or nearly.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[ -~é€😀]{0,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
        1 => (prop_oneof![120..130usize, 65_530..65_540usize]).prop_map(|len| vec![b'x'; len]),
    ]
}

/// A message in fragments, which may be cut inside a character, with control frames between them.
fn message() -> impl Strategy<Value = Vec<Vec<u8>>> {
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
            frame(From::Client, fin | first, &payload[cut[0]..cut[1]])
        };
        let mut frames: Vec<_> = at.windows(2).enumerate().map(piece).collect();
        for (opcode, payload) in pings {
            frames.insert(frames.len() / 2, frame(From::Client, 0x80 | opcode, &payload));
        }
        frames
    })
}

/// A masked frame with any first byte; a length that is not the shortest is a listed difference
/// (FRM-012), so none is made.
fn strange() -> impl Strategy<Value = Vec<u8>> {
    let any_frame =
        (any::<u8>(), payload()).prop_map(|(first, payload)| frame(From::Client, first, &payload));
    let close = (0..6_000u16, payload()).prop_map(|(code, mut reason)| {
        reason.truncate(123);
        frame(From::Client, 0x80 | CLOSE, &[&code.to_be_bytes()[..], &reason].concat())
    });
    let short =
        vec(any::<u8>(), 0..2).prop_map(|payload| frame(From::Client, 0x80 | CLOSE, &payload));
    prop_oneof![any_frame, close, short]
}

fn conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (vec(message(), 0..5), vec(strange(), 0..3), vec(message(), 0..2)).prop_map(
        |(before, strange, after)| {
            before.into_iter().flatten().chain(strange).chain(after.into_iter().flatten()).collect()
        },
    )
}

/// Asserts that `theirs` is what we see. Behind what `lenient` lists they may see more.
fn compare(
    bytes: &[u8],
    mut theirs: Vec<Seen>,
    lenient: fn(&Error) -> bool,
) -> Result<(), TestCaseError> {
    let (mut seen, why) = ours(bytes);
    // Registered by IANA in 2012 and sent by proxies; the others know no 1014.
    if seen.last().is_some_and(|last| matches!(last, Seen::Close(Some(1014), _))) {
        seen.pop();
        seen.push(Seen::Failed);
    }
    if why.is_some_and(|why| lenient(&why)) {
        seen.pop();
        theirs.truncate(seen.len());
    }
    prop_assert_eq!(seen, theirs);
    Ok(())
}

#[test]
fn tungstenite_decodes_the_same() {
    check(4_000, conversation(), |frames| {
        let bytes = frames.concat();
        compare(&bytes, tungstenite(&bytes), |_| false)
    });
}

// It begins a message within another, takes Close and Pong frames of any length, and text whose
// last character is cut.
#[test]
fn fastwebsockets_decodes_the_same_but_for_what_it_lets_pass() {
    check(4_000, conversation(), |frames| {
        let bytes = frames.concat();
        compare(&bytes, fast(&bytes), |why| {
            matches!(
                why,
                Error::Peer(
                    PeerError::InvalidUtf8
                        | PeerError::ControlTooLong
                        | PeerError::ExpectedContinuation
                )
            )
        })
    });
}
