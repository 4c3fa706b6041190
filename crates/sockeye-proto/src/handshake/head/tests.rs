use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::testing::{accepted, ask, judge, refused};
use super::super::{Policy, RequestHead, accept};
use super::*;

fn read(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    HeadReader::request().read(bytes, &Limits::default())
}

/// Feeds one byte more at a time, and returns the result with how many bytes it took.
fn drip(bytes: &[u8]) -> (Result<Option<usize>, HeadError>, usize) {
    let mut reader = HeadReader::request();
    for end in 1..=bytes.len() {
        match reader.read(&bytes[..end], &Limits::default()) {
            Ok(None) => {}
            result => return (result, end),
        }
    }
    (Ok(None), bytes.len())
}

// HSS-004
#[test]
fn versions_other_than_one_are_505_and_malformed_ones_400() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1"] {
        refused(ask().line(format!("GET / {version}")).judge(), 505);
    }
    for version in ["HTTP/1.10", "http/1.1", "HTTP/1.1 ", "HTTP/1", "HTTP/ 1.1"] {
        refused(ask().line(format!("GET / {version}")).judge(), 400);
    }
}

// HSS-030
#[test]
fn bare_line_feeds_anywhere_are_400() {
    let good = ask().bytes();
    let all: Vec<u8> = good.iter().copied().filter(|byte| *byte != b'\r').collect();
    refused(judge(&all, &Policy::default()), 400);
    for at in (0..good.len()).filter(|at| good[*at] == b'\r') {
        let mut mixed = good.clone();
        mixed.remove(at);
        refused(judge(&mixed, &Policy::default()), 400);
    }
}

// HSS-031
#[test]
fn control_characters_and_bare_cr_are_400() {
    let controls = (0x00..=0x1F).filter(|byte| *byte != b'\t');
    for byte in controls.chain([0x7F]) {
        let splice =
            |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        refused(ask().with(splice("X-A", "B: 1")).judge(), 400);
        refused(ask().with(splice("X-A: 1", "2")).judge(), 400);
        refused(ask().line(splice("GET /a", "b HTTP/1.1")).judge(), 400);
    }
    accepted(ask().with("X-A: 1\t2").judge());
}

// HSS-032
#[test]
fn folded_header_lines_are_400() {
    refused(ask().with("X-A: 1\r\n 2").judge(), 400);
    refused(ask().with("X-A: 1\r\n\t2").judge(), 400);
    refused(ask().line("GET / HTTP/1.1\r\n X-A: 1").judge(), 400);
}

// HSS-033
#[test]
fn header_names_that_are_no_token_are_400() {
    for line in ["X-A : 1", "X-A\t: 1", ": 1", "X(A: 1", "X\"A: 1", "no colon"] {
        refused(ask().with(line).judge(), 400);
    }
    refused(ask().with(b"X-\xE4: 1").judge(), 400);
}

// HSS-034
#[test]
fn four_empty_lines_before_the_request_are_accepted_and_five_are_400() {
    for lines in 0..=6 {
        let bytes = ["\r\n".repeat(lines).into_bytes(), ask().bytes()].concat();
        let result = judge(&bytes, &Policy::default());
        if lines <= 4 {
            accepted(result);
        } else {
            refused(result, 400);
        }
    }
}

// HSS-035
#[test]
fn a_hundred_headers_are_accepted_and_one_more_is_431() {
    let mut request = ask();
    for count in request.headers.len()..100 {
        request = request.with(format!("X-{count}: 1"));
    }
    accepted(request.judge());
    refused(request.with("X: 1").judge(), 431);
}

// HSS-036
#[test]
fn two_thousand_short_headers_are_431() {
    let allowed = |byte: &u8| is_token_byte(*byte) && !byte.is_ascii_uppercase();
    let letters = || (0..=0x7F_u8).filter(allowed);
    let names = letters().flat_map(|first| letters().map(move |second| [first, second]));
    let mut request = ask();
    for [first, second] in names.take(2_000) {
        request = request.with([first, second, b':']);
    }
    assert_eq!(request.headers.len(), 2_005);
    let bytes = request.bytes();
    assert!(bytes.len() < 16 << 10);
    refused(judge(&bytes, &Policy::default()), 431);
}

