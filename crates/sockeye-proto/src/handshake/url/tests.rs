use alloc::string::ToString as _;

use super::*;

// HSC-022
#[test]
fn bad_urls_are_errors() {
    for (text, error) in [
        ("ws://", UrlError::MissingHost),
        ("ws:///path", UrlError::MissingHost),
        ("ws://:80/", UrlError::MissingHost),
        ("ftp://a/", UrlError::Scheme),
        ("a.example/chat", UrlError::Scheme),
        ("", UrlError::Scheme),
        ("ws:a", UrlError::Scheme),
        ("ws://a/#x", UrlError::Fragment),
        ("ws://a#", UrlError::Fragment),
        ("ws://a:0/", UrlError::Port("0".into())),
        ("ws://a:65536/", UrlError::Port("65536".into())),
        ("ws://a:+80/", UrlError::Port("+80".into())),
        ("ws://a:8x/", UrlError::Port("8x".into())),
        ("ws://user@a/", UrlError::UserInfo),
        ("ws://user:secret@a/", UrlError::UserInfo),
        ("ws://a/b c", UrlError::Whitespace),
        (" ws://a", UrlError::Whitespace),
        ("ws://a b/", UrlError::Whitespace),
        ("ws://a\\b", UrlError::Backslash),
        ("ws://[::1", UrlError::Host("[::1".into())),
        ("ws://[::1]x/", UrlError::Host("[::1]x".into())),
        ("ws://[fe80::1%25eth0]/", UrlError::Host("[fe80::1%25eth0]".into())),
        ("ws://::1/", UrlError::Host(":".into())),
        ("ws://a..b/", UrlError::Host("a..b".into())),
        ("ws://a%20b/", UrlError::Host("a%20b".into())),
        ("ws://256.1.1.1/", UrlError::Host("256.1.1.1".into())),
        ("ws://127.1/", UrlError::Host("127.1".into())),
        ("ws://a.0x7f/", UrlError::Host("a.0x7f".into())),
    ] {
        assert_eq!(Url::parse(text), Err(error), "{text}");
    }
}

// HSC-021
#[test]
fn line_breaks_and_nul_in_a_url_are_errors() {
    for evil in ['\r', '\n', '\0', '\t', '\u{7F}'] {
        for text in [format!("ws://a/{evil}"), format!("ws://a{evil}/"), format!("{evil}ws://a/")] {
            assert_eq!(Url::parse(&text), Err(UrlError::Whitespace));
        }
    }
}

// HSC-023
#[test]
fn http_urls_are_taken_for_websocket_urls() {
    for (text, same) in [
        ("http://a/x", "ws://a/x"),
        ("https://a:443/x", "wss://a/x"),
        ("HTTPS://a:80", "wss://a:80/"),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(url, Url::parse(same).unwrap());
        assert_eq!(url.to_string(), same);
    }
}

struct Named {
    url: &'static str,
    host: &'static str,
    authority: &'static str,
    server_name: Option<&'static str>,
}

#[test]
fn hosts_are_named_as_each_header_needs_them() {
    let named = |url, host, authority, server_name| Named { url, host, authority, server_name };
    for expected in [
        named("wss://Example.COM", "example.com", "example.com", Some("example.com")),
        named("wss://a.example./", "a.example.", "a.example.", Some("a.example")),
        named(
            "wss://xn--bcher-kva.example:8443",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example:8443",
            Some("xn--bcher-kva.example"),
        ),
        named("wss://192.0.2.1:443/", "192.0.2.1", "192.0.2.1", None),
        named("wss://[2001:DB8:0:0::1]:1/", "2001:db8::1", "[2001:db8::1]:1", None),
        named("wss://[::ffff:192.0.2.1]", "::ffff:c000:201", "[::ffff:c000:201]", None),
        named("wss://[::]", "::", "[::]", None),
        named("wss://[1:0:0:2:0:0:3:4]", "1::2:0:0:3:4", "[1::2:0:0:3:4]", None),
        named("wss://[1:0:2:0:0:3::]", "1:0:2::3:0:0", "[1:0:2::3:0:0]", None),
    ] {
        let url = Url::parse(expected.url).unwrap();
        assert_eq!(url.host(), expected.host);
        assert_eq!(url.authority(), expected.authority);
        assert_eq!(url.server_name(), expected.server_name);
        assert_eq!(url.origin(), format!("https://{}", expected.authority));
        assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url));
    }
}

#[test]
fn names_beyond_ascii_are_told_to_become_punycode() {
    let error = Url::parse("ws://b\u{fc}cher.example/").unwrap_err();
    assert_eq!(error, UrlError::IdnHost("b\u{fc}cher.example".into()));
    assert!(error.to_string().contains("punycode"));
}

#[test]
fn targets_are_encoded_as_browsers_do() {
    for (text, target) in [
        ("ws://a", "/"),
        ("ws://a?x=1", "/?x=1"),
        ("ws://a/\u{e4}?\u{e4}", "/%C3%A4?%C3%A4"),
        ("ws://a/<{^}>'?{'}", "/%3C%7B%5E%7D%3E'?{%27}"),
        ("ws://a/%2F%zz?a?b", "/%2F%zz?a?b"),
        ("ws://a/x@y:z", "/x@y:z"),
    ] {
        assert_eq!(Url::parse(text).unwrap().target(), target);
    }
}
