//! Messages in pieces, read and sent: any length in little memory, valid to the last byte.

use sockeye_proto::deflate::Params;
use sockeye_proto::{Delivery, Kind, Limit, Misuse, PeerError, Position, Timeout};

use crate::memory::measure;
use crate::support::*;

/// Makes a connection that hands out pieces, with compression agreed.
fn piecemeal(end: End) -> Rig {
    rig_deflate(end, Params::default(), |_| ()).pieces()
}

const SAMPLE: &str = "κόσμε-€-😀-\u{10ffff}, in the end";

/// One message in every shape it can have on the wire.
fn shapes(opcode: u8, payload: &str) -> Vec<Vec<Frame>> {
    let (head, tail) = payload.as_bytes().split_at(payload.len() / 2);
    let zip = zip(payload);
    let (zip_head, zip_tail) = zip.split_at(zip.len() / 3);
    vec![
        vec![frame(opcode, payload)],
        vec![part(opcode, head), frame(CONTINUATION, tail)],
        vec![part(opcode, ""), part(CONTINUATION, payload), frame(CONTINUATION, "")],
        vec![part(opcode, head), frame(PING, "mid"), frame(CONTINUATION, tail)],
        vec![zipped(opcode, &zip)],
        vec![zipped(opcode, zip_head).not_last(), frame(CONTINUATION, zip_tail)],
        vec![
            zipped(opcode, "").not_last(),
            part(CONTINUATION, &zip),
            frame(PING, "mid"),
            frame(CONTINUATION, ""),
        ],
    ]
}

/// Checks that `seen` is one message and what pings came with it.
fn assert_message(seen: Vec<Seen>, expected: &Seen, what: &str) {
    let (mut whole, unfinished) = joined(seen);
    whole.retain(|event| !matches!(event, Seen::Ping(_)));
    assert_eq!(whole, std::slice::from_ref(expected), "{what}");
    assert!(unfinished.is_empty(), "{what}");
}

#[test]
fn pieces_cut_at_every_byte_join_to_the_message() {
    for end in ENDS {
        for (opcode, expected) in [(TEXT, text(SAMPLE)), (BINARY, binary(SAMPLE))] {
            for frames in shapes(opcode, SAMPLE) {
                let bytes = stream(end, &frames);
                for cut in 0..=bytes.len() {
                    let mut rig = piecemeal(end);
                    let mut seen = rig.feed(&bytes[..cut]);
                    seen.extend(rig.feed(&bytes[cut..]));
                    assert_message(seen, &expected, &format!("cut {cut}"));
                }
                let mut rig = piecemeal(end);
                let seen = rig.feed_cut(&bytes, &Cuts::EveryByte);
                assert_message(seen, &expected, "byte by byte or stopping");
                let seen = rig.feed_stopping(&bytes);
                assert_message(seen, &expected, "byte by byte or stopping");
            }
        }
    }
}

#[test]
fn a_plain_piece_is_what_one_read_brought_and_the_last_may_be_empty() {
    for end in ENDS {
        let mut rig = rig(end).pieces();
        assert_eq!(rig.feed(part(TEXT, "").to(end)), [], "nothing to say yet");
        assert_eq!(
            rig.feed_frames(&[part(CONTINUATION, "ab"), frame(CONTINUATION, "")]),
            [piece(Kind::Text, "ab", Position::More), piece(Kind::Text, "", Position::Last)]
        );
        assert_eq!(rig.feed_frames(&[frame(TEXT, "")]), [piece(Kind::Text, "", Position::Last)]);
        let euro = frame(TEXT, "€").to(end);
        let (head, last) = euro.split_at(euro.len() - 1);
        assert_eq!(rig.feed(head), [piece(Kind::Text, b"\xe2\x82", Position::More)]);
        assert_eq!(rig.feed(last), [piece(Kind::Text, b"\xac", Position::Last)]);
    }
}

