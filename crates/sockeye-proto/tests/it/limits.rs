//! Limits and deadlines (group LIM): exact bounds, and a clock that only the test moves.

use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::{
    Config, Connection, Delivery, Error, Event, Keepalive, Kind, Limit, LimitError, Misuse, Next,
    Position, PreparedMessage, SendOptions, Server, Side, Time, Timeout,
};

use crate::memory::measure;
use crate::support::*;

fn secs(secs: u64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

/// Answers the keep-alive ping that waits in the output.
fn pong_of(rig: &mut Rig) -> Frame {
    let pings = rig.replies();
    assert_eq!(pings.len(), 1);
    assert_eq!(pings[0].opcode, PING);
    frame(PONG, &pings[0].payload)
}

// LIM-001
#[test]
fn a_dead_peer_is_pinged_after_25_s_and_given_up_10_s_later() {
    for end in ENDS {
        let mut rig = rig(end);
        assert_eq!(rig.conn.poll_timeout(), Some(secs(25)));
        assert_eq!(rig.wait(24_999_999), []);
        assert_eq!(rig.replies(), []);
        assert_eq!(rig.wait(1), []);
        let pings = rig.replies();
        assert_eq!((pings.len(), pings[0].opcode), (1, PING));
        assert_eq!(rig.conn.poll_timeout(), Some(secs(35)));
        assert_eq!(rig.wait(9_999_999), []);
        assert_eq!(rig.wait(1), [Timeout::Keepalive.into()]);
        assert_eq!(Error::from(Timeout::Keepalive).to_string(), "ping timeout");
        let info = rig.info();
        assert_eq!((info.code.get(), info.clean, info.by), (1006, false, Side::Transport));
        assert_eq!(rig.conn.next(), Next::Close);
        assert_eq!(rig.replies(), [], "a dead peer is told nothing");
        rig.assert_terminal();
    }
}

#[test]
fn a_peer_that_answers_is_kept_for_hours_and_its_round_trip_time_measured() {
    for end in ENDS {
        let mut rig = rig(end);
        for round in 1..=1_000 {
            assert_eq!(rig.wait_secs(25), []);
            let pong = pong_of(&mut rig);
            assert_eq!(rig.wait(round), []);
            let mut bytes = pong.to(end);
            let mut events = rig.conn.receive(&mut bytes, rig.now, &mut rig.out);
            let expected = Duration::from_micros(round);
            match events.next() {
                Some(Ok(Event::Pong { rtt, .. })) => assert_eq!(rtt, Some(expected)),
                other => panic!("{other:?}"),
            }
            assert_eq!(rig.conn.rtt(), Some(expected));
            assert!(rig.conn.is_open());
            // The same pong once more answers nothing.
            let mut bytes = pong.to(end);
            let mut events = rig.conn.receive(&mut bytes, rig.now, &mut rig.out);
            assert!(matches!(events.next(), Some(Ok(Event::Pong { rtt: None, .. }))));
        }
    }
}

// LIM-003
#[test]
fn a_peer_that_sends_data_but_no_pong_is_alive() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.timeouts.message = Duration::MAX);
        let bytes = frame(BINARY, vec![1; 100]).to(end);
        // One byte of a message each 9 s: never a frame, never a pong.
        for byte in &bytes[..100] {
            assert_eq!(rig.wait_secs(9), []);
            assert_eq!(rig.feed([*byte]), []);
        }
        assert!(rig.conn.is_open());
        let mut pings = 0;
        for byte in &bytes[100..] {
            assert_eq!(rig.wait_secs(34), []);
            pings += rig.replies().len();
            rig.feed([*byte]);
        }
        assert_eq!(pings, bytes.len() - 100, "each silence is asked about once");
        assert!(rig.conn.is_open());
        assert_eq!(rig.wait_secs(35), [Timeout::Keepalive.into()]);
    }
}

