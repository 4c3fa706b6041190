use alloc::boxed::Box;
use alloc::format;
use core::time::Duration;

use proptest::prelude::*;

use super::super::testing::{ACCEPT, KEY, accepted, judge};
use super::super::{BodyLength, ClientError, Established, HeadError, Policy, Refusal};
use super::*;
#[cfg(feature = "deflate")]
use crate::deflate::{AnswerError, ClientWindow, DeflateConfig, Params};

/// The bytes of the sample key.
const RANDOM: [u8; 16] = *b"the sample nonce";

fn request() -> ClientRequest {
    ClientRequest::new(&Url::parse("ws://example.com/chat").unwrap(), RANDOM)
}

fn written(request: &ClientRequest) -> String {
    let mut out = Vec::new();
    request.write(&mut out);
    String::from_utf8(out).unwrap()
}

fn answer(request: &ClientRequest, response: &str) -> Result<Established, ClientError> {
    let mut handshake = request.handshake(&Limits::default());
    let result = handshake.read(response.as_bytes());
    result.map(|established| established.expect("a whole head"))
}

/// A good answer with more header lines.
fn switching(lines: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{lines}\r\n"
    )
}

fn refusal(result: Result<Established, ClientError>) -> Refusal {
    match result {
        Err(ClientError::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_holds_what_was_asked_for_and_a_server_accepts_it() {
    let request = request().origin("http://example.com").unwrap();
    let request = request.subprotocols(["a", "b"]).unwrap().header("Cookie", "c=1").unwrap();
    let text = written(&request);
    assert_eq!(
        text,
        format!(
            "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
             Origin: http://example.com\r\nSec-WebSocket-Protocol: a, b\r\nCookie: c=1\r\n\r\n"
        )
    );
    accepted(judge(text.as_bytes(), &Policy::default()));
}

#[test]
fn a_good_answer_opens_and_leaves_the_frames_behind_it() {
    let head = switching("X: 1\r\n");
    let established = answer(&request(), &format!("{head}\u{81}")).unwrap();
    assert_eq!(established.head_len, head.len());
    assert_eq!(established.subprotocol, None);
    assert_eq!(established.headers.last(), Some(&("X".into(), b"1".to_vec())));
}

// HSC-001
#[test]
fn an_accept_value_that_does_not_answer_the_key_is_a_mismatch() {
    let good = switching("");
    let line = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    for changed in [
        String::new(),
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n".into(),
        "Sec-WebSocket-Accept:\r\n".into(),
        format!("{line}{line}"),
        line.replace(ACCEPT, &ACCEPT.to_ascii_lowercase()),
        line.replace(ACCEPT, KEY),
    ] {
        let result = answer(&request(), &good.replace(&line, &changed));
        assert_eq!(result, Err(ClientError::AcceptMismatch), "{changed}");
    }
}

// HSC-002
#[test]
fn refusals_carry_status_headers_and_at_most_64_kib_of_body() {
    for status in [200, 400, 401, 403, 404, 429, 500, 503] {
        let response =
            format!("HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nnot");
        let mut refusal = refusal(answer(&request(), &response));
        assert_eq!(refusal.status, status);
        assert_eq!(refusal.header("RETRY-AFTER"), Some(&b"7"[..]));
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(refusal.body_length, BodyLength::Known(9));
        assert!(!refusal.is_complete());
        refusal.receive(b" today");
        assert!(refusal.is_complete());
        refusal.receive(b", HTTP/1.1 101");
        assert_eq!(refusal.body, b"not today");
    }
    let mut endless = refusal(answer(&request(), "HTTP/1.0 502 Bad\r\n\r\n"));
    assert_eq!(endless.body_length, BodyLength::UntilEof);
    for _ in 0..20 {
        endless.receive(&[b'x'; 5_000]);
    }
    assert!(endless.is_complete());
    assert_eq!(endless.body.len(), 65_536);

    for (lines, length) in [
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", BodyLength::Chunked),
        ("Content-Length: +3\r\n", BodyLength::UntilEof),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", BodyLength::UntilEof),
    ] {
        let response = format!("HTTP/1.1 403 No\r\n{lines}\r\n");
        assert_eq!(refusal(answer(&request(), &response)).body_length, length);
    }
}

#[test]
fn redirects_are_refusals() {
    for status in [301, 302, 307, 308] {
        let response = format!("HTTP/1.1 {status} Moved\r\nLocation: ws://b/\r\n\r\n");
        let refusal = refusal(answer(&request(), &response));
        assert_eq!((refusal.status, refusal.header("location")), (status, Some(&b"ws://b/"[..])));
    }
}

// HSC-005
#[test]
fn a_101_that_does_not_upgrade_to_websocket_is_an_error() {
    let upgrade = "Upgrade: websocket\r\n";
    for changed in ["", "Upgrade: foo\r\n", "Upgrade: foo, websocket\r\n", &upgrade.repeat(2)] {
        let response = switching("").replace(upgrade, changed);
        assert_eq!(answer(&request(), &response), Err(ClientError::Upgrade), "{changed}");
    }
    let connection = "Connection: Upgrade\r\n";
    for changed in ["", "Connection: keep-alive\r\n", "Connection: upgrader\r\n"] {
        let response = switching("").replace(connection, changed);
        assert_eq!(answer(&request(), &response), Err(ClientError::Connection), "{changed}");
    }
    let lenient = switching("").replace("Upgrade: websocket", "upgrade: WebSocket");
    let lenient = lenient.replace(connection, "connection: keep-alive, upgrade\r\n");
    assert!(answer(&request(), &lenient).is_ok());
}

// HSC-006
#[test]
fn status_lines_other_than_http_1_1_101_are_errors() {
    for line in [
        "HTTP/1.0 101 S",
        "HTTP/1.1  101 S",
        "HTTP/2 101",
        "HTTP/2.0 101 S",
        "http/1.1 101 S",
        "HTTP/1.1 1010 S",
        "HTTP/1.1 +101 S",
        "HTTP/1.1\t101 S",
        "HTTP/1.2 101 S",
    ] {
        let response = switching("").replace("HTTP/1.1 101 Switching Protocols", line);
        let result = answer(&request(), &response);
        assert!(matches!(result, Err(ClientError::InvalidResponse(_))), "{line}: {result:?}");
    }
    for line in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 D\u{e4}"] {
        let response = switching("").replace("HTTP/1.1 101 Switching Protocols", line);
        assert!(answer(&request(), &response).is_ok(), "{line}");
    }
}

// HSC-007
#[test]
fn eight_informational_responses_are_skipped_and_a_ninth_is_an_error() {
    let interim = |status| format!("HTTP/1.1 {status} Wait\r\nLink: </a>\r\n\r\n");
    for status in [100, 102, 103] {
        let before = interim(status).repeat(8);
        let established = answer(&request(), &(before.clone() + &switching(""))).unwrap();
        assert_eq!(established.head_len, before.len() + switching("").len());
        let before = interim(status).repeat(9);
        assert_eq!(
            answer(&request(), &(before + &switching(""))),
            Err(ClientError::TooManyInterim)
        );
    }
}

// HSC-008
#[test]
fn a_101_with_a_body_is_an_error() {
    for lines in
        ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: x\r\n"]
    {
        assert_eq!(answer(&request(), &switching(lines)), Err(ClientError::Body));
    }
    assert!(answer(&request(), &switching("Content-Length: 0\r\n")).is_ok());
}

// HSC-010
#[test]
fn a_subprotocol_that_was_not_offered_or_not_one_is_an_error() {
    let offering = request().subprotocols(["a", "b"]).unwrap().optional_subprotocol();
    for lines in [
        "Sec-WebSocket-Protocol: c\r\n",
        "Sec-WebSocket-Protocol: A\r\n",
        "Sec-WebSocket-Protocol: a, b\r\n",
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n",
        "Sec-WebSocket-Protocol:\r\n",
        "Sec-WebSocket-Protocol: \u{80}\r\n",
    ] {
        assert_eq!(answer(&offering, &switching(lines)), Err(ClientError::Subprotocol), "{lines}");
    }
    let line = switching("Sec-WebSocket-Protocol: b\r\n");
    assert_eq!(answer(&offering, &line).unwrap().subprotocol.as_deref(), Some("b"));
    assert_eq!(answer(&request(), &line), Err(ClientError::Subprotocol));
}

// HSC-011
#[test]
fn no_subprotocol_where_some_were_offered_is_an_error_unless_they_are_optional() {
    let offering = request().subprotocols(["a"]).unwrap();
    assert_eq!(answer(&offering, &switching("")), Err(ClientError::NoSubprotocol));
    let optional = offering.optional_subprotocol();
    assert_eq!(answer(&optional, &switching("")).unwrap().subprotocol, None);
}

// HSC-012
#[test]
fn an_extension_that_was_not_offered_or_comes_twice_is_an_error() {
    let pmd = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let foo = "Sec-WebSocket-Extensions: foo\r\n";
    let error = |name: &str| Err(ClientError::Extension(name.into()));
    assert_eq!(answer(&request(), &switching(foo)), error("foo"));
    assert_eq!(answer(&request(), &switching(pmd)), error("permessage-deflate"));
    #[cfg(feature = "deflate")]
    {
        let offering = request().deflate(Offer::default());
        assert_eq!(answer(&offering, &switching(foo)), error("foo"));
        let twice = "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n";
        assert_eq!(answer(&offering, &switching(twice)), error("permessage-deflate"));
        assert_eq!(answer(&offering, &switching(&pmd.repeat(2))), error("permessage-deflate"));
        let agreed = answer(&offering, &switching(pmd)).unwrap().deflate;
        assert_eq!(agreed, Some(Params::default()));
        assert_eq!(answer(&offering, &switching("")).unwrap().deflate, None);
    }
    let broken = switching("Sec-WebSocket-Extensions: ;\r\n");
    assert_eq!(answer(&request(), &broken), Err(ClientError::ExtensionSyntax));
}

#[cfg(feature = "deflate")]
fn agreed(offer: Offer, params: &str) -> Result<Option<Params>, ClientError> {
    let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {params}\r\n");
    answer(&request().deflate(offer), &switching(&line)).map(|established| established.deflate)
}

// HSC-013
#[cfg(feature = "deflate")]
#[test]
fn invalid_windows_in_the_answer_are_errors_and_quoted_ones_are_not() {
    let invalid = Err(ClientError::Deflate(AnswerError::InvalidValue));
    for value in
        ["=7", "=16", "=08", "=abc", "=", "", "=\"\"", "=1000000000000000000000", "=-9", "=+9"]
    {
        let result = agreed(Offer::default(), &format!("server_max_window_bits{value}"));
        assert_eq!(result, invalid, "{value}");
    }
    let params = agreed(Offer::default(), "server_max_window_bits=\"10\"").unwrap().unwrap();
    assert_eq!(params.server_max_window_bits, 10);
}

// HSC-014
#[cfg(feature = "deflate")]
#[test]
fn parameters_not_offered_unknown_or_doubled_are_errors() {
    for (params, error) in [
        ("client_max_window_bits=10", AnswerError::NotOffered),
        ("client_max_window_bits", AnswerError::NotOffered),
        ("max_window_bits=10", AnswerError::UnknownParameter),
        ("client_no_context_takeover; client_no_context_takeover", AnswerError::DuplicateParameter),
        ("server_max_window_bits=9; server_max_window_bits=9", AnswerError::DuplicateParameter),
        ("server_no_context_takeover=1", AnswerError::InvalidValue),
    ] {
        let result = agreed(Offer::default(), params);
        assert_eq!(result, Err(ClientError::Deflate(error)), "{params}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn answers_beyond_the_offer_are_errors() {
    let offer = Offer::from(&DeflateConfig::default());
    let params = "server_no_context_takeover; server_max_window_bits=13";
    let error = ClientError::Deflate(AnswerError::WindowTooLarge);
    assert_eq!(agreed(offer, params), Err(error));
    let params = "server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10";
    let params = agreed(offer, params).unwrap().unwrap();
    assert_eq!((params.server_max_window_bits, params.client_max_window_bits), (9, 10));
    assert!(params.server_no_context_takeover && params.client_no_context_takeover);
}

#[cfg(feature = "deflate")]
#[test]
fn a_server_that_ignores_the_limits_asked_of_it_is_followed_in_its_full_window() {
    let offer = Offer::from(&DeflateConfig::default());
    for (answer, forgets, bits) in [
        ("server_no_context_takeover", true, 15),
        ("server_max_window_bits=12", false, 12),
        ("client_no_context_takeover", false, 15),
    ] {
        let params = agreed(offer, answer).unwrap().unwrap();
        assert_eq!(params.server_no_context_takeover, forgets, "{answer}");
        assert_eq!(params.server_max_window_bits, bits, "{answer}");
        assert!(params.client_no_context_takeover, "our own limits hold whatever it says");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_server_window_of_eight_bits_is_agreed_to() {
    let params = agreed(Offer::default(), "server_max_window_bits=8").unwrap().unwrap();
    assert_eq!(params.server_max_window_bits, 8);
}

#[cfg(feature = "deflate")]
#[test]
fn the_offer_of_browsers_can_be_made() {
    let config = DeflateConfig {
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        server_no_context_takeover: false,
        ..DeflateConfig::default()
    };
    let offer = Offer::from(&config);
    assert_eq!(offer.client_max_window_bits, ClientWindow::Any);
    let line = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
                client_max_window_bits\r\n";
    assert!(written(&request().deflate(&config)).contains(line));
}

// HSC-020
#[test]
fn what_is_no_http_response_fails_at_its_first_telling_byte() {
    for (bytes, taken) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], 1),
        (b"<html><body>", 1),
        (b"\x15\x03\x03\x00\x02\x02\x28", 1),
        (b"\x16\x03\x03", 1),
        (b"HELO", 2),
        (b"\xFF\xFE\x00", 1),
        (b"\r\n\r\n", 1),
        (b"HTTP/2 101", 6),
        (b"HTTP/1.1 OK", 10),
        (b"HTTP/1.1 200 OK\n", 16),
    ] {
        let mut handshake = request().handshake(&Limits::default());
        for end in 0..taken {
            assert_eq!(handshake.read(&bytes[..end]), Ok(None), "{bytes:?}");
        }
        let result = handshake.read(&bytes[..taken]);
        assert!(matches!(result, Err(ClientError::InvalidResponse(_))), "{bytes:?}");
    }
}

#[test]
fn limits_hold_for_the_head_and_all_before_it() {
    let error = |response: &str| {
        let mut handshake = request().handshake(&Limits::default());
        handshake.read(response.as_bytes()).unwrap_err()
    };
    let lines = |count| (0..count).map(|at| format!("X-{at}: 1\r\n")).collect::<String>();
    assert!(answer(&request(), &switching(&lines(97))).is_ok());
    let many = ClientError::InvalidResponse(HeadError::TooManyHeaders(100));
    assert_eq!(error(&switching(&lines(98))), many);
    let long = ClientError::InvalidResponse(HeadError::HeadTooLong(16_384));
    assert_eq!(error(&format!("HTTP/1.1 101 {}", "a".repeat(17 << 10))), long);
    let interim = format!("HTTP/1.1 100 {}\r\n\r\n", "a".repeat(9_000));
    assert_eq!(error(&interim.repeat(2)), long);
}

// HSC-021
#[test]
fn line_breaks_and_nul_never_reach_the_request() {
    for evil in ["\r", "\n", "\0", "\r\nX: 1"] {
        let value = format!("a{evil}b");
        let misuse = request().header("X", &value).unwrap_err();
        assert_eq!(misuse, HandshakeMisuse::HeaderValue("X".into()));
        assert!(request().header(&value, "x").is_err());
        assert!(request().subprotocols([&value]).is_err());
        assert!(request().origin(&format!("http://{value}")).is_err());
        assert!(Url::parse(&format!("ws://example.com/{value}")).is_err());
    }
}

#[test]
fn the_handshakes_own_headers_cannot_be_set() {
    for name in [
        "Host",
        "UPGRADE",
        "connection",
        "Sec-WebSocket-Key",
        "sec-websocket-extensions",
        "Content-Length",
        "Transfer-Encoding",
        "Origin",
    ] {
        let misuse = request().header(name, "x").unwrap_err();
        assert_eq!(misuse, HandshakeMisuse::ReservedHeader(name.into()));
    }
    let twice = request().subprotocols(["a", "a"]).unwrap_err();
    assert_eq!(twice, HandshakeMisuse::DuplicateSubprotocol("a".into()));
    let lone = request().subprotocols(["a b"]).unwrap_err();
    assert_eq!(lone, HandshakeMisuse::Subprotocol("a b".into()));
}

/// Feeds the response in pieces that end at `cuts`, collecting a refusal's body to the end.
fn in_pieces(response: &[u8], cuts: &[usize]) -> Result<Option<Established>, ClientError> {
    let request = request().subprotocols(["a"]).unwrap().optional_subprotocol();
    let mut handshake = request.handshake(&Limits::default());
    let mut cuts = cuts.to_vec();
    cuts.push(response.len());
    cuts.sort_unstable();
    for cut in cuts {
        match handshake.read(&response[..cut]) {
            Ok(None) => {}
            Err(ClientError::Refused(mut refusal)) => {
                refusal.receive(&response[cut..]);
                return Err(ClientError::Refused(Box::new(*refusal)));
            }
            result => return result,
        }
    }
    Ok(None)
}

/// A good answer, with informational and refusing ones among them, damaged in a few places.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let bases = prop::sample::select(alloc::vec![
        switching("Sec-WebSocket-Protocol: a\r\n") + "frames",
        format!("HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n{}", switching("")),
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope, and more".into(),
        "HTTP/1.1 503 Unavailable\r\nRetry-After: 1\r\n\r\nlater".into(),
        String::new(),
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4);
    (bases, edits, prop::collection::vec(any::<u8>(), 0..16)).prop_map(|(base, edits, tail)| {
        let mut bytes = base.into_bytes();
        bytes.extend(tail);
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
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

proptest! {
    // HSC-033
    #[test]
    fn the_outcome_does_not_depend_on_how_the_answer_is_cut(
        response in response(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = in_pieces(&response, &[]);
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(response.len() + 1)).collect();
        prop_assert_eq!(&in_pieces(&response, &cuts), &whole);
        let every: Vec<_> = (0..response.len()).collect();
        prop_assert_eq!(&in_pieces(&response, &every), &whole);
    }
}
