//! The frame rules (group FRM): what fails the connection, on which byte, and what does not.

use std::cell::Cell;
use std::sync::Arc;

use sockeye_proto::{
    AnyRole, Client, Config, Connection, Delivery, LengthForm, Limit, LimitError, Misuse, Next,
    PeerError, SendOptions, Side, Time, Timeout,
};

use crate::memory::measure;
use crate::support::*;

const OPCODES: [u8; 6] = [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG];

fn with_message(limit: usize) -> impl Fn(&mut Config) {
    move |config| config.limits.message = limit
}

/// The bytes of a data frame as it is announced, without its payload.
fn header(end: End, opcode: u8, len: u64) -> Vec<u8> {
    frame(opcode, "").declaring(len).to(end)
}

// FRM-001
#[test]
fn an_unmasked_frame_of_a_client_fails_on_its_second_byte() {
    for opcode in OPCODES {
        for payload in [&b""[..], b"\x03\xe8bye"] {
            let bytes = frame(opcode, payload).wrongly_masked().to(End::Server);
            assert_fails(End::Server, |_| (), &bytes, PeerError::UnmaskedFrame, 1002);
            assert_fails(End::Server, |_| (), &bytes[..2], PeerError::UnmaskedFrame, 1002);
        }
    }
}

// FRM-002
#[test]
fn a_masked_frame_of_a_server_fails_and_its_key_is_no_close_code() {
    for opcode in OPCODES {
        for payload in [&b""[..], b"\x03\xe8bye"] {
            let masked = frame(opcode, payload).wrongly_masked().key([0x03, 0xe8, 0, 0]);
            let bytes = masked.to(End::Client);
            assert_fails(End::Client, |_| (), &bytes, PeerError::MaskedFrame, 1002);
            assert_fails(End::Client, |_| (), &bytes[..2], PeerError::MaskedFrame, 1002);
        }
    }
}

// FRM-003, FRM-004
#[test]
fn reserved_bits_without_an_extension_are_1002() {
    for opcode in OPCODES {
        for bits in 1..=7 {
            both_fail(&[frame(opcode, "x").reserved(bits)], PeerError::ReservedBits, 1002);
            both_fail(&[frame(opcode, "").reserved(bits)], PeerError::ReservedBits, 1002);
        }
    }
}

// FRM-006
#[test]
fn a_reserved_opcode_is_1002_on_the_first_two_bytes() {
    for opcode in (3..=7).chain(11..=15) {
        for whole in [frame(opcode, ""), part(opcode, "")] {
            for len in [0, 5, 125, 126, 65_535, 65_536, 1 << 40] {
                for end in ENDS {
                    let bytes = &whole.clone().declaring(len).to(end)[..2];
                    assert_fails(end, |_| (), bytes, PeerError::ReservedOpcode(opcode), 1002);
                }
            }
        }
    }
}

// FRM-007
#[test]
fn a_continuation_without_a_message_is_1002() {
    for continuation in [frame(CONTINUATION, "x"), part(CONTINUATION, "x"), part(CONTINUATION, "")]
    {
        both_fail(&[continuation], PeerError::UnexpectedContinuation, 1002);
    }
    for end in ENDS {
        let mut rig = rig(end);
        let frames = [part(TEXT, "a"), frame(CONTINUATION, "b"), frame(CONTINUATION, "c")];
        let error = PeerError::UnexpectedContinuation;
        assert_eq!(rig.feed_frames(&frames), [text("ab"), failed(error)]);
        rig.assert_failed(error, 1002);
    }
}

// FRM-008
#[test]
fn a_message_inside_a_message_is_1002() {
    for outer in [TEXT, BINARY] {
        for inner in [TEXT, BINARY] {
            let error = PeerError::ExpectedContinuation;
            both_fail(&[part(outer, "a"), frame(inner, "b")], error, 1002);
            both_fail(&[part(outer, ""), part(inner, "")], error, 1002);
            both_fail(&[part(outer, "a"), part(CONTINUATION, "b"), part(inner, "c")], error, 1002);
        }
    }
}

// FRM-009
#[test]
fn a_control_frame_in_fragments_is_1002() {
    for opcode in [CLOSE, PING, PONG] {
        for payload in ["", "x"] {
            both_fail(&[part(opcode, payload)], PeerError::FragmentedControl, 1002);
        }
    }
}