// LIM-004
#[test]
fn a_pong_with_another_payload_is_traffic_but_measures_nothing() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.wait_secs(25);
        assert_eq!(pong_of(&mut rig).to(end).len(), frame(PONG, [0; 8]).to(end).len());
        rig.wait_secs(9);
        for wrong in [&b""[..], b"wrong", &[0; 8]] {
            assert_eq!(rig.feed_frames(&[frame(PONG, wrong)]), [Seen::Pong(wrong.into())]);
        }
        assert_eq!(rig.conn.rtt(), None);
        assert_eq!(rig.wait_secs(24), [], "not given up at 35 s");
        assert!(rig.conn.is_open());
        assert_eq!(rig.conn.poll_timeout(), Some(secs(59)), "silence counts from the pong");
    }
}

#[test]
fn a_pong_in_the_same_microsecond_as_its_ping_counts() {
    let mut rig = rig(End::Server);
    rig.wait_secs(25);
    let pong = pong_of(&mut rig);
    rig.feed_frames(&[pong]);
    assert_eq!(rig.conn.rtt(), Some(Duration::ZERO));
    assert_eq!(rig.conn.poll_timeout(), Some(secs(50)));
}

#[test]
fn an_empty_read_is_no_sign_of_life() {
    for end in ENDS {
        let mut rig = rig(end);
        for _ in 0..34 {
            assert_eq!(rig.wait_secs(1), []);
            assert_eq!(rig.feed(""), []);
        }
        assert_eq!(rig.wait_secs(1), [Timeout::Keepalive.into()]);
    }
}

#[test]
fn a_keep_alive_interval_of_zero_pings_once_and_waits_for_the_answer() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| {
            config.keepalive = Some(Keepalive::new(Duration::ZERO, Duration::from_secs(10)));
        });
        assert_eq!(rig.conn.handle_timeout(rig.now, &mut rig.out), Ok(()));
        assert_eq!(rig.conn.handle_timeout(rig.now, &mut rig.out), Ok(()));
        assert_eq!(rig.unwritten_replies().len(), 1);
        assert_eq!(rig.conn.poll_timeout(), Some(secs(10)));
        assert_eq!(rig.wait_secs(10), [Timeout::Keepalive.into()]);
    }
}

fn idle_after(secs: u64) -> impl Fn(&mut Config) {
    move |config| {
        config.timeouts.idle = Some(Duration::from_secs(secs));
        config.keepalive = None;
    }
}

// LIM-005
#[test]
fn an_idle_connection_closes_with_1001() {
    for end in ENDS {
        let mut rig = rig_with(end, idle_after(60));
        rig.wait_secs(50);
        assert_eq!(rig.feed_frames(&[frame(TEXT, "busy")]), [text("busy")]);
        rig.wait_secs(59);
        rig.feed_frames(&[frame(PING, ""), frame(PONG, "")]);
        assert_eq!(rig.replies(), [reply(PONG, "")]);
        assert_eq!(rig.wait(999_999), []);
        assert!(rig.conn.is_open());
        assert_eq!(rig.wait(1), []);
        let body = [&1001_u16.to_be_bytes()[..], b"idle"].concat();
        assert_eq!(rig.replies(), [reply(CLOSE, body)]);
        assert_eq!(rig.feed_frames(&[close_frame(1001, "")]).len(), 1);
        let info = rig.info();
        assert_eq!((info.code.get(), info.clean, info.by), (1001, true, Side::Local));
    }
}

#[test]
fn pieces_of_one_long_message_keep_a_connection_from_being_idle() {
    for end in ENDS {
        let mut rig = rig_with(end, idle_after(60)).pieces();
        assert_eq!(rig.feed_frames(&[part(BINARY, "x")]).len(), 1);
        for _ in 0..10 {
            assert_eq!(rig.wait_secs(59), []);
            assert_eq!(rig.feed_frames(&[part(CONTINUATION, "x")]).len(), 1);
        }
        assert!(rig.conn.is_open());
        rig.wait_secs(60);
        assert!(!rig.conn.is_open());
    }
}

