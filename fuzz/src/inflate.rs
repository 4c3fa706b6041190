//! Compressed messages of any bytes, against zlib's verdict on them.
//!
//! zlib runs with the largest window throughout: with a smaller one it lets some distances beyond
//! it pass, which the core refuses. So the core may refuse more, but what both take is the same, and
//! with the largest window zlib has to agree that a payload is corrupt.

use arbitrary::{Arbitrary, Unstructured};
use flate2::{Decompress, FlushDecompress};
use sockeye_proto::deflate::{Context, InflateStatus, Inflater, Params, Pool};
use sockeye_proto::{Config, Connection, Event, Limit, LimitError, Message, Server, Time};

use crate::wire::Frame;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    window: u8,
    forgets: bool,
    /// Compressed bytes given at a time, and room given at a time.
    chunk: u8,
    room: u16,
    /// Bytes of the first messages; the last has the rest.
    lengths: [u8; 3],
}

/// What one side made of a message.
#[derive(Debug)]
struct Made {
    bytes: Vec<u8>,
    verdict: Verdict,
    /// Whether it is corrupt whatever follows.
    is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All of it, and the message may end there.
    Whole,
    /// More was to come of it than is wanted here.
    TooLong,
    /// It ended inside a block.
    Unfinished,
    Corrupt,
}

/// Inflates a few messages of one connection.
pub fn inflate(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bits = 8 + input.window % 8;
    let mut rest = data.take_rest();
    let mut messages = Vec::new();
    for length in input.lengths {
        let (message, later) = rest.split_at(rest.len().min(length.into()));
        messages.push(message);
        rest = later;
    }
    messages.push(rest);
    let made = by_inflater(input, bits, &messages);
    compare(&made, &by_zlib(input, &messages), bits);
    check_connection(input, bits, &messages, &made);
}

/// Inflates with the core's own type, until a message does not inflate.
fn by_inflater(input: Input, bits: u8, messages: &[&[u8]]) -> Vec<Made> {
    let context = if input.forgets { Context::Forget } else { Context::Keep };
    let mut inflater = Inflater::new(bits, context, &Pool::default());
    let mut all = Vec::new();
    for message in messages {
        let mut bytes = Vec::new();
        let mut verdict = pour(&mut inflater, input, message, &mut bytes);
        if verdict == Verdict::Whole && inflater.finish_message().is_err() {
            verdict = Verdict::Unfinished;
        }
        all.push(Made { bytes, verdict, is_lost: verdict == Verdict::Corrupt });
        if verdict != Verdict::Whole {
            break;
        }
    }
    all
}

fn pour(inflater: &mut Inflater, input: Input, message: &[u8], out: &mut Vec<u8>) -> Verdict {
    let room = usize::from(input.room).max(16);
    for mut chunk in crate::drive::chunks(message, input.chunk) {
        loop {
            let mut made = Vec::new();
            let result = inflater.inflate(chunk, &mut made, room);
            assert!(made.len() <= room, "more than there was room for");
            out.extend_from_slice(&made);
            if out.len() > LONGEST {
                return Verdict::TooLong;
            }
            let Ok(inflated) = result else {
                return Verdict::Corrupt;
            };
            chunk = &chunk[inflated.consumed..];
            match inflated.status {
                InflateStatus::NeedInput => break assert!(chunk.is_empty()),
                InflateStatus::OutputFull => assert_eq!(made.len(), room),
            }
        }
    }
    Verdict::Whole
}

/// Inflates with zlib: each message as a stream of its own, behind what the window holds.
fn by_zlib(input: Input, messages: &[&[u8]]) -> Vec<Made> {
    let mut window = Vec::new();
    let mut all = Vec::new();
    for message in messages {
        let mut made = zlib_message(&window, &[message, END_OF_MESSAGE]);
        if made.verdict == Verdict::Whole {
            // Some codes that cannot mean anything fail zlib only when it meets a symbol.
            let fails = |tail| zlib_message(&window, &[message, tail]).verdict == Verdict::Corrupt;
            made.is_lost = fails(&[0; 512]) && fails(&[0xff; 512]);
        }
        if !input.forgets {
            window.extend_from_slice(&made.bytes);
            window.drain(..window.len().saturating_sub(32 << 10));
        }
        let verdict = made.verdict;
        all.push(made);
        if verdict != Verdict::Whole {
            break;
        }
    }
    all
}

fn zlib_message(window: &[u8], parts: &[&[u8]]) -> Made {
    let mut zlib = Decompress::new(false);
    if !window.is_empty() {
        zlib.set_dictionary(window).expect("a raw stream takes one at its start");
    }
    let payload = parts.concat();
    let mut bytes = vec![0; LONGEST + (64 << 10)];
    let result = zlib.decompress(&payload, &mut bytes, FlushDecompress::Sync);
    bytes.truncate(zlib.total_out() as usize);
    let verdict = match result {
        _ if bytes.len() > LONGEST => Verdict::TooLong,
        Err(_) => Verdict::Corrupt,
        Ok(_) => Verdict::Whole,
    };
    Made { bytes, verdict, is_lost: verdict == Verdict::Corrupt }
}

fn compare(ours: &[Made], theirs: &[Made], bits: u8) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        let common = ours.bytes.len().min(theirs.bytes.len());
        assert!(ours.bytes[..common] == theirs.bytes[..common], "other bytes than zlib's");
        match ours.verdict {
            Verdict::Whole => {
                assert_eq!(theirs.verdict, Verdict::Whole);
                assert_eq!(ours.bytes.len(), theirs.bytes.len());
            }
            Verdict::TooLong => assert_eq!(theirs.verdict, Verdict::TooLong),
            Verdict::Corrupt if bits == 15 => assert!(theirs.is_lost, "good for zlib"),
            Verdict::Corrupt | Verdict::Unfinished => {}
        }
    }
}

/// Sends the messages as frames, to a server that wants no more than `room` bytes of each.
fn check_connection(input: Input, bits: u8, messages: &[&[u8]], made: &[Made]) {
    let mut config = Config::server();
    config.limits.message = input.room.into();
    let params = Params {
        client_no_context_takeover: input.forgets,
        client_max_window_bits: bits,
        ..Params::default()
    };
    let now = Time::from_micros(0);
    let mut connection = Connection::new(Server, config.into(), now).with_deflate(params);
    let mut out = Vec::new();
    for (message, made) in messages.iter().zip(made) {
        let frame = Frame { first: 0xc2, payload: message.to_vec() };
        let mut bytes = Vec::new();
        frame.write(Some([9, 8, 7, 6]), &mut bytes);
        let mut events = connection.receive(&mut bytes, now, &mut out);
        match events.next() {
            Some(Ok(Event::Message(Message::Binary(bytes)))) => {
                assert_eq!(made.verdict, Verdict::Whole);
                assert!(bytes.as_bytes() == made.bytes, "other bytes than the inflater's");
                assert!(bytes.as_bytes().len() <= usize::from(input.room));
            }
            Some(Err(sockeye_proto::Error::Limit(LimitError {
                limit: Limit::Message, ..
            }))) => {
                let too_long = message.len().max(made.bytes.len()) > usize::from(input.room);
                return assert!(too_long, "refused for its length");
            }
            Some(Err(_)) => return assert_ne!(made.verdict, Verdict::Whole),
            other => panic!("{other:?}"),
        }
    }
}

/// What a sender leaves out behind each message (RFC 7692 section 7.2.1).
const END_OF_MESSAGE: &[u8] = &[0, 0, 0xff, 0xff];

/// The bytes after which a message is of no more interest.
const LONGEST: usize = 100 << 10;
