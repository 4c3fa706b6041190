//! An allocator that refuses: whichever allocation of a conversation fails, the connection answers
//! with an error, and the process goes on.
//!
//! Refused is what the peer's bytes and our frames ask for. Granted are the opening handshake and the
//! set-up, which the last test holds to a bound, and what zlib asks for to compress our own messages with
//! a context.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::handshake::{ClientRequest, HeadReader, Policy, RequestHead, Url, accept};
use sockeye_proto::{
    AnyRole, CloseCode, Connection, Error, Kind, Limit, LimitError, Limits, Next, PeerError,
    Position, SendOptions, Time,
};

use crate::memory::{Lasting, Refusal, granting, measure, refused, refusing, set_refusal};
use crate::support::{
    BINARY, CLOSE, CONTINUATION, ENDS, End, Frame, PING, PONG, TEXT, Unzip, close_frame, defaults,
    frame, no_context, part, read_frames, role, zip, zipped,
};

/// What happens next at the end under test.
#[derive(Clone)]
enum Step {
    /// Bytes of the peer arrive, in one read.
    Receive(Vec<u8>),
    /// The application calls.
    Call(Call),
    /// The transport takes all that was appended.
    Write,
    /// Time passes until something is due.
    Wait,
}

type Call = fn(&mut Connection<AnyRole>, Time, &mut Vec<u8>) -> Result<(), Error>;

/// What became of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It went to its end.
    Finished,
    /// The connection failed.
    Failed,
    /// The application was refused a call, for want of memory that did not come back.
    Refused,
}

/// How the end under test hears of a refusal.
#[derive(Debug, Default)]
struct Counts {
    failed: usize,
    refused: usize,
    /// Refusals that were made up for: a call that was made again, a buffer that was not kept.
    finished: usize,
}

struct Talk {
    connection: Connection<AnyRole>,
    end: End,
    now: Time,
    out: Vec<u8>,
}

impl Talk {
    fn new(end: End, deflate: Option<Params>) -> Self {
        let mut config = defaults(end);
        config.deflate = deflate.map(|_| DeflateConfig::default());
        let now = Time::from_micros(0);
        let connection = Connection::new(role(end), Arc::new(config), now);
        let connection = match deflate {
            Some(params) => connection.with_deflate(params),
            None => connection,
        };
        Self { connection, end, now, out: Vec::new() }
    }

    fn run(&mut self, steps: &[Step]) -> Outcome {
        for step in steps {
            let outcome = match step {
                Step::Receive(bytes) => self.receive(bytes.clone()),
                Step::Call(call) => self.call(*call),
                Step::Write => self.write(),
                Step::Wait => self.wait(),
            };
            if let Err(outcome) = outcome {
                return outcome;
            }
        }
        Outcome::Finished
    }

    fn receive(&mut self, mut bytes: Vec<u8>) -> Result<(), Outcome> {
        let was_open = self.connection.is_open();
        let Self { connection, now, out, .. } = self;
        let failure = refusing(|| {
            let mut events = connection.receive(&mut bytes, *now, out);
            while let Some(event) = events.next() {
                if let Err(error) = event {
                    return Some(error);
                }
            }
            None
        });
        match failure {
            // What the peer says last, and is wrong.
            None | Some(Error::Peer(PeerError::UnexpectedContinuation)) => Ok(()),
            Some(error) => Err(self.failed(&error, was_open)),
        }
    }

    /// Makes a call of the application, and makes it again if it was refused.
    fn call(&mut self, call: Call) -> Result<(), Outcome> {
        for _ in 0..2 {
            let Self { connection, now, out, .. } = self;
            let (before, queued) = (out.len(), connection.queued());
            let Err(error) = refusing(|| call(connection, *now, out)) else {
                return Ok(());
            };
            assert_is_memory(&error);
            assert!(self.connection.is_open(), "a call that is refused changes nothing");
            assert_eq!((self.out.len(), self.connection.queued()), (before, queued));
        }
        Err(Outcome::Refused)
    }