#[test]
fn a_connection_closes_with_1001_at_the_end_of_its_life() {
    let body = [&1001_u16.to_be_bytes()[..], b"lifetime"].concat();
    for end in ENDS {
        let lifetime = |config: &mut Config| {
            config.timeouts.lifetime = Some(Duration::from_secs(3_600));
            config.keepalive = None;
        };
        let mut rig = rig_with(end, lifetime);
        rig.wait_secs(3_599);
        assert!(rig.conn.is_open());
        rig.feed_frames(&[part(TEXT, "busy"), frame(CONTINUATION, "")]);
        assert_eq!(rig.wait_secs(1), []);
        assert_eq!(rig.replies(), [reply(CLOSE, &body)]);

        let mut spread = rig_with(end, lifetime);
        spread.conn.expire_at(secs(3_700));
        spread.wait_secs(3_699);
        assert!(spread.conn.is_open());
        spread.wait_secs(1);
        assert_eq!(spread.replies(), [reply(CLOSE, &body)]);
        let closed_by = spread.conn.poll_timeout();
        spread.conn.expire_at(secs(9_000));
        assert_eq!(spread.conn.poll_timeout(), closed_by, "closing is not put off");
    }
}

fn queue(max: usize) -> impl Fn(&mut Config) {
    move |config| {
        config.limits.queue = max;
        config.limits.queue_high = max / 2;
    }
}

// LIM-008
#[test]
fn a_full_queue_takes_no_part_of_a_message() {
    for end in ENDS {
        let mut rig = rig_with(end, queue(1_000));
        assert!(!rig.conn.is_above_high_water());
        rig.send(&[1; 5_000][..]);
        assert!(rig.conn.is_above_high_water(), "one message always fits into an empty queue");
        let (queued, before) = (rig.conn.queued(), rig.out.clone());
        assert_eq!(queued, before.len());
        let full = Err(Misuse::QueueFull { queued, max: 1_000 }.into());
        assert_eq!(rig.conn.send("x", &mut rig.out), full);
        assert_eq!(rig.conn.send("", &mut rig.out), full);
        let options = SendOptions { fragment: std::num::NonZero::new(1), ..SendOptions::default() };
        assert_eq!(rig.conn.send_with("xyz", options, &mut rig.out), full);
        let piece = rig.conn.send_piece(Kind::Text, b"x", Position::More, &mut rig.out);
        assert_eq!(piece, full);
        assert_eq!(rig.out, before, "nothing was appended");
        assert!(rig.conn.is_open());

        // A piece that was refused has started no message.
        rig.replies();
        rig.send("room again");
        let left = 1_000 - rig.conn.queued();
        let full = Err(Misuse::QueueFull { queued: 1_000 - left, max: 1_000 }.into());
        assert_eq!(rig.conn.send(&vec![0; left + 1][..], &mut rig.out), full);
        rig.send(&vec![0; left][..]);
        assert_eq!(rig.replies().len(), 2);
        assert_eq!(rig.conn.queued(), 0);
    }
}

#[test]
fn a_prepared_message_is_counted_and_refused_as_others_are() {
    let config = Arc::new({
        let mut config = Config::server();
        queue(100)(&mut config);
        config
    });
    let mut conn = Connection::new(Server, config, secs(0));
    let message = PreparedMessage::new("for all");
    let frame = conn.send_prepared(&message).unwrap();
    assert_eq!(read_frames(End::Server, &frame), [reply(TEXT, "for all")]);
    assert_eq!(conn.queued(), frame.len());
    let long = PreparedMessage::new(&[0; 100][..]);
    let full = Misuse::QueueFull { queued: frame.len(), max: 100 };
    assert_eq!(conn.send_prepared(&long), Err(full.into()));
    let mut out = Vec::new();
    conn.written(frame.len(), secs(0), &mut out);
    assert!(conn.send_prepared(&long).is_ok());
    conn.close(None, "", secs(0), &mut out).unwrap();
    assert_eq!(conn.send_prepared(&message), Err(Misuse::Closed.into()));
}

