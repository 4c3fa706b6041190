//! The echo at the mercy of frames: what must come back, and with which code it closes.

use crate::support::{BINARY, CLOSE, Served, TEXT, masked};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the echo must answer with.
enum Answer {
    /// These frames, by first byte and payload.
    Frames(Vec<(u8, Vec<u8>)>),
    /// A Close frame with this code and the end.
    Closes(u16),
    /// An empty Close frame and the end.
    ClosesEmpty,
}

fn back(first: u8, payload: &[u8]) -> Answer {
    Answer::Frames(vec![(first, payload.to_vec())])
}

fn frames() -> Vec<(Vec<u8>, Answer)> {
    use Answer::{Closes, Frames};
    let parts = [
        masked(TEXT, b"a"),
        masked(FIN | PING, b"between"),
        masked(CONTINUATION, b""),
        masked(FIN | CONTINUATION, b"b"),
    ];
    let mut unmasked = vec![FIN | TEXT, 1];
    unmasked.push(b'a');
    // A length in more bytes than it needs, and one with its top bit set.
    let long_way = [&[FIN | BINARY, 0xfe, 0, 5][..], &[0; 9]].concat();
    let negative = [&[FIN | BINARY, 0xff, 0x80][..], &[0; 11]].concat();
    vec![
        (masked(FIN | TEXT, b""), back(FIN | TEXT, b"")),
        (masked(FIN | BINARY, &[0xff; 125]), back(FIN | BINARY, &[0xff; 125])),
        (masked(FIN | BINARY, &[0xff; 126]), back(FIN | BINARY, &[0xff; 126])),
        (masked(FIN | BINARY, &[0xff; 65_535]), back(FIN | BINARY, &[0xff; 65_535])),
        (masked(FIN | BINARY, &[0xff; 65_536]), back(FIN | BINARY, &[0xff; 65_536])),
        (masked(FIN | PING, b"p"), back(FIN | PONG, b"p")),
        (masked(FIN | PING, &[0; 125]), back(FIN | PONG, &[0; 125])),
        (parts.concat(), Frames(vec![(FIN | PONG, b"between".into()), (FIN | TEXT, b"ab".into())])),
        (masked(FIN | PING, &[0; 126]), Closes(1002)),
        (masked(PING, b"cut"), Closes(1002)),
        (masked(FIN | CONTINUATION, b"of nothing"), Closes(1002)),
        ([masked(TEXT, b"a"), masked(FIN | TEXT, b"b")].concat(), Closes(1002)),
        (masked(FIN | 0x40 | TEXT, b"rsv1"), Closes(1002)),
        (masked(FIN | 0x20 | TEXT, b"rsv2"), Closes(1002)),
        (masked(FIN | 0x10 | TEXT, b"rsv3"), Closes(1002)),
        (masked(FIN | 3, b""), Closes(1002)),
        (masked(FIN | 7, b""), Closes(1002)),
        (masked(FIN | 11, b""), Closes(1002)),
        (masked(FIN | 15, b""), Closes(1002)),
        (unmasked, Closes(1002)),
        (long_way, Closes(1002)),
        (negative, Closes(1002)),
    ]
}

fn utf8() -> Vec<(Vec<u8>, Answer)> {
    let fish = "\u{1f41f}".as_bytes();
    let cut = [masked(TEXT, &fish[..2]), masked(FIN | CONTINUATION, &fish[2..])];
    let unfinished = masked(FIN | TEXT, &fish[..3]);
    let bad: [&[u8]; 8] = [
        b"\xff",
        b"\x80",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe0\x80\xaf",
        b"good then \xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ];
    let mut cases = vec![
        (masked(FIN | TEXT, fish), back(FIN | TEXT, fish)),
        (cut.concat(), back(FIN | TEXT, fish)),
        (masked(FIN | TEXT, "\u{ffff}\u{10ffff}\0".as_bytes()), {
            back(FIN | TEXT, "\u{ffff}\u{10ffff}\0".as_bytes())
        }),
        (masked(FIN | BINARY, b"\xff\xc0"), back(FIN | BINARY, b"\xff\xc0")),
        (unfinished, Answer::Closes(1007)),
        // Told before the message ends.
        (masked(TEXT, b"\xf4\x90"), Answer::Closes(1007)),
    ];
    cases.extend(bad.map(|text| (masked(FIN | TEXT, text), Answer::Closes(1007))));
    cases
}

fn closes() -> Vec<(Vec<u8>, Answer)> {
    let close = |payload: &[u8]| masked(FIN | CLOSE, payload);
    let code = |code: u16| close(&code.to_be_bytes());
    let reason = |text: &[u8]| close(&[&1000u16.to_be_bytes()[..], text].concat());
    let mut cases = vec![
        (close(b""), Answer::ClosesEmpty),
        (close(b"\x03"), Answer::Closes(1002)),
        (reason(b"bye"), Answer::Closes(1000)),
        (reason(&[b'a'; 123]), Answer::Closes(1000)),
        (reason(&[b'a'; 124]), Answer::Closes(1002)),
        (reason(b"\xff"), Answer::Closes(1007)),
        // Nothing behind a Close frame is looked at.
        ([code(1000), masked(FIN | TEXT, b"late"), vec![0xff; 99]].concat(), Answer::Closes(1000)),
    ];
    for valid in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        cases.push((code(valid), Answer::Closes(valid)));
    }
    for invalid in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        cases.push((code(invalid), Answer::Closes(1002)));
    }
    cases
}

// CMD-013
#[tokio::test]
async fn the_echo_answers_frames_text_and_closes_as_the_protocol_says() {
    let served = Served::start(&["echo"]).await;
    for (sent, answer) in frames().into_iter().chain(utf8()).chain(closes()) {
        let told = &sent[..sent.len().min(40)];
        let mut raw = served.open("/").await;
        raw.write(&sent).await;
        match answer {
            Answer::Frames(expected) => {
                for (first, payload) in expected {
                    let frame = raw.frame().await.expect("an answer");
                    assert_eq!((frame.first, frame.payload), (first, payload), "{told:x?}");
                }
            }
            Answer::Closes(code) => {
                let frame = raw.frame().await.expect("a Close frame");
                assert_eq!(frame.close_code(), Some(code), "{told:x?}: {frame:?}");
                assert_eq!(raw.frame().await, None, "{told:x?}");
            }
            Answer::ClosesEmpty => {
                let frame = raw.frame().await.expect("a Close frame");
                assert_eq!((frame.first, frame.payload.len()), (FIN | CLOSE, 0));
                assert_eq!(raw.frame().await, None, "{told:x?}");
            }
        }
    }
}