// FRM-010
#[test]
fn a_control_frame_with_a_long_length_is_1002_on_its_second_byte() {
    for opcode in [CLOSE, PING, PONG] {
        for form in [Form::Sixteen, Form::SixtyFour] {
            for len in [0, 5, 125, 126, 60_000] {
                for end in ENDS {
                    let bytes = &frame(opcode, "").form(form).declaring(len).to(end)[..2];
                    let lenient = |config: &mut Config| config.lengths = LengthForm::Any;
                    assert_fails(end, |_| (), bytes, PeerError::ControlTooLong, 1002);
                    assert_fails(end, lenient, bytes, PeerError::ControlTooLong, 1002);
                }
            }
        }
    }
}

// FRM-011
#[test]
fn a_ping_of_any_length_is_answered_with_its_own_payload() {
    for end in ENDS {
        for len in [0, 1, 124, 125] {
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let payload: Vec<u8> = (0..len).map(|i| 255 - i).collect();
                let mut rig = rig(end);
                let bytes = frame(PING, &payload).to(end);
                assert_eq!(rig.feed_cut(&bytes, &cuts), [Seen::Ping(payload.clone())]);
                assert_eq!(rig.replies(), [reply(PONG, &payload)]);
            }
        }
    }
}

// FRM-012
#[test]
fn a_length_in_more_bytes_than_it_needs_is_1002_unless_any_form_is_read() {
    let forms = [(Form::Sixteen, 0), (Form::Sixteen, 1), (Form::Sixteen, 125)]
        .into_iter()
        .chain([0, 125, 126, 65_535].map(|len| (Form::SixtyFour, len)));
    for (form, len) in forms {
        let payload = vec![b'x'; len];
        let long = frame(BINARY, &payload).form(form);
        both_fail(std::slice::from_ref(&long), PeerError::LengthNotMinimal, 1002);
        for end in ENDS {
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let mut rig = rig_with(end, |config| config.lengths = LengthForm::Any);
                assert_eq!(rig.feed_cut(&long.to(end), &cuts), [binary(&payload)]);
            }
        }
    }
}

// FRM-013
#[test]
fn a_64_bit_length_with_its_highest_bit_set_is_1002_on_that_byte() {
    for end in ENDS {
        for len in [1 << 63, u64::MAX, (1 << 63) + 5] {
            for opcode in [TEXT, BINARY] {
                let bytes = &header(end, opcode, len)[..3];
                for lengths in [LengthForm::Minimal, LengthForm::Any] {
                    let set = |config: &mut Config| config.lengths = lengths;
                    assert_fails(end, set, bytes, PeerError::LengthTooLarge, 1002);
                }
            }
        }
    }
}

// FRM-014
#[test]
fn a_huge_length_is_1009_on_the_header_and_reserves_nothing() {
    for end in ENDS {
        for len in [(1 << 63) - 1, 1 << 62, (1 << 53) + 1, 1 << 32] {
            for bytes in [
                header(end, BINARY, len),
                [part(BINARY, "x").to(end), header(end, CONTINUATION, len)].concat(),
            ] {
                let mut rig = rig(end);
                let (seen, usage) = measure(|| rig.feed(&bytes));
                let max = defaults(end).limits.message as u64;
                let seen_len = if bytes[0] & 0x80 == 0 { len + 1 } else { len };
                let error = LimitError { limit: Limit::Message, max, seen: seen_len };
                assert_eq!(seen, [failed(error)]);
                assert!(usage.peak < 4_096, "{usage:?}");
                rig.assert_failed(error, 1009);
            }
        }
        // Where the limit allows any length, nothing is computed with it that could overflow.
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            let mut rig = rig_with(end, with_message(usize::MAX));
            rig.conn.set_delivery(delivery);
            let bytes = [header(end, BINARY, (1 << 63) - 1), b"abc".to_vec()].concat();
            let (seen, usage) = measure(|| rig.feed(&bytes));
            assert_eq!(seen.len(), usize::from(delivery == Delivery::Pieces));
            assert!(usage.peak < 4_096, "{usage:?}");
            assert!(rig.conn.is_open());
        }
    }
}