// A frame of no bytes cannot be asked for: `SendOptions::fragment` is never zero by its type.
// LIM-014
#[test]
fn every_limit_may_be_zero_or_one() {
    for end in ENDS {
        for tiny in [0, 1] {
            for delivery in [Delivery::Whole, Delivery::Pieces] {
                let mut rig = rig_with(end, |config| all_limits(config, tiny));
                rig.conn.set_delivery(delivery);
                let seen = rig.feed_frames(&[frame(PING, "p")]);
                assert_eq!(seen, [Seen::Ping(b"p".into())]);
                assert_eq!(rig.replies(), [reply(PONG, "p")], "a ping is answered whatever is set");
                rig.send("out");
                rig.conn.send_piece(Kind::Text, b"", Position::Last, &mut Vec::new()).unwrap_err();
                assert_eq!(rig.replies(), [reply(TEXT, "out")]);
                let seen = rig.feed_frames(&[frame(TEXT, "ab")]);
                match (delivery, tiny) {
                    (Delivery::Pieces, _) => {
                        assert_eq!(seen, [piece(Kind::Text, "ab", Position::Last)]);
                    }
                    (_, 0) => {
                        // Not one fragment is allowed, so no message is.
                        let error = over(Limit::Fragments, 0);
                        assert_eq!(seen, [failed(error)]);
                        rig.assert_failed(error, 1009);
                    }
                    _ => {
                        let error = over(Limit::Message, 1);
                        assert_eq!(seen, [failed(error)]);
                        rig.assert_failed(error, 1009);
                    }
                }
            }
        }
    }
}

fn all_limits(config: &mut Config, tiny: usize) {
    let limits = &mut config.limits;
    (limits.message, limits.queue_high, limits.queue) = (tiny, tiny, tiny);
    (limits.head, limits.headers, limits.target) = (tiny, tiny, tiny);
    limits.fragments = tiny as u32;
    limits.inflate_ratio = tiny as u32;
    (limits.pending_pongs, limits.control_rate) = (tiny as u16, tiny as u16);
}

#[test]
fn a_message_limit_of_zero_allows_empty_messages_alone() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.message = 0);
        let frames = [frame(TEXT, ""), part(BINARY, ""), frame(CONTINUATION, "")];
        assert_eq!(rig.feed_frames(&frames), [text(""), binary("")]);
        let error = over(Limit::Message, 0);
        assert_eq!(rig.feed_frames(&[frame(TEXT, "x")]), [failed(error)]);
        rig.assert_failed(error, 1009);
    }
}

#[test]
fn time_outs_of_zero_are_due_at_once_and_those_without_end_never() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| {
            let timeouts = &mut config.timeouts;
            (timeouts.message, timeouts.close) = (Duration::ZERO, Duration::ZERO);
            (timeouts.linger, timeouts.write_stall) = (Duration::ZERO, Duration::ZERO);
            config.keepalive = None;
        });
        assert_eq!(rig.feed_frames(&[frame(TEXT, "whole")]), [text("whole")]);
        rig.feed_frames(&[part(TEXT, "part")]);
        assert_eq!(rig.wait(0), [Timeout::Message.into()]);
        assert_eq!(rig.conn.next(), Next::Close, "the time for closing is over too");

        let mut rig = rig_with(end, |config| {
            let timeouts = &mut config.timeouts;
            (timeouts.message, timeouts.close) = (Duration::MAX, Duration::MAX);
            (timeouts.linger, timeouts.write_stall) = (Duration::MAX, Duration::MAX);
            (timeouts.idle, timeouts.lifetime) = (Some(Duration::MAX), Some(Duration::MAX));
            config.keepalive = Some(Keepalive::new(Duration::MAX, Duration::MAX));
        });
        rig.feed_frames(&[part(TEXT, "part")]);
        rig.send("waits");
        rig.conn.written(0, rig.now, &mut rig.out);
        assert_eq!(rig.conn.poll_timeout(), None);
        rig.now = Time::from_micros(u64::MAX);
        assert_eq!(rig.conn.handle_timeout(rig.now, &mut rig.out), Ok(()));
        assert!(rig.conn.is_open(), "never is not at the end of time either");
        rig.close(1000, "");
        assert_eq!(rig.conn.handle_timeout(rig.now, &mut rig.out), Ok(()));
        assert_eq!(rig.conn.next(), Next::Continue);
    }
}

