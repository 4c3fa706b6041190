//! Streams cut anywhere: the same bytes give the same events and the same replies. Streams of
//! anything: no panic, and memory within the limit.
//!
//! The generator starts from the same seed on each run.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Settings, RngAlgorithm, TestRng, TestRunner};
use sockeye_proto::deflate::Params;
use sockeye_proto::{Config, Delivery, Kind, Position};

use crate::memory::measure;
use crate::support::*;

/// Runs `property` on `cases` values that are the same each time.
fn check<S: Strategy>(
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

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Server), Just(End::Client)]
}

/// Text, or nearly.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[ -~é€😀]{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..40),
        1 => ("[a-zé]{1,3}", 50..200_usize).prop_map(|(unit, n)| unit.repeat(n).into_bytes()),
        1 => Just(vec![]),
    ]
}

/// A message in random fragments with control frames between them.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let opcode = prop_oneof![Just(TEXT), Just(BINARY)];
    let cuts = vec(any::<prop::sample::Index>(), 0..4);
    (opcode, payload(), any::<bool>(), cuts, vec(control(), 0..2)).prop_map(
        |(opcode, payload, compressed, cuts, controls)| {
            let bytes = if compressed { zip(&payload) } else { payload };
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let last = at.len() - 2;
            let mut frames: Vec<Frame> = at
                .windows(2)
                .enumerate()
                .map(|(i, cut)| {
                    let opcode = if i == 0 { opcode } else { CONTINUATION };
                    let piece = frame(opcode, &bytes[cut[0]..cut[1]]);
                    let piece = if i == 0 && compressed { piece.reserved(4) } else { piece };
                    if i == last { piece } else { piece.not_last() }
                })
                .collect();
            for control in controls {
                frames.insert(frames.len() / 2, control);
            }
            frames
        },
    )
}

fn control() -> impl Strategy<Value = Frame> {
    (prop_oneof![Just(PING), Just(PONG)], vec(any::<u8>(), 0..=125))
        .prop_map(|(opcode, payload)| frame(opcode, payload))
}

/// A frame that breaks a rule, or may.
fn strange() -> impl Strategy<Value = Frame> {
    let form = prop_oneof![Just(Form::Shortest), Just(Form::Sixteen), Just(Form::SixtyFour)];
    let declared = prop_oneof![
        8 => Just(None),
        1 => any::<u64>().prop_map(Some),
        1 => (0..100_u64).prop_map(Some)
    ];
    let close = (0..6_000_u16, payload()).prop_map(|(code, mut reason)| {
        reason.truncate(123);
        close_frame(code, reason)
    });
    let any = (0..16_u8, any::<bool>(), 0..8_u8, form, declared, any::<bool>(), payload());
    let any = any.prop_map(|(opcode, fin, bits, form, declared, wrong, payload)| {
        let mut strange = frame(opcode, payload).reserved(bits).form(form);
        if !fin {
            strange = strange.not_last();
        }
        if let Some(len) = declared {
            strange = strange.declaring(len);
        }
        if wrong { strange.wrongly_masked() } else { strange }
    });
    prop_oneof![close, any]
}

/// Messages, mostly legal, then perhaps something strange, and more.
fn conversation() -> impl Strategy<Value = Vec<Frame>> {
    let strange = prop_oneof![2 => Just(vec![]), 1 => vec(strange(), 1..3)];
    (vec(message(), 0..5), strange, vec(message(), 0..2)).prop_map(|(before, strange, after)| {
        before.into_iter().flatten().chain(strange).chain(after.into_iter().flatten()).collect()
    })
}

/// Bytes of a conversation with a few of them changed.
fn damaged(end: End) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (conversation(), changes).prop_map(move |(frames, changes)| {
        let mut bytes = stream(end, &frames);
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        bytes
    })
}

fn case() -> impl Strategy<Value = (End, Vec<u8>, Vec<usize>, bool)> {
    end().prop_flat_map(|end| (Just(end), damaged(end), vec(1..50_usize, 1..6), any::<bool>()))
}

fn small(config: &mut Config) {
    config.limits.message = 300;
    config.limits.fragments = 4;
    config.limits.control_rate = 4;
    config.limits.inflate_ratio = 20;
    config.limits.pending_pongs = 3;
}

fn connect(end: End, compressed: bool, set: fn(&mut Config)) -> Rig {
    if compressed { rig_deflate(end, Params::default(), set) } else { rig_with(end, set) }
}

/// All that a peer and an application can tell of a connection.
fn outcome(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let info = rig.conn.close_info().cloned();
    (rig.out.clone(), rig.conn.queued(), rig.conn.next(), rig.conn.poll_timeout(), info)
}