#[test]
fn text_in_pieces_is_refused_at_the_byte_that_shows_it() {
    for end in ENDS {
        for bad in [&b"\xff"[..], b"\xed\xa0", b"\xf4\x90", b"\xe0\x9f"] {
            let payload = [SAMPLE.as_bytes(), bad].concat();
            let plain = part(TEXT, &payload).to(end);
            let (last, before) = plain.split_last().unwrap();
            let mut rig = piecemeal(end);
            let seen = rig.feed_cut(before, &Cuts::EveryByte);
            assert_eq!(joined(seen).1, payload[..payload.len() - 1]);
            assert_eq!(rig.feed([*last]), [failed(PeerError::InvalidUtf8)]);
            rig.assert_failed(PeerError::InvalidUtf8, 1007);

            let mut rig = piecemeal(end);
            let seen = rig.feed_cut(&zipped(TEXT, zip(&payload)).to(end), &Cuts::EveryByte);
            let (seen, handed_out) = joined(seen);
            assert_eq!(seen, [failed(PeerError::InvalidUtf8)]);
            assert!(payload.starts_with(&handed_out));
            rig.assert_failed(PeerError::InvalidUtf8, 1007);
        }
        for cut_short in ["é", "€", "😀"] {
            let payload = &cut_short.as_bytes()[..cut_short.len() - 1];
            for frames in [
                vec![frame(TEXT, payload)],
                vec![part(TEXT, payload), frame(CONTINUATION, "")],
                vec![zipped(TEXT, zip(payload))],
            ] {
                for cuts in [Cuts::Whole, Cuts::EveryByte] {
                    let mut rig = piecemeal(end);
                    let seen = rig.feed_cut(&stream(end, &frames), &cuts);
                    assert_eq!(joined(seen).0, [failed(PeerError::InvalidUtf8)]);
                    rig.assert_failed(PeerError::InvalidUtf8, 1007);
                }
            }
        }
    }
}

#[test]
fn asking_for_pieces_in_the_middle_hands_out_first_what_was_gathered() {
    for end in ENDS {
        for (opcode, expected) in [(TEXT, text(SAMPLE)), (BINARY, binary(SAMPLE))] {
            for frames in shapes(opcode, SAMPLE) {
                let bytes = stream(end, &frames);
                for cut in 1..bytes.len() {
                    for step in [1, bytes.len()] {
                        let mut rig = rig_deflate(end, Params::default(), |_| ());
                        let mut seen = rig.feed_cut(&bytes[..cut], &Cuts::Lengths(vec![step]));
                        rig.conn.set_delivery(Delivery::Pieces);
                        seen.extend(rig.feed_cut(&bytes[cut..], &Cuts::Lengths(vec![step])));
                        assert_message(seen, &expected, &format!("{end:?} cut {cut} step {step}"));
                        // The next message is a whole one where that is asked for.
                        rig.conn.set_delivery(Delivery::Whole);
                        assert_eq!(rig.feed_frames(&[frame(TEXT, "next")]), [text("next")]);
                    }
                }
            }
        }
    }
}

#[test]
fn changing_the_delivery_back_and_forth_loses_no_byte() {
    for end in ENDS {
        for frames in shapes(TEXT, SAMPLE) {
            let bytes = stream(end, &frames);
            for period in 1..7 {
                let mut rig = rig_deflate(end, Params::default(), |_| ());
                let mut seen = Vec::new();
                for (at, byte) in bytes.iter().enumerate() {
                    let pieces = at / period % 2 == 1;
                    let delivery = if pieces { Delivery::Pieces } else { Delivery::Whole };
                    rig.conn.set_delivery(delivery);
                    seen.extend(rig.feed([*byte]));
                }
                assert_message(seen, &text(SAMPLE), &format!("period {period}"));
            }
        }
    }
}