#[test]
fn the_first_and_the_last_moment_are_moments_like_others() {
    for end in ENDS {
        let last = Time::from_micros(u64::MAX);
        let mut rig = rig_with(end, |config| config.keepalive = None);
        rig.now = last;
        assert_eq!(rig.conn.handle_timeout(last, &mut rig.out), Ok(()));
        assert_eq!(rig.feed_frames(&[part(TEXT, "a"), frame(PING, "")]).len(), 1);
        assert_eq!(rig.conn.handle_timeout(last, &mut rig.out), Ok(()));
        rig.now = Time::from_micros(0);
        // A clock that goes back is the host's mistake; nothing breaks.
        assert_eq!(rig.feed_frames(&[frame(CONTINUATION, "b"), frame(PING, "")]).len(), 2);
        rig.replies();
        rig.close(1000, "");
        assert!(rig.conn.poll_timeout().is_some());
        assert_eq!(rig.conn.handle_timeout(last, &mut rig.out), Err(Timeout::Close.into()));
    }
}

#[test]
fn handling_a_time_out_that_is_not_due_does_nothing_in_any_phase() {
    type Path = fn(&mut Rig);
    let phases: [Path; 6] = [
        |_| (),
        |rig| drop(rig.feed_frames(&[part(TEXT, "a")])),
        |rig| rig.close(1000, ""),
        |rig| drop(rig.feed_frames(&[close_frame(1000, "")])),
        |rig| drop(rig.feed_frames(&[frame(3, "")])),
        |rig| rig.conn.receive_eof(),
    ];
    for end in ENDS {
        for (at, reach) in phases.into_iter().enumerate() {
            let mut rig = rig(end);
            reach(&mut rig);
            let (out, next, due) = (rig.out.clone(), rig.conn.next(), rig.conn.poll_timeout());
            let info = rig.conn.close_info().cloned();
            for micros in [0, 1, 1_999_999] {
                let now = Time::from_micros(micros);
                assert_eq!(rig.conn.handle_timeout(now, &mut rig.out), Ok(()), "phase {at}");
            }
            assert_eq!((&rig.out, rig.conn.next()), (&out, next), "phase {at}");
            assert_eq!(rig.conn.poll_timeout(), due, "phase {at}");
            assert_eq!(rig.conn.close_info(), info.as_ref(), "phase {at}");
        }
    }
}

#[test]
fn limits_are_what_the_documentation_says() {
    let (server, client) = (Config::server(), Config::client());
    assert_eq!((server.limits.message, client.limits.message), (1 << 20, 16 << 20));
    assert_eq!((server.limits.queue, client.limits.queue), (1 << 20, 4 << 20));
    for config in [server, client] {
        let limits = config.limits;
        assert_eq!((limits.fragments, limits.pending_pongs), (131_072, 64));
        assert_eq!((limits.control_rate, limits.queue_high), (100, 64 << 10));
        assert_eq!((limits.head, limits.headers, limits.target), (16 << 10, 100, 8 << 10));
        let timeouts = config.timeouts;
        let whole = [timeouts.handshake, timeouts.message, timeouts.close, timeouts.write_stall];
        assert_eq!(whole.map(|time| time.as_secs()), [10, 60, 5, 30]);
        assert_eq!((timeouts.idle, timeouts.lifetime), (None, None));
        assert_eq!(config.keepalive, Some(Keepalive::default()));
    }
}

