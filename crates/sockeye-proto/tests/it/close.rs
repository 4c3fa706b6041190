//! The closing handshake (group CLS): one Close frame each way, one end told to the application.

use sockeye_proto::{
    CloseCode, Error, Kind, Limit, LimitError, Misuse, Next, PeerError, Position, Side, Time,
    Timeout,
};

use crate::support::*;

/// What may be sent; the rest of the numbers may not.
fn is_sendable(code: u16) -> bool {
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].contains(&code)
        || (3000..5000).contains(&code)
}

fn body(code: u16) -> [u8; 2] {
    code.to_be_bytes()
}

/// What a host does after a clean closing handshake.
fn after_clean(end: End) -> Next {
    if end == End::Server { Next::Shutdown } else { Next::AwaitEof }
}

// CLS-001
#[test]
fn an_empty_close_is_answered_with_an_empty_close_and_is_1005_here() {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let mut rig = rig(end);
            let seen = rig.feed_cut(&frame(CLOSE, "").to(end), &cuts);
            assert_eq!(seen, [Seen::Close(1005, String::new())]);
            assert_eq!(rig.replies(), [reply(CLOSE, "")]);
            let info = rig.info();
            assert_eq!((info.code.get(), info.clean, info.by), (1005, true, Side::Remote));
            assert_eq!(rig.conn.next(), after_clean(end));
            rig.assert_terminal();
        }
    }
}

// CLS-002
#[test]
fn close_frame_with_one_byte_body_is_1002() {
    for byte in [0, 3, 255] {
        both_fail(&[frame(CLOSE, [byte])], PeerError::CloseBodyTooShort, 1002);
    }
}

// CLS-003
#[test]
fn every_close_code_that_may_not_be_sent_is_1002() {
    for code in (0..=u16::MAX).filter(|code| !is_sendable(*code)) {
        for end in ENDS {
            let mut rig = rig(end);
            let error = PeerError::InvalidCloseCode(code);
            assert_eq!(rig.feed_frames(&[close_frame(code, "why")]), [failed(error)]);
            rig.assert_failed(error, 1002);
        }
    }
}

// CLS-004
#[test]
fn every_other_close_code_is_echoed_and_told_with_its_reason() {
    for code in (0..=u16::MAX).filter(|code| is_sendable(*code)) {
        for end in ENDS {
            let mut rig = rig(end);
            let seen = rig.feed_frames(&[close_frame(code, "why é")]);
            assert_eq!(seen, [Seen::Close(code, "why é".into())]);
            assert_eq!(rig.replies(), [reply(CLOSE, [&body(code), "why é".as_bytes()].concat())]);
            let info = rig.info();
            assert_eq!((info.code.get(), &*info.reason, info.clean), (code, "why é", true));
            assert_eq!(info.by, Side::Remote);
            assert_eq!(rig.conn.next(), after_clean(end));
        }
    }
}

// CLS-005
#[test]
fn a_close_reason_that_is_not_utf8_is_1007() {
    for reason in [&b"\xff"[..], b"ok\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        both_fail(&[close_frame(1000, reason)], PeerError::InvalidUtf8, 1007);
    }
}

// CLS-006
#[test]
fn a_close_reason_may_have_123_bytes_and_no_more() {
    for end in ENDS {
        let reason = "é".repeat(61) + "x";
        assert_eq!(reason.len(), 123);
        let mut rig = rig(end);
        let seen = rig.feed_frames(&[close_frame(1000, &reason)]);
        assert_eq!(seen, [Seen::Close(1000, reason)]);
    }
    both_fail(&[close_frame(1000, "x".repeat(124))], PeerError::ControlTooLong, 1002);
}

// CLS-007
#[test]
fn both_closes_at_once_are_each_others_answers() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.close(3001, "ours");
        assert_eq!(rig.conn.close_info(), None, "not over yet");
        assert_eq!(rig.conn.next(), Next::Continue);
        let seen = rig.feed_frames(&[close_frame(3002, "theirs"), frame(TEXT, "late")]);
        assert_eq!(seen, [Seen::Close(3002, "theirs".into())]);
        let ours = [&body(3001)[..], b"ours"].concat();
        assert_eq!(rig.replies(), [reply(CLOSE, ours)]);
        let info = rig.info();
        assert_eq!((info.code.get(), &*info.reason, info.clean), (3002, "theirs", true));
        assert_eq!(info.by, Side::Local, "this end began");
        assert_eq!(rig.conn.next(), after_clean(end));
        rig.assert_terminal();
    }
}