// FRM-031
#[test]
fn a_stream_cut_anywhere_gives_the_same_events_and_the_same_replies() {
    check(3_000, case(), |(end, bytes, lengths, compressed)| {
        for set in [|_: &mut Config| (), small] {
            let mut whole = connect(end, compressed, set);
            let expected = whole.feed(&bytes);
            for cuts in [Cuts::EveryByte, Cuts::Lengths(lengths.clone())] {
                let mut cut = connect(end, compressed, set);
                prop_assert_eq!(cut.feed_cut(&bytes, &cuts), expected.clone());
                prop_assert_eq!(outcome(&cut), outcome(&whole));
            }
            let mut stopping = connect(end, compressed, set);
            prop_assert_eq!(stopping.feed_stopping(&bytes), expected);
            prop_assert_eq!(outcome(&stopping), outcome(&whole));
            whole.unwritten_replies();
        }
        Ok(())
    });
}

// FRM-031
#[test]
fn a_stream_read_in_pieces_gives_the_same_messages_cut_anywhere() {
    check(2_000, case(), |(end, bytes, lengths, compressed)| {
        for set in [|_: &mut Config| (), small] {
            let mut whole = connect(end, compressed, set).pieces();
            let expected = joined(whole.feed(&bytes));
            for cuts in [Cuts::EveryByte, Cuts::Lengths(lengths.clone())] {
                let mut cut = connect(end, compressed, set).pieces();
                let (seen, unfinished) = joined(cut.feed_cut(&bytes, &cuts));
                prop_assert_eq!(&seen, &expected.0);
                // A read that shows a fault gives out nothing of itself, so a shorter one before
                // it may have given more.
                if whole.conn.close_info().is_none() {
                    prop_assert_eq!(unfinished, expected.1.clone());
                } else {
                    prop_assert!(unfinished.starts_with(&expected.1));
                }
                prop_assert_eq!(&cut.out, &whole.out);
            }
        }
        Ok(())
    });
}

// FRM-032
#[test]
fn what_one_end_sends_the_other_reads() {
    let to_send = vec((payload(), any::<bool>(), 0..100_usize), 0..6);
    check(1_000, (end(), to_send, any::<bool>()), |(end, messages, compressed)| {
        let peer = if end == End::Server { End::Client } else { End::Server };
        let mut sender = connect(end, compressed, |config| {
            if let Some(deflate) = &mut config.deflate {
                deflate.threshold = 20;
            }
        });
        let mut reader = connect(peer, compressed, |_| ());
        let mut expected = Vec::new();
        for (payload, as_text, fragment) in messages {
            let options = sockeye_proto::SendOptions {
                fragment: std::num::NonZero::new(fragment),
                ..Default::default()
            };
            let (conn, out) = (&mut sender.conn, &mut sender.out);
            match std::str::from_utf8(&payload) {
                Ok(valid) if as_text => {
                    conn.send_with(valid, options, out).unwrap();
                    expected.push(text(valid));
                }
                _ => {
                    conn.send_with(&payload[..], options, out).unwrap();
                    expected.push(binary(&payload));
                }
            }
        }
        let bytes = sender.out.clone();
        prop_assert_eq!(reader.feed(bytes), expected);
        prop_assert!(reader.out.is_empty());
        Ok(())
    });
}

// FRM-032
#[test]
fn what_is_read_and_sent_again_is_the_same_bytes() {
    let frames = vec((prop_oneof![Just(TEXT), Just(BINARY), Just(PING)], payload()), 0..8);
    check(1_000, (end(), frames), |(end, frames)| {
        // An end masks as its peer did, so that what it sends is what the peer's peer was sent.
        let peer = if end == End::Server { End::Client } else { End::Server };
        let frames = frames.into_iter().map(|(opcode, mut payload)| {
            if opcode == PING {
                payload.truncate(125);
            }
            let payload = if opcode == TEXT {
                String::from_utf8_lossy(&payload).into_owned().into_bytes()
            } else {
                payload
            };
            frame(opcode, payload).key(OUR_KEY)
        });
        let frames: Vec<Frame> = frames.collect();
        let mut reader = rig(end);
        let mut sender = rig(end);
        for event in reader.feed(stream(end, &frames)) {
            match event {
                Seen::Text(text) => sender.send(&*text),
                Seen::Binary(bytes) => sender.send(&bytes[..]),
                Seen::Ping(payload) => sender.conn.ping(&payload, &mut sender.out).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(&sender.out, &stream(peer, &frames));
        Ok(())
    });
}

/// What happens to a connection, one thing after another.
#[derive(Clone, Debug)]
enum Act {
    Feed(Vec<u8>),
    FeedFrame(Frame),
    FeedSome(Vec<u8>, usize),
    Deliver(bool),
    Wait(u64),
    Written(usize),
    Send(Vec<u8>),
    Piece(bool, Vec<u8>, bool),
    Ping(Vec<u8>),
    Close(u16),
    Eof,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..60).prop_map(Act::Feed),
        12 => message().prop_flat_map(|frames| {
            (0..frames.len()).prop_map(move |at| Act::FeedFrame(frames[at].clone()))
        }),
        1 => strange().prop_map(Act::FeedFrame),
        2 => (vec(any::<u8>(), 0..60), 0..4_usize).prop_map(|(b, n)| Act::FeedSome(b, n)),
        2 => any::<bool>().prop_map(Act::Deliver),
        2 => (0..40_000_000_u64).prop_map(Act::Wait),
        2 => prop_oneof![0..1_000_usize, Just(usize::MAX)].prop_map(Act::Written),
        2 => payload().prop_map(Act::Send),
        3 => (any::<bool>(), payload(), any::<bool>()).prop_map(|(t, b, l)| Act::Piece(t, b, l)),
        1 => vec(any::<u8>(), 0..140).prop_map(Act::Ping),
        1 => (999..5_001_u16).prop_map(Act::Close),
        1 => Just(Act::Eof),
    ]
}