#[test]
fn a_message_of_any_length_takes_little_memory_in_pieces() {
    let limit = 1_000;
    for end in ENDS {
        let mut rig =
            rig_deflate(end, Params::default(), |config| config.limits.message = limit).pieces();
        let header = frame(BINARY, "").declaring(1 << 40).to(end);
        assert_eq!(rig.feed(header), []);
        let read = vec![0; 64 << 10];
        let (handed_out, usage) =
            measure(|| (0..160).map(|_| joined(rig.feed(&read)).1.len()).sum::<usize>());
        assert_eq!(handed_out, 160 * read.len());
        // The copies that the rig itself makes of a read.
        assert!(usage.peak <= 5 * read.len(), "{usage:?}");

        let mut rig =
            rig_deflate(end, Params::default(), |config| config.limits.message = limit).pieces();
        let bomb = zipped(BINARY, zip(vec![0; 10 << 20])).to(end);
        let mut input = bomb;
        let (len, usage) = measure(|| {
            let mut len = 0;
            let mut events = rig.conn.receive(&mut input, rig.now, &mut rig.out);
            while let Some(event) = events.next() {
                let sockeye_proto::Event::Piece(piece) = event.unwrap() else {
                    panic!("a piece");
                };
                assert!(piece.bytes.len() <= 16 << 10);
                len += piece.bytes.len();
            }
            len
        });
        assert_eq!(len, 10 << 20);
        assert!(usage.peak <= 128 << 10, "{usage:?}");
    }
}

#[test]
fn a_bomb_in_pieces_can_be_left_in_the_middle_and_taken_up_again() {
    let payload = "0123456789".repeat(100_000);
    for end in ENDS {
        let mut rig =
            rig_deflate(end, Params::default(), |config| config.limits.message = 10).pieces();
        let frames = [zipped(TEXT, zip(&payload)), frame(PING, "after"), zipped(TEXT, zip("x"))];
        let (seen, _) = joined(rig.feed_stopping(&stream(end, &frames)));
        assert_eq!(seen, [text(&payload), Seen::Ping(b"after".into()), text("x")]);
        // Closed in the middle of it, the rest is passed over and the answer is found.
        let mut rig = piecemeal(end);
        let mut input = stream(end, &[frames[0].clone(), close_frame(1000, "")]);
        let mut events = rig.conn.receive(&mut input, rig.now, &mut rig.out);
        assert!(matches!(events.next(), Some(Ok(sockeye_proto::Event::Piece(_)))));
        let at = events.consumed();
        rig.close(1000, "");
        assert_eq!(rig.feed(&input[at..]), [Seen::Close(1000, String::new())]);
        assert!(rig.info().clean);
    }
}

#[test]
fn closing_failing_and_ending_in_the_middle_of_pieces_gives_no_last_piece() {
    for end in ENDS {
        for zipped_up in [false, true] {
            let payload = "x".repeat(50_000);
            let first = if zipped_up {
                zipped(TEXT, zip(&payload)).not_last()
            } else {
                part(TEXT, &payload)
            };
            let begin = || {
                let mut rig = piecemeal(end);
                let (seen, handed_out) = joined(rig.feed_frames(std::slice::from_ref(&first)));
                assert_eq!(seen, []);
                assert!(payload.as_bytes().starts_with(&handed_out) && !handed_out.is_empty());
                rig
            };
            let mut rig = begin();
            let seen = rig.feed_frames(&[close_frame(1000, ""), frame(CONTINUATION, "y")]);
            assert_eq!(seen, [Seen::Close(1000, String::new())]);

            let mut rig = begin();
            let error = PeerError::ExpectedContinuation;
            assert_eq!(rig.feed_frames(&[frame(TEXT, "y")]), [failed(error)]);
            rig.assert_failed(error, 1002);

            let mut rig = begin();
            rig.conn.receive_eof();
            assert_eq!(rig.info().code.get(), 1006);
            rig.assert_terminal();

            let mut rig = begin();
            rig.close(1000, "");
            let seen = rig.feed_frames(&[frame(CONTINUATION, "y"), close_frame(1000, "")]);
            assert_eq!(seen, [Seen::Close(1000, String::new())]);
        }
    }
}