#[test]
fn a_peer_that_reads_nothing_is_1008_after_30_s_and_one_that_reads_is_not() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.keepalive = None);
        assert_eq!(rig.conn.poll_timeout(), None, "nothing waits");
        rig.send(&vec![0; 500_000][..]);
        rig.conn.written(0, rig.now, &mut rig.out);
        for _ in 0..10 {
            rig.wait_secs(29);
            rig.conn.written(40_000, rig.now, &mut rig.out);
        }
        rig.wait(29_999_999);
        rig.conn.written(0, rig.now, &mut rig.out);
        assert_eq!(rig.wait(1), [Timeout::WriteStall.into()], "trying is not reading");
        rig.assert_failed(Timeout::WriteStall, 1008);
    }
}

// LIM-007
#[test]
fn a_peer_that_reads_a_byte_a_second_is_1008_after_little_more_than_30_s() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.keepalive = None);
        rig.send(&[0; 1_000][..]);
        rig.conn.written(0, rig.now, &mut rig.out);
        for _ in 0..30 {
            assert_eq!(rig.wait_secs(1), []);
            rig.conn.written(1, rig.now, &mut rig.out);
        }
        // Thirty bytes bought thirty milliseconds.
        assert_eq!(rig.wait(29_999), []);
        assert_eq!(rig.wait(1), [Timeout::WriteStall.into()]);
        rig.assert_failed(Timeout::WriteStall, 1008);
    }
}

#[test]
fn a_queue_that_never_empties_does_not_stop_pongs() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| {
            config.limits.pending_pongs = 2;
            config.limits.control_rate = 0;
        });
        let mut answered = 0;
        for round in 0..100_u8 {
            // Something always waits behind the pong, and the host writes what was there before.
            let waiting = rig.out.len();
            assert_eq!(rig.feed_frames(&[frame(PING, [round])]).len(), 1);
            rig.send("firehose");
            let written: Vec<u8> = rig.out.drain(..waiting).collect();
            rig.conn.written(written.len(), rig.now, &mut rig.out);
            assert!(rig.conn.queued() > 0);
            answered += read_frames(end, &written).iter().filter(|f| f.opcode == PONG).count();
        }
        assert!(answered >= 99, "{answered}");
    }
}

#[test]
fn pongs_beyond_those_that_may_wait_are_dropped_but_for_the_newest() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.control_rate = 0);
        for i in 0..200_u8 {
            rig.feed_frames(&[frame(PING, [i])]);
        }
        let pongs: Vec<Reply> = (0..64).map(|i| reply(PONG, [i])).collect();
        assert_eq!(rig.unwritten_replies(), pongs);
        let all = rig.out.len();
        rig.out.clear();
        rig.conn.written(all - 1, rig.now, &mut rig.out);
        assert!(rig.out.is_empty(), "the last of them has not left");
        rig.conn.written(1, rig.now, &mut rig.out);
        assert_eq!(rig.replies(), [reply(PONG, [199])]);
        assert_eq!(rig.conn.queued(), 0);
    }
}

#[test]
fn a_ping_held_back_is_forgotten_when_the_connection_closes() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.pending_pongs = 1);
        rig.feed_frames(&[frame(PING, "1"), frame(PING, "2")]);
        rig.close(1000, "");
        assert_eq!(rig.replies(), [reply(PONG, "1"), reply(CLOSE, 1000_u16.to_be_bytes())]);
        assert_eq!(rig.replies(), [], "nothing follows a Close frame");
    }
}

#[test]
fn a_wrong_count_of_written_bytes_does_no_harm() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.conn.written(usize::MAX, rig.now, &mut rig.out);
        rig.conn.written(0, rig.now, &mut rig.out);
        assert_eq!((rig.conn.queued(), rig.out.len()), (0, 0));
        rig.feed_frames(&[frame(PING, "p")]);
        rig.send("x");
        rig.conn.written(usize::MAX, rig.now, &mut rig.out);
        assert_eq!(rig.conn.queued(), 0);
        assert_eq!(rig.conn.poll_timeout(), Some(secs(25)), "no stall of what is written");
        rig.send("y");
        assert!(rig.conn.queued() > 0);
    }
}