    fn write(&mut self) -> Result<(), Outcome> {
        read_frames(self.end, &self.out);
        let Self { connection, now, out, .. } = self;
        let len = std::mem::take(out).len();
        refusing(|| connection.written(len, *now, out));
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Outcome> {
        self.now = self.connection.poll_timeout().unwrap();
        let Self { connection, now, out, .. } = self;
        let waited = refusing(|| connection.handle_timeout(*now, out));
        waited.map_err(|error| self.failed(&error, true))
    }

    /// Checks that the connection failed as it must, and that the peer gets whole frames only: a
    /// Close frame last, if none went before and there is memory for it again.
    fn failed(&self, error: &Error, was_open: bool) -> Outcome {
        assert_is_memory(error);
        assert_eq!(self.connection.next(), Next::Shutdown);
        let info = self.connection.close_info().unwrap();
        let frames = read_frames(self.end, &self.out);
        let told = frames.last().is_some_and(|frame| {
            frame.opcode == CLOSE && frame.payload.starts_with(&1011u16.to_be_bytes())
        });
        if refused() == 1 {
            assert_eq!(told, was_open, "memory came back, so the peer is told");
            assert_eq!((info.code, info.reason.clone()), (CloseCode::INTERNAL, error.to_string()));
        }
        Outcome::Failed
    }

    /// Ends the connection, which holds nothing but how it ended then.
    fn end(mut self) {
        refusing(|| self.connection.receive_eof());
        assert_eq!(self.connection.next(), Next::Close);
        assert!(self.connection.close_info().is_some());
    }
}

fn assert_is_memory(error: &Error) {
    assert!(
        matches!(error, Error::Limit(LimitError { limit: Limit::Memory, seen: 1.., .. })),
        "{error:?}"
    );
    assert_eq!(error.close_code(), Some(CloseCode::INTERNAL));
}

/// Makes a conversation in which everything that can be asked of a connection is, once at least.
fn conversation(end: End, deflate: Option<Params>, last: Last) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut arrive = |frame: Frame, reads: usize| {
        let bytes = frame.to(end);
        let size = bytes.len().div_ceil(reads);
        steps.extend(bytes.chunks(size).map(|read| Step::Receive(read.to_vec())));
    };
    arrive(frame(TEXT, "whole"), 1);
    arrive(part(BINARY, [7; 3_000]), 1);
    arrive(part(CONTINUATION, [8; 3_000]), 2);
    arrive(frame(PING, "between"), 2);
    arrive(frame(CONTINUATION, [9; 3_000]), 1);
    arrive(frame(TEXT, "é".repeat(5_000)), 4);
    if deflate.is_some() {
        let noise: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        arrive(zipped(BINARY, zip(b"river ".repeat(9_000))), 3);
        arrive(zipped(BINARY, zip(noise)), 3);
    }
    // More than may wait for an answer.
    for _ in 0..66 {
        arrive(frame(PING, "are you there?"), 1);
    }
    arrive(frame(PONG, "unasked"), 2);
    steps.push(Step::Write);
    steps.extend(CALLS.into_iter().flat_map(|call| [Step::Call(call), Step::Write]));
    if deflate.is_none() {
        steps.extend(PIECES.map(Step::Call));
    }
    if deflate.is_some_and(|params| params == no_context()) {
        steps.push(Step::Call(send_compressed));
    }
    steps.extend([Step::Write, Step::Wait, Step::Write]);
    steps.extend(last(end));
    steps
}

/// Messages below the length from which they are compressed, and control frames.
const CALLS: [Call; 4] = [
    |connection, _, out| connection.send("short", out),
    |connection, _, out| {
        let options = SendOptions { fragment: NonZeroUsize::new(100), ..SendOptions::default() };
        connection.send_with(&[5; 1_000][..], options, out)
    },
    |connection, _, out| connection.ping(&[1; 125], out),
    |connection, _, out| connection.pong(&[2; 125], out),
];

/// A message that is compressed, and too long for the memory that is there already.
fn send_compressed(
    connection: &mut Connection<AnyRole>,
    _: Time,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    static MESSAGE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 9) as u8 & 63).collect());
    // Made while memory is granted.
    let message = granting(|| &**MESSAGE);
    connection.send(message, out)
}

/// One message in pieces, each longer than all before it.
const PIECES: [Call; 3] = [
    |connection, _, out| connection.send_piece(Kind::Text, &[b'a'; 3_000], Position::More, out),
    |connection, _, out| connection.send_piece(Kind::Text, &[b'b'; 9_000], Position::More, out),
    |connection, _, out| connection.send_piece(Kind::Text, &[b'c'; 30_000], Position::Last, out),
];

/// The end of a conversation.
type Last = fn(End) -> Vec<Step>;