#[test]
fn empty_fragments_are_1008_at_the_limit_in_pieces_too() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.limits.fragments = 100).pieces();
        let mut frames = vec![part(CONTINUATION, ""); 101];
        frames[0] = part(TEXT, "");
        let error = over(Limit::EmptyFragments, 100);
        assert_eq!(rig.feed_frames(&frames), [failed(error)]);
        rig.assert_failed(error, 1008);

        // Fragments that hold something may be of any number: they are what was asked for.
        let mut rig = rig_with(end, |config| config.limits.fragments = 100).pieces();
        let mut frames = vec![part(CONTINUATION, "x"); 1_000];
        frames[0] = part(TEXT, "x");
        assert_eq!(rig.feed_frames(&frames).len(), 1_000);
    }
}

#[test]
fn a_message_in_pieces_may_take_any_time_but_must_begin() {
    for end in ENDS {
        let mut rig = rig_with(end, |config| config.keepalive = None).pieces();
        rig.feed_frames(&[part(BINARY, "begun")]);
        assert_eq!(rig.wait_secs(10_000), []);
        assert_eq!(rig.feed_frames(&[frame(CONTINUATION, "done")]).len(), 1);
        assert_eq!(rig.feed(frame(BINARY, "").declaring(100).to(end)), []);
        assert_eq!(rig.wait_secs(60), [Timeout::Message.into()]);
        rig.assert_failed(Timeout::Message, 1008);
    }
}

#[test]
fn pieces_sent_are_the_frames_of_one_message_and_pings_may_go_between() {
    for end in ENDS {
        let mut rig = rig(end);
        for kind in [Kind::Text, Kind::Binary] {
            let opcode = if kind == Kind::Text { TEXT } else { BINARY };
            let mut send = |bytes: &[u8], position| {
                rig.conn.send_piece(kind, bytes, position, &mut rig.out).unwrap();
                rig.conn.ping(b"p", &mut rig.out).unwrap();
            };
            send(b"", Position::More);
            send(b"Hel\xc3", Position::More);
            send(b"\xa9lo", Position::More);
            send(b"", Position::Last);
            send(b"whole", Position::Last);
            let fragment = |opcode, payload: &[u8]| Reply { fin: false, ..reply(opcode, payload) };
            let ping = reply(PING, "p");
            assert_eq!(
                rig.replies(),
                [
                    fragment(opcode, b""),
                    ping.clone(),
                    fragment(CONTINUATION, b"Hel\xc3"),
                    ping.clone(),
                    fragment(CONTINUATION, b"\xa9lo"),
                    ping.clone(),
                    reply(CONTINUATION, ""),
                    ping.clone(),
                    reply(opcode, "whole"),
                    ping,
                ]
            );
            assert_eq!(rig.conn.queued(), 0);
        }
    }
}

#[test]
fn no_other_message_goes_between_the_pieces_of_one() {
    for end in ENDS {
        let mut rig = rig(end);
        rig.conn.send_piece(Kind::Text, b"a", Position::More, &mut rig.out).unwrap();
        let before = rig.out.clone();
        let pending = Err(Misuse::FragmentsPending.into());
        assert_eq!(rig.conn.send("whole", &mut rig.out), pending);
        let other = rig.conn.send_piece(Kind::Binary, b"b", Position::Last, &mut rig.out);
        assert_eq!(other, pending);
        assert_eq!(rig.out, before);
        rig.conn.send_piece(Kind::Text, b"b", Position::Last, &mut rig.out).unwrap();
        rig.send("whole");
        let first = Reply { fin: false, ..reply(TEXT, "a") };
        assert_eq!(rig.replies(), [first, reply(CONTINUATION, "b"), reply(TEXT, "whole")]);
        // A Close frame may; then nothing more of the message goes out.
        rig.conn.send_piece(Kind::Text, b"a", Position::More, &mut rig.out).unwrap();
        rig.close(1000, "");
        let closed = rig.conn.send_piece(Kind::Text, b"b", Position::Last, &mut rig.out);
        assert_eq!(closed, Err(Misuse::Closed.into()));
        assert_eq!(rig.replies().len(), 2);
    }
}

