//! Compressed messages (group DFL) as a connection sees them: bits, limits, contexts, mixtures.

use std::sync::Arc;

use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::{
    Compress, Config, Connection, Limit, PeerError, PreparedMessage, SendOptions, Server, Time,
};

use crate::memory::measure;
use crate::support::*;

const CORRUPT: PeerError = PeerError::CorruptDeflate;

/// Checks that `frames` fail a connection that agreed on compression, however reads cut them.
fn assert_zip_fails(
    set: impl Fn(&mut Config) + Copy,
    frames: &[Frame],
    error: impl Into<sockeye_proto::Error>,
    code: u16,
) {
    let error = error.into();
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte, Cuts::Lengths(vec![7, 2, 100])] {
            let mut rig = rig_deflate(end, Params::default(), set);
            let seen = rig.feed_cut(&stream(end, frames), &cuts);
            assert_eq!(seen, [failed(error.clone())], "{end:?} {cuts:?}");
            rig.assert_failed(error.clone(), code);
        }
    }
}

/// Checks that `frames` are `expected` to a connection that agreed on compression.
fn assert_zip_gives(frames: &[Frame], expected: &[Seen]) {
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            let mut rig = rig_deflate(end, Params::default(), |_| ());
            assert_eq!(rig.feed_cut(&stream(end, frames), &cuts), expected, "{end:?} {cuts:?}");
            assert!(rig.conn.is_open());
        }
    }
}

fn message(limit: usize) -> impl Fn(&mut Config) + Copy {
    move |config| config.limits.message = limit
}

// FRM-005, DFL-015
#[test]
fn rsv1_is_for_the_first_frame_of_a_message_alone() {
    let zip = zip("compressed text");
    let (head, tail) = zip.split_at(5);
    let whole = [zipped(TEXT, head).not_last(), frame(CONTINUATION, tail)];
    assert_zip_gives(&whole, &[text("compressed text")]);
    let error = PeerError::ReservedBits;
    let later = [zipped(TEXT, head).not_last(), zipped(CONTINUATION, tail)];
    assert_zip_fails(|_| (), &later, error, 1002);
    assert_zip_fails(|_| (), &[part(TEXT, "plain"), zipped(CONTINUATION, "")], error, 1002);
    for opcode in [CLOSE, PING, PONG] {
        for payload in ["", "\x03\u{68}"] {
            assert_zip_fails(|_| (), &[zipped(opcode, payload)], error, 1002);
        }
    }
    for bits in [1, 2, 3, 5, 6, 7] {
        assert_zip_fails(|_| (), &[frame(TEXT, &zip).reserved(bits)], error, 1002);
    }
}

// DFL-005
#[test]
fn a_context_is_kept_or_forgotten_as_agreed() {
    let long = "a sentence that is worth referring to, once it has been said. ".repeat(30);
    for end in ENDS {
        let mut keeps = rig_deflate(end, Params::default(), |_| ());
        let mut forgets = rig_deflate(end, no_context(), |_| ());
        let mut zip = Zip::default();
        let (first, second) = (zip.message(&long), zip.message(&long));
        assert!(second.len() < 30, "the second refers to the first");
        let frames = [zipped(TEXT, &first), zipped(TEXT, &second)];
        assert_eq!(keeps.feed_frames(&frames), [text(&long), text(&long)]);
        assert_eq!(forgets.feed_frames(&frames), [text(&long), failed(CORRUPT)]);
        forgets.assert_failed(CORRUPT, 1007);

        let mut forgets = rig_deflate(end, no_context(), |_| ());
        let mut unzip = Unzip::default();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            forgets.send(&*long);
            let alone = &forgets.replies()[0];
            assert!(alone.compressed);
            assert_eq!(Unzip::default().message(&alone.payload), long.as_bytes());
            keeps.send(&*long);
            let refers = &keeps.replies()[0];
            assert_eq!(unzip.message(&refers.payload), long.as_bytes());
            sizes.push((alone.payload.len(), refers.payload.len()));
        }
        assert_eq!(sizes[0].0, sizes[1].0, "each message is as the first");
        assert!(sizes[1].1 < sizes[0].1, "later ones are shorter with a context");
    }
}