/// Does one thing to a connection; what it answers is for the other tests to judge.
fn play(rig: &mut Rig, act: &Act) {
    match act {
        Act::Feed(bytes) => drop(rig.feed(bytes)),
        Act::FeedFrame(frame) => drop(rig.feed_frames(std::slice::from_ref(frame))),
        Act::FeedSome(bytes, count) => {
            // The host takes a few events and forgets the rest of the read, which it must not.
            let mut input = bytes.clone();
            let mut events = rig.conn.receive(&mut input, rig.now, &mut rig.out);
            for _ in 0..*count {
                if !matches!(events.next(), Some(Ok(_))) {
                    break;
                }
            }
        }
        Act::Deliver(pieces) => {
            let delivery = if *pieces { Delivery::Pieces } else { Delivery::Whole };
            rig.conn.set_delivery(delivery);
        }
        Act::Wait(micros) => drop(rig.wait(*micros)),
        Act::Written(count) => rig.conn.written(*count, rig.now, &mut rig.out),
        Act::Send(bytes) => drop(rig.conn.send(&bytes[..], &mut rig.out)),
        Act::Piece(is_text, bytes, is_last) => {
            let kind = if *is_text { Kind::Text } else { Kind::Binary };
            let position = if *is_last { Position::Last } else { Position::More };
            drop(rig.conn.send_piece(kind, bytes, position, &mut rig.out));
        }
        Act::Ping(bytes) => drop(rig.conn.ping(bytes, &mut rig.out)),
        Act::Close(code) => {
            drop(rig.conn.close(Some((*code).into()), "", rig.now, &mut rig.out));
        }
        Act::Eof => rig.conn.receive_eof(),
    }
}

// FRM-044
#[test]
fn random_bytes_and_acts_never_panic_and_memory_stays_within_the_limit() {
    let acts = vec(act(), 0..60);
    check(5_000, (end(), acts, any::<bool>()), |(end, acts, compressed)| {
        let limit = 64 << 10;
        let set = |config: &mut Config| {
            config.limits.message = 64 << 10;
            config.limits.queue = 1_000;
            config.limits.fragments = 50;
        };
        let mut rig = connect(end, compressed, set);
        rig.out.reserve(1 << 20);
        for act in &acts {
            play(&mut rig, act);
        }
        let (info, next) = (rig.conn.close_info().cloned(), rig.conn.next());
        // What the application and the peer were given is in the rig; the rest is the connection's.
        let ((), usage) = measure(|| drop(rig.conn));
        let held = usage.kept.unsigned_abs();
        // A compressor that keeps its context takes what `Pool` tells; all else is the peer's doing.
        let compressor = if compressed { 400 << 10 } else { 0 };
        prop_assert!(held <= limit + (128 << 10) + compressor, "{} bytes, {:?}", held, next);
        prop_assert_eq!(info.is_some(), next != sockeye_proto::Next::Continue);
        Ok(())
    });
}

// FRM-044
#[test]
fn a_stream_of_any_bytes_takes_no_more_than_the_limit_while_it_is_read() {
    let limit = 8 << 10;
    let set = |config: &mut Config| config.limits.message = 8 << 10;
    let case = end().prop_flat_map(|end| {
        let bytes = prop_oneof![
            vec(damaged(end), 1..6).prop_map(|streams| streams.concat()),
            vec(any::<u8>(), 0..2_000),
        ];
        (Just(end), bytes, any::<bool>(), any::<bool>())
    });
    check(3_000, case, |(end, bytes, compressed, pieces)| {
        let mut rig = connect(end, compressed, set);
        if pieces {
            rig.conn.set_delivery(Delivery::Pieces);
        }
        let mut input = bytes;
        rig.out.reserve(64 << 10);
        let ((), usage) = measure(|| {
            for read in input.chunks_mut(333) {
                let mut events = rig.conn.receive(read, rig.now, &mut rig.out);
                while let Some(event) = events.next() {
                    if event.is_err() {
                        break;
                    }
                }
            }
        });
        prop_assert!(usage.peak <= limit + (128 << 10), "{:?}", usage);
        Ok(())
    });
}