// FRM-015
#[test]
fn memory_grows_with_what_arrived_and_not_with_what_was_declared() {
    for end in ENDS {
        let mut rig = rig_with(end, with_message(4 << 30));
        let bytes = header(end, BINARY, 2 << 30);
        let ((), usage) = measure(|| {
            assert_eq!(rig.feed(&bytes), []);
            assert_eq!(rig.feed(b"some"), []);
            assert_eq!(rig.feed([7; 1_000]), []);
        });
        assert!(usage.peak <= 64 << 10, "{usage:?}");
        assert_eq!(rig.replies(), []);
        assert!(rig.conn.is_open());
    }
}

// FRM-017
#[test]
fn a_message_of_the_limit_is_delivered_and_one_byte_more_is_1009_on_the_header() {
    for end in ENDS {
        for limit in [0, 1, 125, 126, 1_000, 65_536] {
            let payload = vec![5; limit];
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let mut rig = rig_with(end, with_message(limit));
                let bytes = frame(BINARY, &payload).to(end);
                assert_eq!(rig.feed_cut(&bytes, &cuts), [binary(&payload)]);
            }
            let error = over(Limit::Message, limit as u64);
            let bytes = header(end, BINARY, limit as u64 + 1);
            assert_fails(end, with_message(limit), &bytes, error, 1009);
        }
    }
}

// FRM-018
#[test]
fn fragments_are_delivered_up_to_the_limit_and_1009_at_the_header_that_crosses_it() {
    for end in ENDS {
        let (max, first) = (64 << 10, vec![1; 40 << 10]);
        let rest = vec![2; max - first.len()];
        let mut rig = rig_with(end, with_message(max));
        let frames = [part(BINARY, &first), part(CONTINUATION, &rest), frame(CONTINUATION, "")];
        assert_eq!(rig.feed_frames(&frames), [binary([first.clone(), rest.clone()].concat())]);

        let crossing = header(end, CONTINUATION, rest.len() as u64 + 1);
        let bytes = [part(BINARY, &first).to(end), crossing].concat();
        let error = over(Limit::Message, max as u64);
        assert_fails(end, with_message(max), &bytes, error, 1009);

        let far = header(end, CONTINUATION, 40 << 10);
        let bytes = [part(BINARY, &first).to(end), far].concat();
        let error = LimitError { limit: Limit::Message, max: max as u64, seen: 80 << 10 };
        assert_fails(end, with_message(max), &bytes, error, 1009);
    }
}

fn fragments_limit(count: u32) -> impl Fn(&mut Config) {
    move |config| config.limits.fragments = count
}

// FRM-019
#[test]
fn one_byte_fragments_for_ever_are_1009_at_the_limit_and_cost_little_memory() {
    for end in ENDS {
        let count = 16_384;
        let mut bytes = part(BINARY, "x").to(end);
        for _ in 1..count {
            bytes.extend(part(CONTINUATION, "x").to(end));
        }
        let mut rig = rig_with(end, fragments_limit(count));
        let (seen, usage) = measure(|| rig.feed(&bytes));
        assert_eq!(seen, []);
        let (input, payload) = (bytes.len(), count as usize);
        assert!(usage.peak - input <= 2 * payload, "{usage:?}");
        assert!(usage.moved <= 2 * payload, "each byte is moved once on average: {usage:?}");

        let error = over(Limit::Fragments, u64::from(count));
        assert_eq!(rig.feed_frames(&[part(CONTINUATION, "x")]), [failed(error)]);
        rig.assert_failed(error, 1009);
    }
}

#[test]
fn a_message_of_as_many_fragments_as_are_allowed_is_delivered() {
    for end in ENDS {
        let mut rig = rig_with(end, fragments_limit(3));
        let frames = [part(TEXT, "a"), part(CONTINUATION, "b"), frame(CONTINUATION, "c")];
        assert_eq!(rig.feed_frames(&frames), [text("abc")]);
        assert_eq!(rig.feed_frames(&frames), [text("abc")], "counted for each message");
    }
}

// FRM-020
#[test]
fn empty_fragments_for_ever_are_1008_at_the_limit() {
    for end in ENDS {
        let count = 1_000;
        let mut bytes = part(BINARY, "").to(end);
        for _ in 1..=count {
            bytes.extend(part(CONTINUATION, "").to(end));
        }
        let error = over(Limit::EmptyFragments, count);
        assert_fails(end, fragments_limit(count as u32), &bytes, error, 1008);
        let mut rig = rig_with(end, fragments_limit(count as u32));
        let allowed = bytes.len() - part(CONTINUATION, "").to(end).len();
        assert_eq!(rig.feed(&bytes[..allowed]), []);
        assert!(rig.conn.is_open());
    }
}