// DFL-006
#[test]
fn a_bomb_is_1009_at_the_limit_and_takes_no_more_memory() {
    let bomb = zip(vec![0; 10 << 20]);
    assert!(bomb.len() < 16 << 10);
    let limit = 1 << 20;
    let error = over(Limit::Message, limit as u64);
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), message(limit));
        let frames = [zipped(BINARY, &bomb)];
        let (seen, usage) = measure(|| rig.feed_frames(&frames));
        assert_eq!(seen, [failed(error)]);
        // The input, its copies in this test, the window and the tables of the decoder.
        let beside = 3 * bomb.len() + (64 << 10);
        assert!(usage.peak <= limit + (16 << 10) + beside, "{usage:?}");
        rig.assert_failed(error, 1009);
    }
    assert_zip_fails(message(limit), &[zipped(BINARY, &bomb)], error, 1009);
}

// DFL-007
#[test]
fn an_inflated_message_of_the_limit_is_delivered_and_longer_ones_are_1009() {
    for limit in [1, 100, 65_536, 100_000] {
        for fill in [&b"\0"[..], b"0123456789abcdefghijklmnopqrstuvwxyz-"] {
            let payload = |len| fill.iter().copied().cycle().take(len).collect::<Vec<u8>>();
            for end in ENDS {
                for cuts in [Cuts::Whole, Cuts::EveryByte] {
                    let mut rig = rig_deflate(end, Params::default(), message(limit));
                    let bytes = zipped(BINARY, zip(payload(limit))).to(end);
                    assert_eq!(rig.feed_cut(&bytes, &cuts), [binary(payload(limit))]);
                }
            }
            let error = over(Limit::Message, limit as u64);
            for more in [1, 2] {
                let frames = [zipped(BINARY, zip(payload(limit + more)))];
                assert_zip_fails(message(limit), &frames, error, 1009);
            }
        }
    }
}

#[test]
fn a_message_that_deflate_made_longer_is_delivered_up_to_the_limit() {
    let limit = 10_000;
    let payload = vec![b'x'; limit];
    // Stored blocks have a header of 5 bytes each.
    let longer: Vec<u8> = payload.chunks(1_000).flat_map(|block| stored(block, 0)).collect();
    assert!(longer.len() > limit);
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), message(limit));
        let frames = [zipped(BINARY, [&longer[..], &[0]].concat())];
        assert_eq!(rig.feed_frames(&frames), [binary(&payload)]);
    }
    let error = over(Limit::Message, limit as u64);
    let one_more = [&longer[..], &stored(b"x", 0), &[0]].concat();
    assert_zip_fails(message(limit), &[zipped(BINARY, one_more)], error, 1009);
}

// DFL-008
#[test]
fn a_bomb_in_many_tiny_fragments_is_1009_at_the_sum() {
    let bomb = zip(vec![0; 2 << 20]);
    let mut frames = vec![zipped(BINARY, "").not_last()];
    for byte in &bomb {
        frames.extend([part(CONTINUATION, [*byte]), part(CONTINUATION, "")]);
    }
    let limit = 100_000;
    assert_zip_fails(message(limit), &frames, over(Limit::Message, limit as u64), 1009);
}

#[test]
fn a_message_may_inflate_so_many_times_and_not_a_byte_more() {
    let zip = zip(vec![b'a'; 10_000]);
    let times = 10_000 / zip.len() as u32;
    let ratio = move |ratio| move |config: &mut Config| config.limits.inflate_ratio = ratio;
    let error = over(Limit::InflateRatio, u64::from(times));
    assert_zip_fails(ratio(times), &[zipped(TEXT, &zip)], error, 1009);
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), ratio(times + 1));
        assert_eq!(rig.feed_frames(&[zipped(TEXT, &zip)]), [text(&"a".repeat(10_000))]);
    }
    // The verdict is on the first byte too many, whatever stands after it.
    let bad = self::zip([&[b'a'; 10_000][..], b"\xff"].concat());
    assert_zip_fails(ratio(5), &[zipped(TEXT, bad)], over(Limit::InflateRatio, 5), 1009);
}