// CLS-008
#[test]
fn whatever_follows_a_close_is_ignored_even_what_is_illegal() {
    for end in ENDS {
        for after in [
            frame(TEXT, "late"),
            frame(3, ""),
            frame(TEXT, "\u{0}").reserved(7),
            frame(TEXT, "").wrongly_masked(),
            close_frame(1001, "again"),
            frame(BINARY, "").declaring(u64::MAX),
        ] {
            let bytes = stream(end, &[close_frame(1000, "bye"), after]);
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let mut rig = rig(end);
                assert_eq!(rig.feed_cut(&bytes, &cuts), [Seen::Close(1000, "bye".into())]);
                assert_eq!(rig.replies(), [reply(CLOSE, [&body(1000), &b"bye"[..]].concat())]);
                assert!(rig.info().clean);
                rig.assert_terminal();
            }
        }
    }
}

#[test]
fn a_peer_that_never_answers_our_close_is_1006_after_the_time_out() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.wait_secs(1);
        rig.close(1000, "bye");
        assert_eq!(rig.wait(4_999_999), []);
        rig.feed_frames(&[frame(TEXT, "still here"), frame(PING, "")]);
        assert_eq!(rig.conn.next(), Next::Continue);
        assert_eq!(rig.wait(1), [Timeout::Close.into()]);
        let info = rig.info();
        assert_eq!((info.code.get(), info.clean), (1006, false));
        assert_eq!(rig.conn.next(), Next::Close);
        assert_eq!(rig.conn.poll_timeout(), None);
        assert_eq!(rig.replies().len(), 1);
        rig.assert_terminal();
    }
}

#[test]
fn data_after_our_close_is_dropped_and_its_frames_are_still_held_to_the_rules() {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let mut rig = rig(end);
            assert_eq!(rig.feed_frames(&[part(TEXT, "before ")]), []);
            rig.close(1000, "");
            let frames = [
                frame(PING, "p"),
                frame(CONTINUATION, "our close"),
                frame(TEXT, b"\xff not checked"),
                part(BINARY, "x"),
                frame(CONTINUATION, ""),
                frame(BINARY, vec![0; 2 << 20]),
                close_frame(1000, "ok"),
            ];
            let cuts = match cuts {
                Cuts::EveryByte => Cuts::Lengths(vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5_000]),
                other => other,
            };
            let seen = rig.feed_cut(&stream(end, &frames), &cuts);
            assert_eq!(seen, [Seen::Ping(b"p".into()), Seen::Close(1000, "ok".into())]);
            assert_eq!(rig.replies(), [reply(CLOSE, body(1000))]);
            assert!(rig.info().clean);
        }
        for (bad, error) in [
            (frame(CONTINUATION, ""), PeerError::UnexpectedContinuation),
            (frame(3, ""), PeerError::ReservedOpcode(3)),
            (close_frame(999, ""), PeerError::InvalidCloseCode(999)),
        ] {
            let mut rig = rig(end);
            rig.close(1000, "");
            assert_eq!(rig.replies(), [reply(CLOSE, body(1000))]);
            assert_eq!(rig.feed_frames(&[bad]), [failed(error)]);
            assert_eq!(rig.replies(), [], "one Close frame is enough");
            let info = rig.info();
            assert_eq!((info.code.get(), info.clean, info.by), (1002, false, Side::Local));
            rig.assert_terminal();
        }
    }
}

#[test]
fn closing_in_the_middle_of_a_cut_frame_loses_no_frame_boundary() {
    for end in ENDS {
        let data = frame(TEXT, "in the middle").to(end);
        let ping = frame(PING, "12345").to(end);
        for (bytes, expected) in [(data, vec![]), (ping, vec![Seen::Ping(b"12345".into())])] {
            for cut in 0..=bytes.len() {
                let mut rig = rig(end);
                let mut seen = rig.feed(&bytes[..cut]);
                seen.retain(|event| !matches!(event, Seen::Text(_)));
                rig.close(1000, "");
                seen.extend(rig.feed(&bytes[cut..]));
                assert_eq!(seen, expected, "cut at {cut}");
                let seen = rig.feed_frames(&[close_frame(1000, "")]);
                assert_eq!(seen, [Seen::Close(1000, String::new())]);
            }
        }
    }
}

#[test]
fn the_end_of_closing_is_never_put_off() {
    for end in ENDS {
        for answer in [close_frame(1000, ""), frame(3, "")] {
            let mut rig = rig(end);
            rig.close(1000, "");
            rig.wait(4_900_000);
            assert_eq!(rig.feed_frames(&[answer]).len(), 1);
            assert_eq!(rig.conn.poll_timeout(), Some(Time::from_micros(5_000_000)));
            assert_eq!(rig.wait(100_000), []);
            assert_eq!(rig.conn.next(), Next::Close);
        }
    }
}

