//! The opening handshake between the fuzzer and the core, byte for byte through the core's own code
//! on one side and by hand on the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::handshake::{ClientRequest, HeadReader, Policy, RequestHead, Url, accept};
use sockeye_proto::{Config, Limits};

use super::cases::Deflate;
use super::pmce::{self, Agreed};

/// Lets the core as server answer a fuzzing client. Returns what each side takes for agreed.
pub(crate) fn core_serves(
    config: &Config,
    wanted: Option<&Deflate>,
) -> (Option<Params>, Option<Agreed>) {
    let offers = wanted.map_or(&[][..], |wanted| &wanted.offers);
    let mut request = format!(
        "GET /runCase?case=1&agent=Sockeye HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUpgrade: WebSocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    if !offers.is_empty() {
        request.push_str(&format!("Sec-WebSocket-Extensions: {}\r\n", offers.join(", ")));
    }
    request.push_str("\r\n");

    let length = HeadReader::request().read(request.as_bytes(), &config.limits).unwrap().unwrap();
    assert_eq!(length, request.len());
    let head = RequestHead::parse(request.as_bytes()).unwrap();
    let mut policy = Policy::default();
    policy.deflate.clone_from(&config.deflate);
    let accepted = accept(&head, &policy).unwrap();
    let mut response = Vec::new();
    accepted.write(&mut response);

    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
    assert_eq!(field(&response, "sec-websocket-accept"), Some(accept_key(KEY).as_str()));
    let answer = field(&response, "sec-websocket-extensions");
    let agreed = answer.map(|answer| pmce::read_answer(offers, answer));
    assert_fit(accepted.deflate(), agreed);
    (accepted.deflate(), agreed)
}

/// Lets a fuzzing server answer the core as client. Returns what each side takes for agreed.
pub(crate) fn core_connects(
    config: &Config,
    wanted: Option<&Deflate>,
) -> (Option<Params>, Option<Agreed>) {
    let url = Url::parse("ws://127.0.0.1:9001/runCase?case=1&agent=Sockeye").unwrap();
    let mut request = ClientRequest::new(&url, *b"the sample nonce");
    if let Some(deflate) = &config.deflate {
        request = request.deflate(deflate);
    }
    let mut bytes = Vec::new();
    request.write(&mut bytes);

    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("GET /runCase?case=1&agent=Sockeye HTTP/1.1\r\n"), "{text}");
    let offer = field(&text, "sec-websocket-extensions");
    let agreed = match (offer, wanted) {
        (Some(offer), Some(wanted)) => {
            assert_eq!(offer, CLIENT_OFFER);
            Some(pmce::answer_offer(offer, &wanted.requests))
        }
        _ => None,
    };
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nServer: fuzzer\r\nUpgrade: WebSocket\r\nConnection: \
         Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        accept_key(field(&text, "sec-websocket-key").unwrap())
    );
    if let Some((answer, _)) = &agreed {
        response.push_str(&format!("Sec-WebSocket-Extensions: {answer}\r\n"));
    }
    response.push_str("\r\n");

    let mut handshake = request.handshake(&Limits::default());
    let established = handshake.read(response.as_bytes()).unwrap().unwrap();
    assert_eq!(established.head_len, response.len());
    let agreed = agreed.map(|(_, agreed)| agreed);
    assert_fit(established.deflate, agreed);
    (established.deflate, agreed)
}

/// Returns what the core wants of permessage-deflate in a case of this name: in chapter 12 the
/// server's defaults, in chapter 13 all that the fuzzer lets it have, and even the shortest
/// messages compressed.
pub(crate) fn config_for(id: &str, is_server: bool) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    if id.starts_with("13.") {
        config.threshold = 0;
    }
    if !is_server || id.starts_with("13.") {
        config.server_max_window_bits = 15;
        config.client_max_window_bits = 15;
        config.server_no_context_takeover = false;
        config.client_no_context_takeover = !is_server;
    }
    config
}

/// Asserts that the core binds itself at least as the handshake says, and the fuzzer no further.
fn assert_fit(core: Option<Params>, agreed: Option<Agreed>) {
    assert_eq!(core.is_some(), agreed.is_some());
    if let (Some(core), Some(agreed)) = (core, agreed) {
        assert!(core.server_max_window_bits <= agreed.server.window_bits);
        assert!(core.client_max_window_bits <= agreed.client.window_bits);
        assert!(core.server_no_context_takeover >= agreed.server.forgets);
        assert!(core.client_no_context_takeover >= agreed.client.forgets);
    }
}

fn accept_key(key: &str) -> String {
    BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// Returns the value of a header that stands there at most once.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = fields.by_ref().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    let value = found.next().map(|(_, value)| value);
    assert_eq!(found.next(), None);
    value
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What the suite's fuzzing server is offered.
const CLIENT_OFFER: &str = "permessage-deflate; client_no_context_takeover; client_max_window_bits";