// DFL-010
#[test]
fn what_does_not_inflate_is_1007() {
    let good = zip("some text that is compressed, some text that is compressed");
    let truncated = &good[..good.len() - 4];
    for corrupt in [
        &b"\x07"[..],                    // block type 3
        b"\xff\xff\xff",                 // block type 3, more of it
        b"\x00\x05\x00\xfb\xff\x61",     // a stored block of 5 bytes with 1
        b"\x00\x05\x00\x00\x00hello",    // a stored length whose complement does not match
        b"\x63\x60\x04\x82\xff\xff\xff", // garbage symbols
        b"\x4b\x04\x42\x00",             // a distance beyond the start
        b"\x05\xe0\x81\x08\x00\x00\x00", // a dynamic block without codes
        truncated,
    ] {
        assert_zip_fails(|_| (), &[zipped(BINARY, corrupt)], CORRUPT, 1007);
        let mut frames = vec![zipped(BINARY, "").not_last()];
        frames.extend(corrupt.iter().map(|byte| part(CONTINUATION, [*byte])));
        frames.push(frame(CONTINUATION, ""));
        assert_zip_fails(|_| (), &frames, CORRUPT, 1007);
    }
}

/// One stored block, marked as the last or not.
fn stored(payload: &[u8], last: u8) -> Vec<u8> {
    let len = payload.len() as u16;
    [&[last][..], &len.to_le_bytes(), &(!len).to_le_bytes(), payload].concat()
}

// DFL-011
#[test]
fn every_shape_of_blocks_that_rfc_7692_allows_is_decoded() {
    for (payload, expected) in [
        (vec![0x00], ""),                                        // an empty message
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec(), "Hello"),     // section 7.2.3.1
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00".to_vec(), "Hello"), // 7.2.3.4, a final block
        (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00".to_vec(), "Hello"), // 7.2.3.5
        (b"\x00\x05\x00\xfa\xffHello\x00".to_vec(), "Hello"),    // 7.2.3.3, stored
        ([stored(b"Hel", 0), stored(b"lo", 0), vec![0]].concat(), "Hello"),
        ([stored(b"Hello", 1), vec![0]].concat(), "Hello"),
    ] {
        assert_zip_gives(&[zipped(TEXT, &payload)], &[text(expected)]);
        let mut frames = vec![zipped(TEXT, "").not_last()];
        frames.extend(payload.iter().map(|byte| part(CONTINUATION, [*byte])));
        frames.push(frame(CONTINUATION, ""));
        assert_zip_gives(&frames, &[text(expected)]);
    }
}

// DFL-012
#[test]
fn a_tail_that_was_left_on_the_message_is_no_error() {
    let mut zip = Zip::default();
    let with_tail = |mut bytes: Vec<u8>| {
        bytes.extend([0, 0, 0xff, 0xff]);
        bytes
    };
    let (first, second) = (with_tail(zip.message("first message")), zip.message("first again"));
    let at = first.len() - 2;
    assert_zip_gives(
        &[zipped(TEXT, &first), zipped(TEXT, &second)],
        &[text("first message"), text("first again")],
    );
    let split = [zipped(TEXT, &first[..at]).not_last(), frame(CONTINUATION, &first[at..])];
    assert_zip_gives(&split, &[text("first message")]);
}

// DFL-013
#[test]
fn what_follows_a_final_block_is_ignored_to_the_end_of_the_message() {
    let payload = [stored(b"Hello", 1), vec![0xff; 50]].concat();
    let next = zip("next");
    assert_zip_gives(
        &[zipped(TEXT, &payload), zipped(TEXT, &next)],
        &[text("Hello"), text("next")],
    );
}

// DFL-014
#[test]
fn plain_messages_between_compressed_ones_leave_the_context_alone() {
    let mut zip = Zip::default();
    let said = "what was said in the first message";
    let (first, second) = (zip.message(said), zip.message(said));
    assert!(second.len() < first.len());
    let frames = [
        zipped(TEXT, &first),
        frame(TEXT, "plain"),
        part(BINARY, "pla"),
        frame(PING, "p"),
        frame(CONTINUATION, "in"),
        zipped(TEXT, &second),
    ];
    let expected =
        [text(said), text("plain"), Seen::Ping(b"p".into()), binary("plain"), text(said)];
    assert_zip_gives(&frames, &expected);
}