fn we_close(end: End) -> Vec<Step> {
    let close = |connection: &mut Connection<AnyRole>, now, out: &mut Vec<u8>| {
        connection.close(Some(CloseCode::AWAY), "so long", now, out)
    };
    let answer = close_frame(1001, "so long").to(end);
    vec![Step::Call(close), Step::Write, Step::Receive(answer)]
}

fn peer_closes(end: End) -> Vec<Step> {
    let bytes = close_frame(1000, "good bye").to(end);
    let (first, rest) = bytes.split_at(9);
    vec![Step::Receive(first.to_vec()), Step::Receive(rest.to_vec()), Step::Write]
}

fn peer_errs(end: End) -> Vec<Step> {
    vec![Step::Receive(frame(CONTINUATION, "").to(end)), Step::Write]
}

/// Runs the conversation with each allocation refused in turn, until none is.
fn sweep(end: End, deflate: Option<Params>, lasting: Lasting, last: Last) -> Counts {
    let steps = conversation(end, deflate, last);
    let mut counts = Counts::default();
    for after in 0.. {
        let mut talk = Talk::new(end, deflate);
        set_refusal(Refusal { after, least: 0, lasting });
        let outcome = talk.run(&steps);
        let refused = refused();
        talk.end();
        match outcome {
            Outcome::Finished if refused == 0 => break,
            Outcome::Finished => counts.finished += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Refused => counts.refused += 1,
        }
    }
    counts
}

// SAF-014
#[test]
fn whichever_allocation_fails_the_connection_says_so_and_the_process_goes_on() {
    let kept = Params::default();
    for end in ENDS {
        for deflate in [None, Some(kept), Some(no_context())] {
            for last in [we_close, peer_closes, peer_errs] {
                let once = sweep(end, deflate, Lasting::Once, last);
                assert!(once.failed >= 20, "{once:?}");
                assert_eq!(once.refused, 0, "a call that is made again is not refused");
                assert!(once.finished >= 10, "{once:?}");
                let for_ever = sweep(end, deflate, Lasting::ForEver, last);
                assert!(for_ever.failed >= once.failed && for_ever.refused >= 3, "{for_ever:?}");
            }
        }
    }
}

// SAF-014
#[test]
fn a_compressed_message_without_memory_for_its_frame_is_not_sent_and_the_next_one_is() {
    for end in ENDS {
        let mut talk = Talk::new(end, Some(Params::default()));
        let message = "river ".repeat(20_000);
        talk.connection.send(message.as_str(), &mut talk.out).unwrap();
        // Far more waits than compressing takes memory for, so that only the queue has to grow.
        talk.out = Vec::with_capacity(1 << 20);
        talk.out.resize(1 << 20, 0);
        let Talk { connection, out, .. } = &mut talk;
        set_refusal(Refusal { after: 0, least: 1 << 20, lasting: Lasting::Once });
        let error = refusing(|| connection.send(message.as_str(), out)).unwrap_err();
        assert_is_memory(&error);
        assert_eq!(out.len(), 1 << 20);
        out.clear();
        connection.send(message.as_str(), out).unwrap();
        let frames = read_frames(end, out);
        assert!(frames[0].compressed);
        // The peer's decompressor saw the first message and not the second.
        let mut peer = Unzip::default();
        peer.message(&zip(&message));
        assert_eq!(peer.message(&frames[0].payload), message.as_bytes());
    }
}

// SAF-014
#[test]
fn opening_handshake_and_set_up_take_a_few_kilobytes_at_most() {
    let headers: String = (0..95).map(|i| format!("x-{i}: {}\r\n", "v".repeat(150))).collect();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    let policy = Policy::default();
    let (out, server) = measure(|| {
        let end = HeadReader::request().read(head.as_bytes(), &Limits::default());
        assert_eq!(end, Ok(Some(head.len())));
        let request = RequestHead::parse(head.as_bytes()).unwrap();
        let mut out = Vec::new();
        accept(&request, &policy).unwrap().write(&mut out);
        out
    });
    let url = Url::parse("ws://a/").unwrap();
    let ((), client) = measure(|| {
        let request = ClientRequest::new(&url, *b"the sample nonce");
        request.write(&mut Vec::new());
        request.handshake(&Limits::default()).read(&out).unwrap().unwrap();
    });
    let (_, set_up) = measure(|| ENDS.map(|end| Talk::new(end, Some(Params::default()))));
    for usage in [server, client, set_up] {
        assert!(usage.peak <= 8 << 10, "{usage:?}");
    }
}