#[test]
fn a_server_waits_for_the_end_of_the_stream_5_s_and_a_client_2_s() {
    for (end, secs) in [(End::Server, 5), (End::Client, 2)] {
        for finishes in [false, true] {
            let mut rig = rig(end);
            rig.feed_frames(&[close_frame(1000, "")]);
            assert_eq!(rig.conn.poll_timeout(), Some(Time::from_micros(secs * 1_000_000)));
            if finishes {
                rig.conn.receive_eof();
            } else {
                assert_eq!(rig.wait(secs * 1_000_000 - 1), []);
                assert_eq!(rig.conn.next(), after_clean(end));
                assert_eq!(rig.wait(1), []);
            }
            assert_eq!(rig.conn.next(), Next::Close);
            assert!(rig.info().clean, "the handshake was complete");
            assert_eq!(rig.info().code.get(), 1000);
        }
    }
}

// CLS-013
#[test]
fn close_takes_every_code_that_may_be_sent_and_no_other() {
    for code in 0..=u16::MAX {
        let mut rig = rig(End::Server);
        let result = rig.conn.close(Some(code.into()), "x", rig.now, &mut rig.out);
        if is_sendable(code) {
            assert_eq!(result, Ok(()));
            assert_eq!(rig.replies(), [reply(CLOSE, [&body(code)[..], b"x"].concat())]);
        } else {
            assert_eq!(result, Err(Misuse::CloseCode(code).into()));
            assert_eq!(rig.replies(), []);
            assert!(rig.conn.is_open(), "a misuse changes nothing");
        }
    }
}

// CLS-014
#[test]
fn close_takes_a_reason_of_123_bytes_counted_in_utf8() {
    for end in ENDS {
        for reason in ["x".repeat(124), "é".repeat(62), "😀".repeat(31)] {
            assert_eq!(reason.len(), 124);
            let mut rig = rig(end);
            let result = rig.conn.close(Some(CloseCode::NORMAL), &reason, rig.now, &mut rig.out);
            assert_eq!(result, Err(Misuse::ReasonTooLong(124).into()));
            assert!(rig.conn.is_open() && rig.out.is_empty());
        }
        for reason in ["x".repeat(123), "é".repeat(61) + "x", "€".repeat(41)] {
            let mut rig = rig(end);
            rig.close(1000, &reason);
            let whole = [&body(1000)[..], reason.as_bytes()].concat();
            assert_eq!(rig.replies(), [reply(CLOSE, whole)]);
        }
        let mut rig = rig(end);
        let result = rig.conn.close(None, "x", rig.now, &mut rig.out);
        assert_eq!(result, Err(Misuse::ReasonWithoutCode.into()));
        assert_eq!(rig.conn.close(None, "", rig.now, &mut rig.out), Ok(()));
        assert_eq!(rig.replies(), [reply(CLOSE, "")]);
        rig.conn.receive_eof();
        assert_eq!(rig.info().code.get(), 1006);
    }
}

// CLS-016
#[test]
fn closing_twice_or_after_a_failure_changes_nothing_and_sending_after_is_an_error() {
    for end in ENDS {
        let mut twice = rig(end);
        twice.close(1000, "first");
        twice.close(1001, "second");
        let first = [&body(1000)[..], b"first"].concat();
        assert_eq!(twice.replies(), [reply(CLOSE, first)]);
        let closed = Err(Error::Misuse(Misuse::Closed));
        assert_eq!(twice.conn.send("x", &mut twice.out), closed);
        assert_eq!(twice.conn.pong(b"", &mut twice.out), closed);
        let piece = twice.conn.send_piece(Kind::Text, b"", Position::More, &mut twice.out);
        assert_eq!(piece, closed);
        assert!(twice.out.is_empty());
        let bad = twice.conn.close(Some(CloseCode::ABNORMAL), "", twice.now, &mut twice.out);
        assert_eq!(bad, Err(Misuse::CloseCode(1006).into()), "still the caller's error");
        twice.conn.receive_eof();
        twice.close(1000, "third");
        assert_eq!((twice.info().code.get(), twice.out.len()), (1006, 0));

        let mut failed = rig(end);
        failed.feed_frames(&[frame(3, "")]);
        failed.close(1000, "after");
        failed.assert_failed(PeerError::ReservedOpcode(3), 1002);
    }
}

// CLS-019
#[test]
fn a_close_frame_holds_the_code_and_the_reason_and_not_a_byte_more() {
    let mut rig = rig(End::Server);
    // The reason is a `&str` by type; the memory that it is copied into holds something else.
    rig.out = vec![0xee; 500];
    rig.out.clear();
    rig.close(4999, "reason é");
    let expected = [&[0x88, 11][..], &body(4999), "reason é".as_bytes()].concat();
    assert_eq!(rig.out, expected);
}