// UTF-009
#[test]
fn compressed_text_that_is_not_utf8_is_1007() {
    for bad in [&b"\xff"[..], b"good then \xed\xa0\x80", b"cut \xe2\x82", b"\xf4\x90\x80\x80"] {
        let zip = zip(bad);
        assert_zip_fails(|_| (), &[zipped(TEXT, &zip)], PeerError::InvalidUtf8, 1007);
        let (head, tail) = zip.split_at(zip.len() / 2);
        let frames = [zipped(TEXT, head).not_last(), frame(CONTINUATION, tail)];
        assert_zip_fails(|_| (), &frames, PeerError::InvalidUtf8, 1007);
        assert_zip_gives(&[zipped(BINARY, &zip)], &[binary(bad)]);
    }
    // Bad text before corrupt bytes is bad text, and behind them is not seen.
    let bad_first = [stored(b"\xff", 0), vec![7]].concat();
    assert_zip_fails(|_| (), &[zipped(TEXT, bad_first)], PeerError::InvalidUtf8, 1007);
    let bad_last = [stored(b"good", 0), vec![7], stored(b"\xff", 0)].concat();
    assert_zip_fails(|_| (), &[zipped(TEXT, bad_last)], CORRUPT, 1007);
}

// LIM-015
#[test]
fn the_message_limit_holds_for_declared_gathered_and_inflated_bytes() {
    let (set, error) = (message(100), over(Limit::Message, 100));
    assert_zip_fails(set, &[frame(BINARY, "").declaring(101)], error, 1009);
    let gathered = [part(BINARY, [0; 60]), part(CONTINUATION, [0; 40]), part(CONTINUATION, "x")];
    assert_zip_fails(set, &gathered, error, 1009);
    assert_zip_fails(set, &[zipped(BINARY, zip([0; 101]))], error, 1009);
    // A compressed message that is declared far beyond what could be legal fails on its header.
    let far = sockeye_proto::LimitError { limit: Limit::Message, max: 100, seen: 1 << 40 };
    assert_zip_fails(set, &[zipped(BINARY, "").declaring(1 << 40)], far, 1009);
}

// DFL-021
#[test]
fn a_big_message_leaves_nothing_behind() {
    let big = zip(vec![b'x'; 900_000]);
    for end in ENDS {
        let mut rig = rig_deflate(end, no_context(), |_| ());
        rig.feed_frames(&[zipped(TEXT, zip(vec![b'x'; 40_000]))]);
        let ((), usage) = measure(|| {
            assert_eq!(rig.feed_frames(&[zipped(TEXT, &big)]).len(), 1);
            rig.feed("");
        });
        assert!(usage.kept.unsigned_abs() < 1_024, "{usage:?}");
    }
}

// DFL-022
#[test]
fn short_and_incompressible_messages_go_out_as_they_are() {
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(4_000)
    .collect();
    for end in ENDS {
        for params in [Params::default(), no_context()] {
            let mut rig = rig_deflate(end, params, |_| ());
            let mut unzip = Unzip::default();
            let mut expect = |rig: &mut Rig, payload: &[u8], compressed: bool| {
                rig.send(payload);
                let sent = &rig.replies()[0];
                assert_eq!(sent.compressed, compressed, "{} bytes", payload.len());
                assert!(sent.payload.len() <= payload.len());
                let got = match (compressed, params.server_no_context_takeover) {
                    (false, _) => sent.payload.clone(),
                    (true, false) => unzip.message(&sent.payload),
                    (true, true) => Unzip::default().message(&sent.payload),
                };
                assert_eq!(got, payload);
            };
            let long = [b'x'; 2_000];
            expect(&mut rig, &long[..1_023], false);
            expect(&mut rig, &long[..1_024], true);
            expect(&mut rig, &noise, false);
            // The context that the noise was tried on is not what the peer has.
            expect(&mut rig, &long, true);
            expect(&mut rig, b"", false);
        }
    }
}

