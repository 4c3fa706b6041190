//! Any bytes as the head of a handshake, read at once and in pieces, at either end.

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sockeye_proto::Limits;
use sockeye_proto::deflate::{ClientWindow, DeflateConfig, Offer, Params};
use sockeye_proto::handshake::{
    Accepted, ClientError, ClientHandshake, ClientRequest, Established, HeadError, HeadReader,
    Origins, Policy, Rejection, RequestHead, Url, Version, accept, parse_extensions,
};

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    switches: u8,
    chunk: u8,
}

/// Lets a client ask a server with any bytes.
pub fn handshake_server(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bytes = data.take_rest();
    let limits = limits(input);
    let read = HeadReader::request().read(bytes, &limits);
    assert_eq!(read, read_in_pieces(bytes, input.chunk, &limits), "another verdict when cut");
    match read {
        Ok(None) => {}
        Ok(Some(length)) => judge(&bytes[..length], input),
        Err(error) => {
            // What the limits refuse may be a good head.
            let within = HeadReader::request().read(bytes, &Limits::default()) == Err(error);
            if within && !matches!(error, HeadError::TooManyHeaders(_)) {
                assert_eq!(RequestHead::parse(bytes).err(), Some(error));
            }
            check_rejection(&error.into());
        }
    }
}

/// Lets a server answer a client's request with any bytes.
pub fn handshake_client(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bytes = data.take_rest();
    let request = request(input);
    let limits = limits(input);
    let read = request.handshake(&limits).read(bytes);
    let cut = answer_in_pieces(request.handshake(&limits), bytes, input.chunk);
    assert_eq!(read, cut, "another verdict when cut");
    if let Ok(Some(established)) = read {
        check_established(&established, &bytes[..established.head_len], input);
    }
}

fn limits(input: Input) -> Limits {
    let mut limits = Limits::default();
    if input.switches & 0x80 != 0 {
        (limits.head, limits.headers, limits.target) = (600, 12, 40);
    }
    limits
}

fn policy(input: Input) -> Policy {
    let mut policy = Policy::default();
    if input.switches & 1 != 0 {
        policy.subprotocols = vec!["chat".to_owned(), "a".to_owned()];
    }
    policy.require_subprotocol = input.switches & 2 != 0;
    policy.deflate = (input.switches & 4 != 0).then(DeflateConfig::default);
    policy.require_origin = input.switches & 8 != 0;
    if input.switches & 0x10 != 0 {
        policy.origins = Origins::Any;
    }
    if input.switches & 0x20 != 0 {
        policy.allowed_hosts = Some(vec!["a".to_owned(), "example.com:80".to_owned()]);
    }
    policy
}

fn request(input: Input) -> ClientRequest {
    let url = Url::parse("ws://example.com/").expect("a URL");
    let mut request = ClientRequest::new(&url, *b"the sample nonce");
    if input.switches & 1 != 0 {
        request = request.subprotocols(["chat", "a"]).expect("two tokens");
    }
    if input.switches & 2 != 0 {
        request = request.optional_subprotocol();
    }
    if input.switches & 4 != 0 {
        request = request.deflate(Offer {
            server_max_window_bits: (input.switches & 8 != 0).then_some(10),
            client_max_window_bits: match input.switches & 0x10 {
                0 => ClientWindow::Fixed,
                _ => ClientWindow::AtMost(11),
            },
            ..Offer::default()
        });
    }
    request
}

fn read_in_pieces(bytes: &[u8], chunk: u8, limits: &Limits) -> Result<Option<usize>, HeadError> {
    let mut reader = HeadReader::request();
    for end in ends(bytes, chunk) {
        match reader.read(&bytes[..end], limits) {
            Ok(None) => {}
            verdict => return verdict,
        }
    }
    Ok(None)
}

fn answer_in_pieces(
    mut handshake: ClientHandshake,
    bytes: &[u8],
    chunk: u8,
) -> Result<Option<Established>, ClientError> {
    for end in ends(bytes, chunk) {
        match handshake.read(&bytes[..end]) {
            Ok(None) => {}
            Err(ClientError::Refused(mut refusal)) => {
                refusal.receive(&bytes[end..]);
                return Err(ClientError::Refused(refusal));
            }
            verdict => return verdict,
        }
    }
    Ok(None)
}

/// Returns how many bytes have arrived with each read.
fn ends(bytes: &[u8], chunk: u8) -> impl Iterator<Item = usize> {
    crate::drive::chunks(bytes, chunk).scan(0, |end, chunk| {
        *end += chunk.len();
        Some(*end)
    })
}

/// Judges a well-formed head and checks the judgement.
fn judge(bytes: &[u8], input: Input) {
    let head = RequestHead::parse(bytes).expect("a head that was read can be taken apart");
    match accept(&head, &policy(input)) {
        Err(rejection) => check_rejection(&rejection),
        Ok(accepted) => {
            check_request(&head, bytes);
            check_answer(&head, &accepted);
        }
    }
}