// CLS-020
#[test]
fn every_failure_has_its_close_code() {
    let limit = |limit| Error::from(LimitError { limit, max: 1, seen: 2 });
    for (error, code) in [
        (PeerError::InvalidUtf8.into(), 1007),
        (PeerError::CorruptDeflate.into(), 1007),
        (PeerError::UnmaskedFrame.into(), 1002),
        (PeerError::MaskedFrame.into(), 1002),
        (PeerError::ReservedBits.into(), 1002),
        (PeerError::ReservedOpcode(3).into(), 1002),
        (PeerError::FragmentedControl.into(), 1002),
        (PeerError::ControlTooLong.into(), 1002),
        (PeerError::LengthNotMinimal.into(), 1002),
        (PeerError::LengthTooLarge.into(), 1002),
        (PeerError::UnexpectedContinuation.into(), 1002),
        (PeerError::ExpectedContinuation.into(), 1002),
        (PeerError::CloseBodyTooShort.into(), 1002),
        (PeerError::InvalidCloseCode(1005).into(), 1002),
        (limit(Limit::Message), 1009),
        (limit(Limit::Fragments), 1009),
        (limit(Limit::InflateRatio), 1009),
        (limit(Limit::EmptyFragments), 1008),
        (limit(Limit::ControlRate), 1008),
        (limit(Limit::Memory), 1011),
        (Timeout::Message.into(), 1008),
        (Timeout::WriteStall.into(), 1008),
    ] {
        let error: Error = error;
        assert_eq!(error.close_code().map(CloseCode::get), Some(code), "{error:?}");
    }
    for silent in [Timeout::Keepalive, Timeout::Close] {
        assert_eq!(Error::from(silent).close_code(), None);
    }
    for misuse in [Misuse::Closed, Misuse::QueueFull { queued: 1, max: 1 }] {
        assert_eq!(Error::from(misuse).close_code(), None);
    }
    for (name, code) in [
        (CloseCode::AWAY, 1001),
        (CloseCode::UNSUPPORTED, 1003),
        (CloseCode::INVALID_DATA, 1007),
        (CloseCode::POLICY, 1008),
        (CloseCode::TOO_BIG, 1009),
        (CloseCode::INTERNAL, 1011),
        (CloseCode::RESTART, 1012),
        (CloseCode::TRY_LATER, 1013),
    ] {
        let mut rig = rig(End::Server);
        rig.conn.close(Some(name), "", rig.now, &mut rig.out).unwrap();
        assert_eq!(rig.replies(), [reply(CLOSE, body(code))]);
    }
}

// CLS-022
#[test]
fn every_path_to_the_end_tells_of_it_once() {
    type Path = fn(&mut Rig);
    let paths: [(Path, u16); 9] = [
        (|rig| drop(rig.feed_frames(&[close_frame(1000, ""), close_frame(1000, "")])), 1000),
        (|rig| drop(rig.feed_frames(&[frame(3, ""), close_frame(1000, "")])), 1002),
        (|rig| rig.conn.receive_eof(), 1006),
        (
            |rig| {
                rig.close(1000, "");
                rig.feed_frames(&[close_frame(3000, "")]);
            },
            3000,
        ),
        (
            |rig| {
                rig.close(1000, "");
                rig.conn.receive_eof();
            },
            1006,
        ),
        (
            |rig| {
                rig.close(1000, "");
                rig.wait_secs(5);
            },
            1006,
        ),
        (
            |rig| {
                rig.close(1000, "");
                rig.feed_frames(&[frame(3, "")]);
            },
            1002,
        ),
        (|rig| drop(rig.wait_secs(35)), 1006),
        (
            |rig| {
                rig.feed_frames(&[part(TEXT, "a")]);
                for _ in 0..12 {
                    rig.wait_secs(5);
                    rig.feed_frames(&[frame(PING, "")]);
                }
            },
            1008,
        ),
    ];
    for end in ENDS {
        for (at, (path, code)) in paths.into_iter().enumerate() {
            let mut rig = rig(end);
            path(&mut rig);
            assert_eq!(rig.info().code.get(), code, "path {at}");
            // The rig panics when a second end is told of. Whatever else happens adds none.
            rig.feed_frames(&[close_frame(1001, ""), frame(3, "")]);
            rig.close(1001, "");
            assert_eq!(rig.wait_secs(100), []);
            rig.conn.receive_eof();
            rig.conn.receive_eof();
            assert_eq!(rig.wait_secs(100), []);
            rig.feed_frames(&[close_frame(1001, "")]);
            assert_eq!(rig.info().code.get(), code, "path {at}");
            assert_eq!(rig.conn.next(), Next::Close);
            let closes = rig.replies().into_iter().filter(|reply| reply.opcode == CLOSE).count();
            assert!(closes <= 1);
        }
    }
}
