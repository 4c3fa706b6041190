//! Text (group UTF): valid throughout, refused on the first byte that cannot be.

use sockeye_proto::PeerError;

use crate::memory::measure;
use crate::support::*;

const NOT_UTF8: PeerError = PeerError::InvalidUtf8;

/// The streams that no text begins with, each with its last byte the one that shows it.
const BAD: [&[u8]; 14] = [
    b"\xff",
    b"\x80",
    b"\xc0",
    b"\xc1",
    b"\xe0\x80",
    b"\xe0\x9f",
    b"\xf0\x80",
    b"\xf0\x8f",
    b"\xed\xa0",
    b"\xed\xbf",
    b"\xf4\x90",
    b"\xf5",
    b"\xe2\x82\x28",
    b"\xf0\x90\x80\x20",
];

// UTF-001, UTF-002, UTF-003
#[test]
fn text_that_no_utf8_begins_with_is_1007() {
    for bad in BAD {
        for lead in ["", "a", "κόσμε", &"x".repeat(100)] {
            let payload = [lead.as_bytes(), bad, b"tail"].concat();
            both_fail(&[frame(TEXT, &payload)], NOT_UTF8, 1007);
            both_fail(&[part(TEXT, ""), frame(CONTINUATION, &payload)], NOT_UTF8, 1007);
        }
    }
}

// UTF-004
#[test]
fn text_that_ends_inside_a_code_point_is_1007_and_a_fragment_may() {
    for whole in ["é", "€", "😀"] {
        for cut in 1..whole.len() {
            let (head, tail) = whole.as_bytes().split_at(cut);
            both_fail(&[frame(TEXT, head)], NOT_UTF8, 1007);
            both_fail(&[part(TEXT, head), frame(CONTINUATION, "")], NOT_UTF8, 1007);
            both_fail(&[part(TEXT, ""), frame(CONTINUATION, head)], NOT_UTF8, 1007);
            for end in ENDS {
                let mut rig = rig(end);
                let frames = [part(TEXT, head), frame(CONTINUATION, tail)];
                assert_eq!(rig.feed_frames(&frames), [text(whole)]);
                assert_eq!(rig.feed_frames(&[frame(TEXT, "next")]), [text("next")]);
            }
        }
    }
}

// UTF-005
#[test]
fn a_code_point_split_over_fragments_at_any_byte_is_delivered() {
    let whole = "κόσμε-€-😀-\u{10ffff}";
    let bytes = whole.as_bytes();
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            for cut in 0..=bytes.len() {
                let frames = [part(TEXT, &bytes[..cut]), frame(CONTINUATION, &bytes[cut..])];
                let mut rig = rig(end);
                assert_eq!(rig.feed_cut(&stream(end, &frames), &cuts), [text(whole)]);
            }
            let mut frames = vec![part(TEXT, "")];
            frames.extend(bytes.iter().map(|byte| part(CONTINUATION, [*byte])));
            frames.push(frame(CONTINUATION, ""));
            let mut rig = rig(end);
            assert_eq!(rig.feed_cut(&stream(end, &frames), &cuts), [text(whole)]);
        }
    }
}

// UTF-006
#[test]
fn a_bad_byte_in_the_first_fragment_fails_before_the_rest_is_sent() {
    for bad in BAD {
        both_fail(&[part(TEXT, bad)], NOT_UTF8, 1007);
        both_fail(&[part(TEXT, "good"), part(CONTINUATION, bad)], NOT_UTF8, 1007);
        for end in ENDS {
            // A fragment that goes on beyond the bad byte.
            let bytes = part(TEXT, bad).declaring(bad.len() as u64 + 10).to(end);
            assert_fails(end, |_| (), &bytes, NOT_UTF8, 1007);
        }
    }
}

// UTF-007
#[test]
fn a_bad_byte_fails_at_itself_while_its_frame_is_still_arriving() {
    for end in ENDS {
        for bad in BAD {
            let payload = ["κόσμε".as_bytes(), bad].concat();
            let whole = frame(TEXT, &payload).declaring(payload.len() as u64 + 10).to(end);
            let (last, before) = whole.split_last().unwrap();
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let mut rig = rig(end);
                assert_eq!(rig.feed_cut(before, &cuts), [], "{bad:x?}");
                assert_eq!(rig.feed([*last]), [failed(NOT_UTF8)], "{bad:x?}");
                rig.assert_failed(NOT_UTF8, 1007);
            }
        }
    }
}

// UTF-008
#[test]
fn nul_a_byte_order_mark_and_non_characters_are_delivered() {
    let whole = "\0\u{feff}\u{fffe}\u{ffff}\u{fdd0}\u{10fffe}\u{10ffff}";
    for end in ENDS {
        for cuts in [Cuts::Whole, Cuts::EveryByte] {
            assert_eq!(rig(end).feed_cut(&frame(TEXT, whole).to(end), &cuts), [text(whole)]);
        }
    }
}

// UTF-011
#[test]
fn pings_pongs_and_binary_messages_hold_any_bytes() {
    for end in ENDS {
        for bad in BAD {
            let frames =
                [frame(PING, bad), frame(PONG, bad), part(BINARY, bad), frame(CONTINUATION, bad)];
            for cuts in [Cuts::Whole, Cuts::EveryByte] {
                let mut rig = rig(end);
                let expected =
                    [Seen::Ping(bad.into()), Seen::Pong(bad.into()), binary([bad, bad].concat())];
                assert_eq!(rig.feed_cut(&stream(end, &frames), &cuts), expected);
                assert_eq!(rig.replies(), [reply(PONG, bad)]);
            }
        }
    }
}

// UTF-013
#[test]
fn a_long_text_is_checked_as_it_comes_and_each_byte_once() {
    // Counting is done where it shows: were a read to check again what came before it, the bytes
    // looked at would be the square of the reads, and 65,536 reads of 1 KiB would not end.
    let end = End::Client;
    let len = 64 << 20;
    let unit = "0123456789abcdéf€😀";
    let mut payload = unit.repeat(len / unit.len());
    payload.push_str(&"x".repeat(len - payload.len()));
    let bytes = frame(TEXT, &payload).to(end);
    let mut rig = rig_with(end, |config| config.limits.message = len);
    let mut input = bytes;
    let (got, usage) = measure(|| {
        let mut got = None;
        for read in input.chunks_mut(1 << 10) {
            let mut events = rig.conn.receive(read, rig.now, &mut rig.out);
            while let Some(event) = events.next() {
                match event.unwrap() {
                    sockeye_proto::Event::Message(sockeye_proto::Message::Text(text)) => {
                        got = Some(text.into_string());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        got
    });
    assert!(got == Some(payload), "the text comes as it was sent");
    assert!(usage.peak <= len + 256, "the text, and what is known of it: {usage:?}");
    assert!(usage.moved <= 2 * len, "{usage:?}");
}