/// Checks that a request that was accepted has what RFC 6455 section 4.2.1 wants.
fn check_request(head: &RequestHead<'_>, bytes: &[u8]) {
    let only = |name| {
        let values: Vec<&[u8]> = head.header_all(name).collect();
        assert_eq!(values.len(), 1, "{name}");
        values[0].to_ascii_lowercase()
    };
    let lists = |name, token: &str| {
        head.header_all(name).any(|value| {
            let text = String::from_utf8_lossy(value).to_ascii_lowercase();
            text.split(',').any(|part| part.trim() == token)
        })
    };
    assert_eq!((head.method(), head.version()), ("GET", Version::Http11));
    assert!(!only("host").is_empty());
    assert_eq!(only("sec-websocket-version"), b"13");
    assert!(lists("upgrade", "websocket") && lists("connection", "upgrade"));
    assert!(key(head).is_some(), "a key that is not of 16 bytes");
    assert!(head.header("transfer-encoding").is_none());
    assert!(head.header("content-length").is_none_or(|length| length == b"0"));
    assert!(bytes.ends_with(b"\r\n\r\n"));
    let lines = bytes.split(|byte| *byte == b'\n');
    assert!(lines.rev().skip(1).all(|line| line.ends_with(b"\r")), "a bare LF");
}

/// Decodes the key; the four bits that its last digit has to spare may be anything.
fn key(head: &RequestHead<'_>) -> Option<[u8; 16]> {
    let mut text = head.header("sec-websocket-key")?.to_vec();
    let last = text.get_mut(21)?;
    if STANDARD.decode(&*head.header("sec-websocket-key")?.to_vec()).is_err() {
        *last = b'A';
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Lets a client that asked for what the head asks for read the answer.
fn check_answer(head: &RequestHead<'_>, accepted: &Accepted) {
    let mut answer = Vec::new();
    accepted.write(&mut answer);
    let length = HeadReader::response().read(&answer, &Limits::default());
    assert_eq!(length, Ok(Some(answer.len())), "the answer is a head and no more");

    let key = key(head).expect("checked before");
    if head.header("sec-websocket-key") != Some(STANDARD.encode(key).as_bytes()) {
        return;
    }
    let url = Url::parse("ws://example.com/").expect("a URL");
    let mut request = ClientRequest::new(&url, key).optional_subprotocol();
    request = request.subprotocols(accepted.offered_subprotocols()).expect("distinct tokens");
    if let Some(offer) = first_offer(head) {
        request = request.deflate(offer);
    }
    let read = request.handshake(&Limits::default()).read(&answer);
    let established = read.expect("the client takes the answer").expect("all of it is there");
    assert_eq!(established.head_len, answer.len());
    assert_eq!(established.subprotocol.as_deref(), accepted.subprotocol());
    assert_eq!(established.deflate.is_some(), accepted.deflate().is_some());
}

fn first_offer(head: &RequestHead<'_>) -> Option<Offer> {
    head.header_all("sec-websocket-extensions").find_map(|value| {
        let extensions = parse_extensions(value).expect("a malformed header was accepted");
        extensions.iter().find_map(Offer::parse)
    })
}

/// Checks that a refusal is a response that ends the connection, of the length it says.
fn check_rejection(rejection: &Rejection) {
    let mut answer = Vec::new();
    rejection.write(&mut answer);
    let length = HeadReader::response().read(&answer, &Limits::default());
    let Ok(Some(length)) = length else {
        panic!("the refusal is no response: {length:?}");
    };
    assert_eq!(&answer[length..], rejection.content());
    assert!((400..600).contains(&rejection.status()));
    let closes = |(name, value): (&str, &[u8])| name == "Connection" && value.starts_with(b"close");
    assert!(rejection.headers().any(closes));
}

/// Checks an answer that was taken against what was asked for.
fn check_established(established: &Established, head: &[u8], input: Input) {
    assert!(head.ends_with(b"\r\n\r\n"));
    let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert!(head.windows(accept.len()).any(|window| window == accept), "the key is not answered");
    match established.subprotocol.as_deref() {
        None => assert!(input.switches & 1 == 0 || input.switches & 2 != 0),
        Some(name) => assert!(input.switches & 1 != 0 && ["chat", "a"].contains(&name)),
    }
    if let Some(Params { client_max_window_bits, .. }) = established.deflate {
        assert!(input.switches & 4 != 0, "an extension that was not offered");
        let fixed = input.switches & 0x10 == 0;
        assert!(if fixed { client_max_window_bits == 15 } else { client_max_window_bits <= 11 });
    }
}
