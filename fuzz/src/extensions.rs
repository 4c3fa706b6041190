//! Any bytes as `Sec-WebSocket-Extensions`: the syntax, the server's choice, the client's check.

use arbitrary::{Arbitrary, Unstructured};
use sockeye_proto::deflate::{ClientWindow, DeflateConfig, Offer, Params};
use sockeye_proto::handshake::{Extension, Policy, RequestHead, Version, accept, parse_extensions};

/// What the two ends are set to. Windows are of any number, to be brought inside.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    switches: u8,
    server_window: u8,
    client_window: u8,
}

/// Reads a header, lets a server answer it, and lets a client take it for an answer.
pub fn extensions(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let value = data.take_rest();
    let accepted = accept_with(input.config(), value);
    let Ok(extensions) = parse_extensions(value) else {
        return assert!(accepted.is_none(), "a malformed header was accepted");
    };
    check_syntax(&extensions);
    let (agreed, answer) = accepted.expect("all else in the request is right");
    match agreed {
        Some(params) => check_answer(&extensions, params, &answer.expect("an answer")),
        None => assert_eq!(answer, None),
    }
    for extension in &extensions {
        check_client(input.offer(), extension);
    }
}

impl Input {
    fn config(self) -> DeflateConfig {
        let mut config = DeflateConfig::default();
        config.server_max_window_bits = self.server_window;
        config.client_max_window_bits = self.client_window;
        config.server_no_context_takeover = self.switches & 1 != 0;
        config.client_no_context_takeover = self.switches & 2 != 0;
        config
    }

    fn offer(self) -> Offer {
        Offer {
            server_no_context_takeover: self.switches & 1 != 0,
            client_no_context_takeover: self.switches & 2 != 0,
            server_max_window_bits: (self.switches & 4 != 0).then_some(self.server_window),
            client_max_window_bits: match self.switches >> 3 & 3 {
                0 => ClientWindow::Fixed,
                1 => ClientWindow::Any,
                _ => ClientWindow::AtMost(self.client_window),
            },
        }
    }
}

/// Answers a request with this header; returns what was agreed and the header that says so.
fn accept_with(config: DeflateConfig, value: &[u8]) -> Option<(Option<Params>, Option<Vec<u8>>)> {
    let headers: [(&str, &[u8]); 6] = [
        ("Host", b"example.com"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
        ("Sec-WebSocket-Extensions", value),
    ];
    let head = RequestHead::from_parts("GET", "/", Version::Http11, headers);
    let mut policy = Policy::default();
    policy.deflate = Some(config);
    let accepted = accept(&head, &policy).ok()?;
    let mut headers = accepted.headers();
    let answer = headers.find(|(name, _)| *name == "Sec-WebSocket-Extensions");
    Some((accepted.deflate(), answer.map(|(_, value)| value.to_vec())))
}

/// Writes the list down again and reads it once more.
fn check_syntax(extensions: &[Extension<'_>]) {
    assert!(extensions.len() <= 16);
    let mut text = String::new();
    for extension in extensions {
        assert!(extension.params.len() <= Extension::MAX_PARAMS);
        text.push_str(extension.name);
        for (name, value) in &extension.params {
            text.push_str(&format!("; {name}"));
            if let Some(value) = value {
                text.push_str(&format!("=\"{value}\""));
            }
        }
        text.push_str(", ");
    }
    assert_eq!(parse_extensions(text.as_bytes()).as_deref(), Ok(extensions));
}

/// Checks what a server agreed to against the offer it took, and that its client can follow.
fn check_answer(extensions: &[Extension<'_>], server: Params, answer: &[u8]) {
    let offer = extensions.iter().find_map(Offer::parse).expect("what was not offered is agreed");
    check_bits(server);
    assert!(server.server_max_window_bits <= offer.server_max_window_bits.unwrap_or(15));
    assert!(server.server_no_context_takeover || !offer.server_no_context_takeover);
    match offer.client_max_window_bits {
        ClientWindow::Fixed => assert_eq!(server.client_max_window_bits, 15),
        ClientWindow::Any => {}
        ClientWindow::AtMost(bits) => assert!(server.client_max_window_bits <= bits),
    }
    let answer = parse_extensions(answer).expect("the answer is well formed");
    assert_eq!(answer.len(), 1);
    let client = offer.agree(&answer[0]).expect("the answer is within the offer");
    check_bits(client);
    // Whoever inflates has at least the window, and keeps at least what the other end refers to.
    assert!(client.server_max_window_bits >= server.server_max_window_bits);
    assert!(server.client_max_window_bits >= client.client_max_window_bits);
    assert!(server.server_no_context_takeover || !client.server_no_context_takeover);
    assert!(client.client_no_context_takeover || !server.client_no_context_takeover);
}

/// Checks what a client makes of any answer to its offer.
fn check_client(offer: Offer, answer: &Extension<'_>) {
    let Ok(params) = offer.agree(answer) else {
        return;
    };
    check_bits(params);
    let named = |name| answer.params.iter().any(|(param, _)| *param == name);
    assert!(params.client_no_context_takeover || !offer.client_no_context_takeover);
    if named("server_max_window_bits") {
        let most = offer.server_max_window_bits.map_or(15, |bits| bits.clamp(8, 15));
        assert!(params.server_max_window_bits <= most);
    }
    match offer.client_max_window_bits {
        ClientWindow::Fixed => assert!(!named("client_max_window_bits")),
        ClientWindow::Any => {}
        ClientWindow::AtMost(bits) => {
            assert!(params.client_max_window_bits <= bits.clamp(8, 15));
        }
    }
}

fn check_bits(params: Params) {
    for bits in [params.server_max_window_bits, params.client_max_window_bits] {
        assert!((8..=15).contains(&bits), "a window of {bits} bits");
    }
}