// FRM-021
#[test]
fn the_cost_of_fragments_is_linear_in_their_number_and_their_bytes() {
    for end in ENDS {
        let mut costs = Vec::new();
        for count in [1_000, 2_000, 4_000, 8_000] {
            let mut rig = rig(end);
            let first = part(TEXT, "0123456789").to(end);
            let next = part(CONTINUATION, "0123456789").to(end);
            let last = frame(CONTINUATION, "").to(end);
            // Each read is one frame, so what a read costs beyond its own bytes shows in full.
            let ((), usage) = measure(|| {
                rig.feed(&first);
                for _ in 1..count {
                    assert_eq!(rig.feed(&next), []);
                }
                assert_eq!(rig.feed(&last), [text(&"0123456789".repeat(count))]);
            });
            costs.push((usage.moved, usage.calls));
        }
        for pair in costs.windows(2) {
            let ((moved, calls), (more_moved, more_calls)) = (pair[0], pair[1]);
            assert!(more_moved * 10 <= moved * 22, "{end:?}, bytes moved: {costs:?}");
            assert!(more_calls * 10 <= calls * 22, "{end:?}, allocations: {costs:?}");
        }
    }
}

// FRM-022
#[test]
fn a_message_that_is_never_finished_is_1008_after_its_time_and_frees_its_bytes() {
    for end in ENDS {
        for keeps_pinging in [false, true] {
            let mut rig = rig_with(end, |config| config.keepalive = None);
            let (errors, usage) = measure(|| {
                rig.feed_frames(&[part(BINARY, vec![1; 10_000])]);
                rig.wait(59_999_999)
            });
            assert_eq!(errors, []);
            assert!(usage.kept >= 10_000, "{usage:?}");
            if keeps_pinging {
                rig.feed_frames(&[frame(PING, ""), part(CONTINUATION, "")]);
            }
            let (errors, usage) = measure(|| rig.wait(1));
            assert_eq!(errors, [Timeout::Message.into()]);
            assert!(usage.kept <= -9_000, "{usage:?}");
            rig.assert_failed(Timeout::Message, 1008);
        }
    }
}

// FRM-023
#[test]
fn a_long_frame_that_dribbles_in_is_delivered_at_twice_its_memory() {
    for end in ENDS {
        let payload: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
        let bytes = frame(BINARY, &payload).to(end);
        let mut rig = rig(end);
        let mut input = bytes.clone();
        let (got, usage) = measure(|| {
            let mut got = None;
            for byte in input.chunks_mut(1) {
                let mut events = rig.conn.receive(byte, rig.now, &mut rig.out);
                while let Some(event) = events.next() {
                    match event.unwrap() {
                        sockeye_proto::Event::Message(sockeye_proto::Message::Binary(bytes)) => {
                            got = Some(bytes.into_vec());
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            got
        });
        assert_eq!(got, Some(payload));
        assert!(usage.peak <= 2 << 20, "{usage:?}");
        assert!(usage.moved <= 2 << 20, "{usage:?}");
    }
}

// FRM-024
#[test]
fn control_frames_between_fragments_are_answered_and_the_message_comes_whole() {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let mut rig = rig(end);
            let mut frames = vec![part(TEXT, "He"), frame(PING, "1"), part(CONTINUATION, "l")];
            frames.extend((0..10).map(|i| frame(PING, [i])));
            frames.extend([frame(PONG, "?"), frame(CONTINUATION, "lo")]);
            let mut expected = vec![Seen::Ping(b"1".into())];
            expected.extend((0..10).map(|i| Seen::Ping(vec![i])));
            expected.extend([Seen::Pong(b"?".into()), text("Hello")]);
            assert_eq!(rig.feed_cut(&stream(end, &frames), &cuts), expected);
            let mut pongs = vec![reply(PONG, "1")];
            pongs.extend((0..10).map(|i| reply(PONG, [i])));
            assert_eq!(rig.replies(), pongs);

            let frames = [part(TEXT, "lost"), close_frame(1001, "off"), frame(CONTINUATION, "")];
            let seen = rig.feed_cut(&stream(end, &frames), &cuts);
            assert_eq!(seen, [Seen::Close(1001, "off".into())]);
            assert_eq!(rig.replies(), [reply(CLOSE, b"\x03\xe9off")]);
        }
    }
}

// FRM-025
#[test]
fn empty_fragments_anywhere_do_no_harm() {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            for opcode in [TEXT, BINARY] {
                for (first, middle, last) in
                    [("", "", ""), ("", "b", "c"), ("a", "", "c"), ("a", "b", ""), ("", "", "c")]
                {
                    let frames = [
                        part(opcode, first),
                        part(CONTINUATION, middle),
                        frame(CONTINUATION, last),
                    ];
                    let mut rig = rig(end);
                    let whole = [first, middle, last].concat();
                    let expected = if opcode == TEXT { text(&whole) } else { binary(&whole) };
                    assert_eq!(rig.feed_cut(&stream(end, &frames), &cuts), [expected]);
                }
                let mut rig = rig(end);
                let expected = if opcode == TEXT { text("") } else { binary("") };
                assert_eq!(rig.feed_cut(&frame(opcode, "").to(end), &cuts), [expected]);
            }
        }
    }
}

