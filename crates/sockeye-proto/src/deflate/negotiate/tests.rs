use alloc::format;
use alloc::string::ToString as _;

use super::*;
use crate::handshake::parse_extensions;

fn config() -> DeflateConfig {
    DeflateConfig::default()
}

/// A configuration that asks for nothing.
fn lax() -> DeflateConfig {
    DeflateConfig {
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflateConfig::default()
    }
}

fn answer(config: &DeflateConfig, offers: &str) -> Option<String> {
    let offers = parse_extensions(offers.as_bytes()).expect("well-formed");
    accept(config, &offers, b"").map(|agreement| agreement.answer)
}

/// Judges a whole handshake that carries these offers, and returns the header of its 101.
fn upgrade(offers: &str, agent: &str) -> Option<String> {
    use crate::handshake::{Policy, RequestHead, Version};
    let policy = Policy { deflate: Some(config()), ..Policy::default() };
    let headers = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Extensions", offers),
        ("User-Agent", agent),
    ];
    let headers = headers.map(|(name, value)| (name, value.as_bytes()));
    let head = RequestHead::from_parts("GET", "/", Version::Http11, headers);
    let accepted = crate::handshake::accept(&head, &policy).expect("101");
    let header = accepted.headers().find(|(name, _)| *name == "Sec-WebSocket-Extensions");
    let header = header.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap());
    assert_eq!(header.is_some(), accepted.deflate().is_some());
    header
}

const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

// DFL-001
#[test]
fn an_invalid_offer_is_declined_and_the_next_one_tried() {
    for params in [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=abc",
        "server_max_window_bits=",
        "server_max_window_bits=\"\"",
        "server_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover; server_no_context_takeover",
        "server_no_context_takeover=true",
        "client_no_context_takeover=",
        "mode=fast",
        "a; b; c; d; e; f; g; h; i; j",
    ] {
        let bad = format!("permessage-deflate; {params}");
        assert_eq!(upgrade(&bad, ""), None, "{params}");
        let then_good = format!("{bad}, permessage-deflate");
        assert_eq!(upgrade(&then_good, "").as_deref(), Some(ANSWER), "{params}");
    }
}

// DFL-002
#[test]
fn the_second_offer_is_chosen_where_the_first_is_unacceptable() {
    let offers = "permessage-deflate; server_max_window_bits=7, \
                  permessage-deflate; server_max_window_bits=10, permessage-deflate";
    let expected = format!("{ANSWER}; server_max_window_bits=10");
    assert_eq!(upgrade(offers, ""), Some(expected));
}

#[test]
fn a_server_window_of_eight_bits_is_agreed_to() {
    let answer = answer(&lax(), "permessage-deflate; server_max_window_bits=8");
    assert_eq!(answer.as_deref(), Some("permessage-deflate; server_max_window_bits=8"));
}

// DFL-004
#[test]
fn the_clients_window_is_answered_only_where_it_was_offered_and_never_wider() {
    for (offered, answered) in [
        ("", None),
        ("; client_max_window_bits", Some(12)),
        ("; client_max_window_bits=15", Some(12)),
        ("; client_max_window_bits=\"10\"", Some(10)),
        ("; client_max_window_bits=8", Some(8)),
    ] {
        let answer = answer(&config(), &format!("permessage-deflate{offered}")).unwrap();
        let param =
            answered.map_or_else(String::new, |bits| format!("; client_max_window_bits={bits}"));
        assert_eq!(answer, format!("{ANSWER}{param}"), "{offered}");
    }
    let lax = |offer: &str| answer(&lax(), offer).unwrap();
    assert_eq!(lax("permessage-deflate; client_max_window_bits"), "permessage-deflate");
}

#[test]
fn the_agreed_client_window_is_32_kib_where_the_server_may_not_choose() {
    let params = Params::answer(&config(), &Offer::default());
    assert_eq!(params.client_max_window_bits, 15);
    assert_eq!(params.server_max_window_bits, 12);
}

// HSS-064
#[test]
fn unknown_extensions_are_left_out_of_the_answer() {
    for name in [
        "x-webkit-deflate-frame",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "x",
        "permessage-bzip2",
        "Permessage-Deflate2",
    ] {
        assert_eq!(upgrade(name, ""), None);
        let with_known = format!("{name}; a=1, permessage-deflate");
        assert_eq!(upgrade(&with_known, "").as_deref(), Some(ANSWER));
    }
}

// HSS-066
#[test]
fn names_of_options_are_no_parameters() {
    for option in ["max_inflate_ratio=5", "inflate_ratio=5", "level=9", "threshold=1"] {
        assert_eq!(upgrade(&format!("permessage-deflate; {option}"), ""), None);
    }
}

// DFL-025
#[test]
fn safari_15_0_to_15_3_gets_no_compression() {
    let agent = |version: &str| {
        format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/{version} Safari/605.1.15"
        )
    };
    for version in ["15.0", "15.1", "15.2", "15.3", "15.2.1"] {
        assert_eq!(upgrade("permessage-deflate", &agent(version)), None, "{version}");
    }
    let phone = agent("15.1").replace("Safari", "Mobile/15E148 Safari");
    assert_eq!(upgrade("permessage-deflate", &phone), None);
    for version in ["14.1", "15.4", "15.10", "15.6.1", "16.0", "16.3"] {
        assert!(upgrade("permessage-deflate", &agent(version)).is_some(), "{version}");
    }
    let other = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
    assert!(upgrade("permessage-deflate", other).is_some());
}

#[test]
fn offers_ask_only_for_what_differs_from_the_protocols_default() {
    assert_eq!(Offer::from(&lax()).to_string(), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        Offer::from(&config()).to_string(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=12; client_max_window_bits=12"
    );
}

#[test]
fn every_answer_is_one_that_the_client_who_offered_takes() {
    let resets = [false, true];
    let windows = [8, 9, 12, 15];
    let mut configs = alloc::vec::Vec::new();
    for server_no_context_takeover in resets {
        for client_no_context_takeover in resets {
            for server_max_window_bits in windows {
                for client_max_window_bits in windows {
                    configs.push(DeflateConfig {
                        server_no_context_takeover,
                        client_no_context_takeover,
                        server_max_window_bits,
                        client_max_window_bits,
                        ..DeflateConfig::default()
                    });
                }
            }
        }
    }
    for client in &configs {
        let offer = Offer::from(client);
        let text = offer.to_string();
        let parsed = parse_extensions(text.as_bytes()).unwrap();
        assert_eq!(Offer::parse(&parsed[0]), Some(offer));
        for server in &configs {
            let agreement = accept(server, &parsed, b"").unwrap();
            let answer = parse_extensions(agreement.answer.as_bytes()).unwrap();
            let params = offer.agree(&answer[0]).unwrap();
            // The server may compress in a smaller window than it says; all else is equal.
            assert!(agreement.params.server_max_window_bits <= params.server_max_window_bits);
            let server_max_window_bits = params.server_max_window_bits;
            assert_eq!(Params { server_max_window_bits, ..agreement.params }, params);
        }
    }
}