#[test]
fn a_piece_that_breaks_the_text_is_refused_and_the_message_goes_on() {
    for end in ENDS {
        let mut rig = piecemeal(end);
        let bad = Err(Misuse::InvalidUtf8.into());
        let send = |rig: &mut Rig, bytes: &[u8], position| {
            rig.conn.send_piece(Kind::Text, bytes, position, &mut rig.out)
        };
        assert_eq!(send(&mut rig, b"\xff", Position::More), bad);
        rig.send("no message was begun");
        assert_eq!(send(&mut rig, b"caf\xc3", Position::More), Ok(()));
        let before = rig.out.clone();
        assert_eq!(send(&mut rig, b"", Position::Last), bad, "inside a code point");
        assert_eq!(send(&mut rig, b"x", Position::More), bad);
        assert_eq!(rig.out, before);
        assert_eq!(send(&mut rig, b"\xa9", Position::Last), Ok(()));
        let sent = rig.replies();
        assert!(sent[1].compressed && !sent[2].compressed);
        let whole: Vec<u8> = sent[1..].iter().flat_map(|frame| frame.payload.clone()).collect();
        assert_eq!(Unzip::default().message(&whole), "café".as_bytes());
    }
}

#[test]
fn pieces_sent_compressed_are_read_as_one_message_and_keep_the_context() {
    for end in ENDS {
        for params in [Params::default(), no_context()] {
            let mut sender = rig_deflate(end, params, |_| ());
            let peer = if end == End::Server { End::Client } else { End::Server };
            let mut reader = rig_deflate(peer, params, |_| ());
            for round in 0..3 {
                let parts = ["first ", "", "second and longer ", &"third ".repeat(1_000)];
                for (at, part) in parts.iter().enumerate() {
                    let position = if at == 3 { Position::Last } else { Position::More };
                    let out = &mut sender.out;
                    sender.conn.send_piece(Kind::Text, part.as_bytes(), position, out).unwrap();
                }
                sender.send("a whole one between");
                let bytes = std::mem::take(&mut sender.out);
                sender.conn.written(bytes.len(), sender.now, &mut sender.out);
                let expected = [text(&parts.concat()), text("a whole one between")];
                assert_eq!(reader.feed(&bytes), expected, "round {round}");
            }
        }
    }
}

#[test]
fn pieces_may_wait_behind_the_last_byte_for_an_empty_read() {
    for end in ENDS {
        let mut rig = piecemeal(end);
        let mut input = zipped(BINARY, zip(vec![0; 100_000])).to(end);
        let len = input.len();
        let mut events = rig.conn.receive(&mut input, rig.now, &mut rig.out);
        let mut taken = 0;
        while events.consumed() < len {
            let Some(Ok(sockeye_proto::Event::Piece(piece))) = events.next() else {
                panic!("a piece");
            };
            taken += piece.bytes.len();
        }
        assert!(taken < 100_000, "all bytes are used and more is to come");
        let waiting = rig.feed("");
        assert!(matches!(waiting.last(), Some(Seen::Piece(_, _, Position::Last))));
        assert_eq!(joined(waiting).0, [binary(vec![0; 100_000 - taken])]);
    }
}

#[test]
fn an_empty_first_fragment_in_pieces_leaves_the_message_free_to_come_whole() {
    for end in ENDS {
        for opcode in [TEXT, BINARY] {
            let mut rig = piecemeal(end);
            assert_eq!(rig.feed_frames(&[part(opcode, "")]), []);
            rig.conn.set_delivery(Delivery::Whole);
            let seen = rig.feed_frames(&[part(CONTINUATION, "ab"), frame(CONTINUATION, "c")]);
            let whole = if opcode == TEXT { text("abc") } else { Seen::Binary(b"abc".into()) };
            assert_eq!(seen, [whole]);
        }
    }
}