// DFL-023
#[test]
fn a_message_for_many_is_compressed_once_for_each_way() {
    let mut config = Config::server();
    config.deflate = Some(DeflateConfig::default());
    let config = Arc::new(config);
    let connect = |params: Option<Params>| {
        let conn = Connection::new(Server, Arc::clone(&config), Time::from_micros(0));
        match params {
            Some(params) => conn.with_deflate(params),
            None => conn,
        }
    };
    let payload = "for all who listen ".repeat(100);
    let message = PreparedMessage::new(&*payload);
    for _ in 0..100 {
        for (params, compressed) in [
            (None, false),
            (Some(Params::default()), false),
            (Some(no_context()), true),
            (Some(Params { server_max_window_bits: 10, ..no_context() }), true),
        ] {
            let frame = connect(params).send_prepared(&message).unwrap();
            let sent = &read_frames(End::Server, &frame)[0];
            assert_eq!(sent.compressed, compressed);
            if compressed {
                assert_eq!(Unzip::default().message(&sent.payload), payload.as_bytes());
            } else {
                assert_eq!(sent.payload, payload.as_bytes());
            }
        }
    }
    assert_eq!(message.times_compressed(), 2);
}

// DFL-024
#[test]
fn a_message_that_must_not_be_compressed_is_not() {
    let payload = "secret and what an attacker chose ".repeat(100);
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), |_| ());
        let options = SendOptions { compress: Compress::Never, ..SendOptions::default() };
        rig.conn.send_with(&*payload, options, &mut rig.out).unwrap();
        assert_eq!(rig.replies(), [reply(TEXT, &payload)]);
        rig.send(&*payload);
        assert!(rig.replies()[0].compressed);
    }
}

// DFL-027
#[test]
fn pings_pongs_and_closes_are_never_compressed() {
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), |config| {
            config.deflate.as_mut().unwrap().threshold = 0;
        });
        let payload = [b'x'; 120];
        rig.conn.ping(&payload, &mut rig.out).unwrap();
        rig.conn.pong(&payload, &mut rig.out).unwrap();
        rig.feed_frames(&[frame(PING, payload)]);
        rig.close(1000, &"x".repeat(120));
        let closing = [&1000_u16.to_be_bytes()[..], &payload].concat();
        let sent = [(PING, &payload[..]), (PONG, &payload), (PONG, &payload), (CLOSE, &closing)];
        assert_eq!(rig.replies(), sent.map(|(opcode, payload)| reply(opcode, payload)));
    }
}

#[test]
fn a_compressed_message_in_fragments_has_rsv1_on_its_first_frame_alone() {
    let payload = "fragments of one compressed message ".repeat(100);
    for end in ENDS {
        let mut rig = rig_deflate(end, Params::default(), |_| ());
        let options = SendOptions { fragment: std::num::NonZero::new(7), ..Default::default() };
        rig.conn.send_with(&*payload, options, &mut rig.out).unwrap();
        let sent = rig.replies();
        assert!(sent.len() > 5);
        for (at, frame) in sent.iter().enumerate() {
            assert_eq!(frame.opcode, if at == 0 { TEXT } else { CONTINUATION });
            assert_eq!((frame.compressed, frame.fin), (at == 0, at == sent.len() - 1));
            assert!(frame.payload.len() <= 7);
        }
        let whole: Vec<u8> = sent.into_iter().flat_map(|frame| frame.payload).collect();
        assert_eq!(Unzip::default().message(&whole), payload.as_bytes());
    }
}

#[test]
fn the_end_of_the_stream_inside_a_compressed_message_gives_nothing_out() {
    let zip = zip("never finished ".repeat(100));
    for end in ENDS {
        let bytes = zipped(TEXT, &zip).to(end);
        for cut in 0..bytes.len() {
            let mut rig = rig_deflate(end, Params::default(), |_| ());
            assert_eq!(rig.feed(&bytes[..cut]), []);
            rig.conn.receive_eof();
            assert_eq!(rig.info().code.get(), 1006);
            rig.assert_terminal();
        }
    }
}