// FRM-026
#[test]
fn a_ping_flood_holds_the_newest_ping_alone_and_is_1008_at_the_rate() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.pending_pongs = 4);
        for i in 0..200_u8 {
            assert_eq!(rig.feed_frames(&[frame(PING, [i])]), [Seen::Ping(vec![i])]);
        }
        let first: Vec<Reply> = (0..4).map(|i| reply(PONG, [i])).collect();
        assert_eq!(rig.unwritten_replies(), first, "the peer reads nothing");
        let error = over(Limit::ControlRate, 100);
        assert_eq!(rig.feed_frames(&[frame(PING, [200])]), [failed(error)]);
        assert_eq!(rig.unwritten_replies().len(), 5);
        rig.assert_failed(error, 1008);
    }
    // Without the bound on their rate, memory stays the same however many come.
    let mut rig = rig_with(End::Server, |config| config.limits.control_rate = 0);
    let ping = frame(PING, [9; 125]).to(End::Server);
    let ((), usage) = measure(|| {
        for _ in 0..100_000 {
            rig.feed(&ping);
        }
    });
    assert!(usage.peak <= 64 << 10, "{usage:?}");
    assert_eq!(rig.replies().len(), 64);
    assert_eq!(rig.replies(), [reply(PONG, [9; 125])], "and the newest, once those have left");
    assert_eq!(rig.replies(), []);
}

// FRM-027
#[test]
fn unsolicited_pongs_are_ignored_and_counted_against_the_control_rate() {
    for end in ENDS {
        let mut rig = rig(end);
        for _ in 0..100 {
            assert_eq!(rig.feed_frames(&[frame(PONG, "?")]), [Seen::Pong(b"?".into())]);
            assert_eq!(rig.feed_frames(&[frame(PING, "")]), [Seen::Ping(vec![])]);
        }
        assert_eq!(rig.conn.rtt(), None);
        assert_eq!(rig.replies().len(), 64, "pongs answer nothing");
        let error = over(Limit::ControlRate, 100);
        assert_eq!(rig.feed_frames(&[frame(PONG, "?")]), [failed(error)]);
        rig.assert_failed(error, 1008);
    }
}

#[test]
fn control_frames_at_the_rate_pass_for_ever() {
    let mut rig = rig_with(End::Server, |config| config.keepalive = None);
    for _ in 0..1_000 {
        for _ in 0..100 {
            assert_eq!(rig.feed_frames(&[frame(PONG, "")]).len(), 1);
        }
        rig.wait_secs(1);
    }
    assert!(rig.conn.is_open());
}

// FRM-029
#[test]
fn data_after_a_close_is_never_delivered() {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let frames = [close_frame(1000, ""), frame(TEXT, "late"), frame(PING, "late")];
            let mut rig = rig(end);
            let seen = rig.feed_cut(&stream(end, &frames), &cuts);
            assert_eq!(seen, [Seen::Close(1000, String::new())]);
            assert_eq!(rig.replies(), [reply(CLOSE, 1000_u16.to_be_bytes())]);
            rig.assert_terminal();
        }
    }
}