#[test]
fn changing_the_delivery_does_not_lift_the_message_limit() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.message = 1_000).pieces();
        assert_eq!(rig.feed(frame(BINARY, "").declaring(1 << 30).to(end)), []);
        rig.conn.set_delivery(Delivery::Whole);
        let error = LimitError { limit: Limit::Message, max: 1_000, seen: 1 << 30 };
        let (seen, usage) = measure(|| rig.feed(vec![0; 100_000]));
        assert_eq!(seen, [failed(error)]);
        assert!(usage.kept < 1_000, "{usage:?}");
        rig.assert_failed(error, 1009);
    }
}

#[test]
fn the_buffer_of_a_message_does_not_outgrow_the_limit() {
    for end in ENDS {
        let max = 100_000;
        let mut rig = rig_with(end, |config| config.limits.message = max);
        let bytes = frame(BINARY, vec![7; max]).to(end);
        let reads: Vec<&[u8]> = bytes.chunks(700).collect();
        let (last, before) = reads.split_last().unwrap();
        let ((), usage) = measure(|| {
            for read in before {
                assert_eq!(rig.feed(read), []);
            }
        });
        assert!(usage.peak <= max + 4_096, "{usage:?}");
        assert_eq!(rig.feed(last), [binary(vec![7; max])]);
    }
}

#[test]
fn closing_lets_go_of_a_message_that_will_not_be_handed_out() {
    for end in ENDS {
        for compressed in [false, true] {
            let mut rig = rig_deflate(end, no_context(), |_| ());
            let first = if compressed {
                zipped(BINARY, zip(vec![0; 500_000])).not_last()
            } else {
                part(BINARY, vec![0; 500_000])
            };
            rig.feed_frames(&[first]);
            let ((), usage) = measure(|| rig.close(1000, ""));
            assert!(usage.kept <= -499_000, "{usage:?}");
        }
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for end in ENDS {
        let mut rig = rig(end);
        let ((), usage) = measure(|| {
            for _ in 0..3 {
                let frames = [part(TEXT, "x".repeat(10_000)), frame(CONTINUATION, "")];
                assert_eq!(rig.feed_cut(&stream(end, &frames), &Cuts::EveryByte).len(), 1);
                assert_eq!(rig.feed_cut(&frame(PING, [0; 125]).to(end), &Cuts::EveryByte).len(), 1);
                rig.replies();
            }
            rig.out = Vec::new();
        });
        assert_eq!(usage.kept, 0, "{usage:?}");
    }
}

#[test]
fn whole_frames_take_no_memory_in_any_delivery() {
    for end in ENDS {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            let mut rig = rig(end);
            rig.conn.set_delivery(delivery);
            let frames = [frame(TEXT, "é".repeat(90)), frame(BINARY, [7; 900]), frame(PONG, "p")];
            let mut input = stream(end, &frames);
            let (count, usage) = measure(|| {
                let mut events = rig.conn.receive(&mut input, rig.now, &mut rig.out);
                let mut count = 0;
                while let Some(event) = events.next() {
                    assert!(event.is_ok());
                    count += 1;
                }
                count
            });
            assert_eq!((count, usage.calls), (3, 0), "{usage:?}");
        }
    }
}

#[test]
fn while_the_host_does_not_read_neither_silence_nor_an_unfinished_message_counts() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.feed_frames(&[part(TEXT, "begun")]);
        for _ in 0..100 {
            rig.now = rig.now + Duration::from_secs(24);
            rig.conn.reading_paused(rig.now);
            assert_eq!(rig.conn.handle_timeout(rig.now, &mut rig.out), Ok(()));
        }
        assert!(rig.conn.is_open());
        assert_eq!(rig.feed_frames(&[frame(CONTINUATION, "!")]), [text("begun!")]);
    }
}