/// A valid request of exactly this many bytes.
fn request_of(length: usize) -> Vec<u8> {
    let base = ask().with("X: ").bytes().len();
    let bytes = ask().with(format!("X: {}", "a".repeat(length - base))).bytes();
    assert_eq!(bytes.len(), length);
    bytes
}

// HSS-037
#[test]
fn a_head_of_16384_bytes_is_accepted_and_one_more_is_431_at_once() {
    accepted(judge(&request_of(16_384), &Policy::default()));

    let long = request_of(20_000);
    assert_eq!(read(&long[..16_384]), Ok(None));
    assert_eq!(drip(&long), (Err(HeadError::HeadTooLong(16_384)), 16_385));
    refused(judge(&request_of(16_385), &Policy::default()), 431);
}

// HSS-038
#[test]
fn a_target_of_8192_bytes_is_accepted_and_one_more_is_414() {
    let line = |length: usize| format!("GET /{} HTTP/1.1", "a".repeat(length - 1));
    accepted(ask().line(line(8_192)).judge());
    refused(ask().line(line(8_193)).judge(), 414);
    let (result, taken) = drip(line(9_000).as_bytes());
    assert_eq!(result, Err(HeadError::TargetTooLong(8_192)));
    assert_eq!(taken, "GET ".len() + 8_193);
}

// HSS-039
#[test]
fn a_header_of_20_megabytes_costs_16_kib_of_work() {
    let mut bytes = b"GET / HTTP/1.1\r\nX: ".to_vec();
    bytes.resize(20 << 20, b'a');
    let mut reader = HeadReader::request();
    let limits = Limits::default();
    let failed = Err(HeadError::HeadTooLong(16_384));
    for end in (0..=bytes.len()).step_by(4_096) {
        let result = reader.read(&bytes[..end], &limits);
        assert_eq!(result, if end <= 16_384 { Ok(None) } else { failed });
    }
    assert!(reader.steps <= 16_384);
    assert_eq!(Rejection::from(HeadError::HeadTooLong(16_384)).status(), 431);
}

// HSS-040
#[test]
fn one_byte_per_read_costs_the_work_of_one_read() {
    let bytes = request_of(16_384);
    let mut once = HeadReader::request();
    let mut dripped = HeadReader::request();
    let limits = Limits::default();
    assert_eq!(once.read(&bytes, &limits), Ok(Some(bytes.len())));
    for end in 0..bytes.len() {
        assert_eq!(dripped.read(&bytes[..end], &limits), Ok(None));
    }
    assert_eq!(dripped.read(&bytes, &limits), Ok(Some(bytes.len())));
    assert_eq!(dripped.steps, once.steps);
    accepted(judge(&bytes, &Policy::default()));
}

#[test]
fn tls_on_a_plain_port_is_400_and_named() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03";
    assert_eq!(drip(hello), (Err(HeadError::Tls), 1));
    let rejection = Rejection::from(HeadError::Tls);
    assert_eq!((rejection.status(), rejection.rule()), (400, "tls_on_plain_port"));
}

// HSS-080
#[test]
fn the_preface_of_http_2_is_505() {
    let (result, taken) = drip(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(result, Err(HeadError::Version));
    assert_eq!(taken, 16);
    refused(Err(HeadError::Version.into()), 505);
}

#[test]
fn other_protocols_fail_at_their_first_telling_byte() {
    for (bytes, taken) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], 20),
        (b"\x00\x00\x00\x25\xFFSMB", 1),
        (b"\x05\x01\x00", 1),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 12),
        (b"\r\n\r\n\x00\r\nQUIT\n", 5),
        (b"<policy-file-request/>\x00", 1),
        (b"EHLO example.com\r\n", 17),
    ] {
        let (result, after) = drip(bytes);
        assert!(result.is_err(), "{bytes:?}");
        assert_eq!(after, taken, "{bytes:?}");
    }
}