// FRM-030
#[test]
fn the_end_of_the_stream_at_every_byte_of_a_frame_is_1006() {
    for end in ENDS {
        let long = vec![b'x'; 70_000];
        for (frames, step) in [
            (vec![frame(TEXT, "Hello")], 1),
            (vec![part(TEXT, "Hel"), frame(CONTINUATION, "lo")], 1),
            (vec![frame(BINARY, vec![7; 300])], 1),
            (vec![frame(PING, "Hello")], 1),
            (vec![close_frame(1000, "bye")], 1),
            (vec![frame(BINARY, &long)], 997),
        ] {
            let bytes = stream(end, &frames);
            for cut in (0..bytes.len()).step_by(step) {
                let mut rig = rig(end);
                assert_eq!(rig.feed(&bytes[..cut]), []);
                assert_eq!(rig.conn.close_info(), None);
                let ((), usage) = measure(|| rig.conn.receive_eof());
                assert!(usage.kept <= 256, "{usage:?}");
                let info = rig.info();
                assert_eq!((info.code.get(), info.clean, info.by), (1006, false, Side::Transport));
                assert_eq!(info.reason, "");
                assert_eq!(rig.conn.next(), Next::Close);
                assert_eq!(rig.conn.poll_timeout(), None);
                assert_eq!(rig.feed(&bytes[cut..]), [], "what comes after the end is nothing");
                rig.assert_terminal();
            }
        }
    }
}

// FRM-035
#[test]
fn lengths_are_sent_in_their_shortest_form() {
    for (len, second) in [(0, 0), (125, 125), (126, 126), (65_535, 126), (65_536, 127)] {
        for end in ENDS {
            let mut rig = rig(end);
            let payload = vec![3; len];
            rig.send(&payload[..]);
            assert_eq!(rig.out[0], 0x82);
            assert_eq!(rig.out[1] & 0x7f, second);
            assert_eq!(rig.out[1] & 0x80 != 0, end == End::Client);
            let extra = [0, 2, 8][usize::from(second.max(125) - 125)];
            let mask = if end == End::Client { 4 } else { 0 };
            assert_eq!(rig.out.len(), 2 + extra + mask + len);
            assert_eq!(rig.replies(), [reply(BINARY, &payload)]);
        }
    }
}

thread_local! {
    static DRAWN: Cell<u32> = const { Cell::new(0) };
}

fn next_key() -> [u8; 4] {
    DRAWN.set(DRAWN.get() + 1);
    DRAWN.get().to_be_bytes()
}

#[test]
fn every_frame_of_a_client_takes_a_fresh_key_and_a_server_never_masks() {
    let config = Arc::new(Config::client());
    let now = Time::from_micros(0);
    let role = AnyRole::Client(Client::new(next_key));
    let mut conn = Connection::new(role, config, now);
    let mut out = Vec::new();
    DRAWN.set(0);
    let options = SendOptions { fragment: std::num::NonZero::new(2), ..Default::default() };
    conn.send_with("abcdef", options, &mut out).unwrap();
    conn.ping(b"", &mut out).unwrap();
    let mut input = frame(PING, "12").to(End::Client);
    assert!(conn.receive(&mut input, now, &mut out).next().is_some());
    conn.close(Some(1000.into()), "", now, &mut out).unwrap();

    assert_eq!(read_frames(End::Client, &out).len(), 6);
    let mut keys = Vec::new();
    let mut rest = &out[..];
    while let [_, second, more @ ..] = rest {
        let (key, payload) = more.split_at(4);
        keys.push(u32::from_be_bytes(key.try_into().unwrap()));
        rest = &payload[usize::from(second & 0x7f)..];
    }
    assert_eq!(keys, [1, 2, 3, 4, 5, 6]);
    assert_eq!(DRAWN.get(), 6, "and none is drawn in vain");

    let mut server = rig(End::Server);
    server.send("abc");
    server.feed_frames(&[frame(PING, "12")]);
    server.close(1000, "");
    assert_eq!(server.replies().len(), 3, "read by a peer that refuses masks");
}

// FRM-037
#[test]
fn a_ping_or_pong_over_125_bytes_is_the_callers_error() {
    for end in ENDS {
        let mut rig = rig(end);
        let error = Err(Misuse::ControlTooLong(126).into());
        assert_eq!(rig.conn.ping(&[0; 126], &mut rig.out), error);
        assert_eq!(rig.conn.pong(&[0; 126], &mut rig.out), error);
        assert_eq!(rig.replies(), []);
        rig.conn.ping(&[1; 125], &mut rig.out).unwrap();
        rig.conn.pong(&[2; 125], &mut rig.out).unwrap();
        assert_eq!(rig.replies(), [reply(PING, [1; 125]), reply(PONG, [2; 125])]);
    }
}

// FRM-042
#[test]
fn a_message_that_is_kept_stays_as_it_is_while_others_arrive() {
    for end in ENDS {
        let mut rig = rig(end);
        let fragmented = |byte: u8| [part(BINARY, [byte; 500]), frame(CONTINUATION, [byte; 500])];
        let mut kept = rig.feed_frames(&fragmented(1));
        kept.extend(rig.feed_frames(&[frame(BINARY, [2; 1_000])]));
        for byte in 3..20 {
            rig.feed_frames(&fragmented(byte));
            rig.feed_frames(&[frame(TEXT, "x".repeat(1_000))]);
        }
        assert_eq!(kept, [binary([1; 1_000]), binary([2; 1_000])]);
    }
}

// FRM-043
#[test]
fn nothing_is_sent_but_what_was_meant_to_be() {
    let mut rig = rig(End::Server);
    // Fill the buffer's memory, so that a length that is too long would show it.
    rig.out = vec![0xee; 1_000];
    rig.out.clear();
    rig.feed_frames(&[frame(PING, "p")]);
    rig.conn.ping(b"", &mut rig.out).unwrap();
    rig.conn.pong(b"q", &mut rig.out).unwrap();
    rig.send("m");
    rig.close(1000, "r");
    let expected = b"\x8a\x01p\x89\x00\x8a\x01q\x81\x01m\x88\x03\x03\xe8r";
    assert_eq!(rig.out, expected);

    let mut rig = rig_with(End::Client, |_| ());
    rig.out = vec![0xee; 1_000];
    rig.out.clear();
    rig.close(1000, "r");
    let masked = [0x03 ^ OUR_KEY[0], 0xe8 ^ OUR_KEY[1], b'r' ^ OUR_KEY[2]];
    assert_eq!(rig.out, [&[0x88, 0x83][..], &OUR_KEY, &masked].concat());
}

// FRM-045
#[test]
fn a_failed_connection_takes_in_nothing_more() {
    for end in ENDS {
        let more = [
            frame(TEXT, "a"),
            part(TEXT, "b"),
            frame(PING, "c"),
            frame(3, "d"),
            frame(TEXT, "").reserved(7),
            close_frame(1000, ""),
            frame(BINARY, "").declaring(1 << 40),
        ];
        let bytes = [frame(3, "").to(end), stream(end, &more)].concat();
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let mut rig = rig(end);
            let error = PeerError::ReservedOpcode(3);
            assert_eq!(rig.feed_cut(&bytes, &cuts), [failed(error)]);
            rig.assert_failed(error, 1002);
            assert_eq!(rig.wait_secs(4), [], "it waits for the end of the stream");
            assert_eq!(rig.conn.next(), Next::Shutdown);
            assert_eq!(rig.wait_secs(1), []);
            assert_eq!(rig.conn.next(), Next::Close, "but not for ever");
        }
    }
}

#[test]
fn taking_one_event_at_a_time_and_giving_the_rest_again_changes_nothing() {
    for end in ENDS {
        let frames = [
            frame(TEXT, "é one"),
            part(BINARY, "tw"),
            frame(PING, "p"),
            frame(CONTINUATION, "o"),
            frame(PONG, ""),
            close_frame(1000, "x"),
            frame(TEXT, "late"),
        ];
        let bytes = stream(end, &frames);
        let (mut whole, mut stopping) = (rig(end), rig(end));
        assert_eq!(stopping.feed_stopping(&bytes), whole.feed(&bytes));
        assert_eq!(stopping.out, whole.out);
        assert_eq!(stopping.conn.queued(), stopping.out.len());
    }
}

#[test]
fn an_empty_read_is_nothing_at_any_byte() {
    for end in ENDS {
        let mut rig = rig(end);
        let frames = [part(TEXT, "a"), frame(PING, "12"), frame(CONTINUATION, "é")];
        let mut seen = Vec::new();
        for byte in stream(end, &frames) {
            assert_eq!(rig.feed(""), []);
            seen.extend(rig.feed([byte]));
        }
        assert_eq!(seen, [Seen::Ping(b"12".into()), text("aé")]);
    }
}