#[test]
fn a_failed_reader_fails_again_and_a_finished_one_stays_finished() {
    let limits = Limits::default();
    let mut reader = HeadReader::request();
    assert!(reader.read(b"\n", &limits).is_err());
    assert!(reader.read(&ask().bytes(), &limits).is_err());

    let mut reader = HeadReader::request();
    let mut bytes = ask().bytes();
    let length = bytes.len();
    bytes.extend_from_slice(b"\x81\x85frames");
    assert_eq!(reader.read(&bytes, &limits), Ok(Some(length)));
    assert_eq!(reader.read(&bytes, &limits), Ok(Some(length)));
}

#[test]
fn a_head_that_no_reader_saw_is_held_to_the_same_rules() {
    let lax = b"GET / HTTP/1.1\nHost: a\n\n";
    assert_eq!(RequestHead::parse(lax).err(), Some(HeadError::LineEnding));
    let half = RequestHead::parse(b"GET / HTTP/1.1\r\n").err();
    assert_eq!(half, Some(HeadError::Incomplete));
}

/// Bytes that are mostly a handshake: one that was damaged in a few places.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6);
    edits.prop_map(|edits| {
        let mut bytes = ask().with("Origin: http://example.com").bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

/// Judges as a host does; checks that bounds hold and a refusal is one.
fn survive(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut reader = HeadReader::request();
    let result = reader.read(bytes, &Limits::default());
    prop_assert!(reader.steps <= 16 << 10);
    prop_assert_eq!(drip(bytes).0, result);
    let rejection = match result {
        Ok(None) => return Ok(()),
        Err(error) => Rejection::from(error),
        Ok(Some(length)) => {
            prop_assert!(reader.headers <= 100);
            let head = RequestHead::parse(&bytes[..length]);
            prop_assert!(head.is_ok(), "what the reader passes can be parsed");
            let head = head.unwrap();
            let _ = (head.path(), head.query(), head.host(), head.wants_upgrade());
            match accept(&head, &Policy::default()) {
                Ok(_) => return Ok(()),
                Err(rejection) => rejection,
            }
        }
    };
    let mut out = Vec::new();
    rejection.write(&mut out);
    prop_assert!((400..600).contains(&rejection.status()));
    prop_assert!(!out.starts_with(b"HTTP/1.1 101"));
    Ok(())
}

proptest! {
    // HSS-081
    #[test]
    fn random_bytes_never_panic_and_never_cost_more_than_the_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..2_048),
        tail in 0_usize..65_536,
    ) {
        survive(&bytes)?;
        let mut long = bytes;
        long.resize(long.len() + tail, b'a');
        let mut reader = HeadReader::request();
        let _ = reader.read(&long, &Limits::default());
        prop_assert!(reader.steps <= 16 << 10);
    }

    // HSS-048
    #[test]
    fn a_damaged_handshake_is_refused_once_and_never_with_101(bytes in damaged()) {
        survive(&bytes)?;
    }

    #[test]
    fn response_heads_of_random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let mut bytes = bytes;
        let _ = HeadReader::response().read(&bytes, &Limits::default());
        bytes.splice(..0, *b"HTTP/1.1 101 ");
        let _ = HeadReader::response().read(&bytes, &Limits::default());
    }
}

#[test]
fn every_error_says_what_is_wrong_in_one_sentence() {
    let errors = [HeadError::Tls, HeadError::NotHttp, HeadError::Folded, HeadError::StartLine];
    for error in errors {
        let text: String = format!("{error}");
        assert!(!text.ends_with('.'));
        let expected = [text.as_bytes(), b".\n"].concat();
        assert_eq!(Rejection::from(error).content(), expected);
    }
}
