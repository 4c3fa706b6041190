use alloc::format;

use super::super::extensions::steps_of;
use super::super::testing::{ACCEPT, KEY, accepted, ask, judge, refused};
use super::*;

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}

fn speaks(names: &[&str]) -> Policy {
    policy(|policy| policy.subprotocols = names.iter().map(|name| String::from(*name)).collect())
}

// HSS-001
#[test]
fn the_sample_key_is_answered_with_its_accept_value_and_nothing_else() {
    let response = accepted(ask().judge());
    assert_eq!(
        response.headers,
        [
            ("upgrade".into(), "websocket".into()),
            ("connection".into(), "Upgrade".into()),
            ("sec-websocket-accept".into(), ACCEPT.into()),
        ]
    );
}

// HSS-002
#[test]
fn methods_other_than_get_are_405() {
    for method in ["POST", "PUT", "HEAD", "OPTIONS", "TRACE", "get", "GETS"] {
        let response = refused(ask().line(format!("{method} / HTTP/1.1")).judge(), 405);
        assert_eq!(response.header("allow"), Some("GET"));
        assert_eq!(response.body.is_empty(), method == "HEAD");
    }
    let connect = ask().line("CONNECT example.com:80 HTTP/1.1");
    assert_eq!(refused(connect.judge(), 405).header("allow"), Some("GET"));
}

// HSS-003
#[test]
fn http_1_0_is_told_to_upgrade() {
    let response = refused(ask().line("GET / HTTP/1.0").judge(), 426);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("connection"), Some("close, Upgrade"));
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
}

// HSS-005
#[test]
fn a_request_without_host_is_400() {
    refused(ask().without("Host").judge(), 400);
}

// HSS-006
#[test]
fn two_hosts_and_malformed_hosts_are_400() {
    refused(ask().with("Host: example.com").judge(), 400);
    for host in [
        "a b", "user@a", "a/b", "a:65536", "a:-1", "a:+1", "a:b", "a:1:2", "", "[::1", "[::g]",
        "[::1]x", ":80", "a\u{e4}", "a#b", "a\\b", "a\u{1}",
    ] {
        refused(ask().set(format!("Host: {host}")).judge(), 400);
    }
    for host in ["a:65535", "a:", "127.0.0.1:8080", "[::1]:80", "[::1]", "a_b.example"] {
        accepted(ask().set(format!("Host: {host}")).judge());
    }
}

// HSS-007
#[test]
fn a_request_without_upgrade_is_426() {
    let response = refused(ask().without("Upgrade").judge(), 426);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
}

#[test]
fn an_upgrade_to_http_2_alone_is_426() {
    let request = ask().set("Upgrade: h2c").with("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA");
    refused(request.judge(), 426);
}

// HSS-009
#[test]
fn an_upgrade_list_that_holds_websocket_is_accepted() {
    accepted(ask().set("Upgrade: h2c, websocket").judge());
    accepted(ask().set("Upgrade: h2c,WebSocket ,x").judge());
}

// HSS-010
#[test]
fn upgrade_is_compared_in_any_case_and_an_empty_one_is_400() {
    accepted(ask().set("Upgrade: WebSocket").judge());
    accepted(ask().without("Upgrade").with("upgrade: WEBSOCKET").judge());
    refused(ask().set("Upgrade:").judge(), 400);
    refused(ask().set("Upgrade:  \t").judge(), 400);
}

// HSS-011
#[test]
fn a_connection_header_without_upgrade_is_426() {
    refused(ask().without("Connection").judge(), 426);
    refused(ask().set("Connection: keep-alive").judge(), 426);
    refused(ask().set("Connection: close").judge(), 426);
}

// HSS-012
#[test]
fn upgrade_may_stand_anywhere_in_connection() {
    accepted(ask().set("Connection: keep-alive, Upgrade").judge());
    accepted(ask().set("Connection: keep-alive").with("Connection: Upgrade").judge());
    accepted(ask().set("Connection: upgrade,close").judge());
}

// HSS-013
#[test]
fn upgrade_as_part_of_a_connection_option_is_426() {
    for value in ["NoUpgrade", "upgrader", "upgrade-insecure", "\"upgrade\""] {
        refused(ask().set(format!("Connection: {value}")).judge(), 426);
    }
}

// HSS-014
#[test]
fn a_missing_or_empty_key_is_400() {
    refused(ask().without("Sec-WebSocket-Key").judge(), 400);
    refused(ask().set("Sec-WebSocket-Key:").judge(), 400);
}

// HSS-015
#[test]
fn a_key_of_other_than_16_bytes_is_400() {
    let fifteen = "AAAAAAAAAAAAAAAAAAAA";
    let seventeen = "AAAAAAAAAAAAAAAAAAAAAAA=";
    let thousand = format!("{}==", "A".repeat(1_334));
    for key in [fifteen, seventeen, "", "====", &thousand] {
        refused(ask().set(format!("Sec-WebSocket-Key: {key}")).judge(), 400);
    }
}

// HSS-016
#[test]
fn a_key_that_is_not_base64_is_400() {
    for key in [
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBs SBub25jZQ==",
        "dGhlIHNhbXBsZSBub25j-_==",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQ==, x",
    ] {
        refused(ask().set(format!("Sec-WebSocket-Key: {key}")).judge(), 400);
    }
}

// HSS-017
#[test]
fn two_keys_are_400() {
    refused(ask().with(format!("Sec-WebSocket-Key: {KEY}")).judge(), 400);
    let other = ask().with("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==");
    refused(other.judge(), 400);
}

// HSS-018
#[test]
fn spare_bits_of_the_key_are_accepted_and_count_in_the_answer() {
    let key = "dGhlIHNhbXBsZSBub25jZR==";
    let response = accepted(ask().set(format!("Sec-WebSocket-Key: {key}")).judge());
    // Worked out apart: base64(sha1(key + GUID)).
    assert_eq!(response.header("sec-websocket-accept"), Some(SPARE_BITS_ACCEPT));
}

const SPARE_BITS_ACCEPT: &str = "Zgw8jYXtqX5qJr7MJ1Q/MqzeSRI=";

#[track_caller]
fn wants_13(request: &super::super::testing::Ask) {
    let response = refused(request.judge(), 426);
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
}

// HSS-019
#[test]
fn a_missing_version_is_426() {
    wants_13(&ask().without("Sec-WebSocket-Version"));
}

// HSS-020
#[test]
fn other_versions_are_426() {
    for version in [0, 7, 8, 99, 255] {
        wants_13(&ask().set(format!("Sec-WebSocket-Version: {version}")));
    }
}

// HSS-021
#[test]
fn version_13_written_otherwise_is_426() {
    for version in ["013", "+13", "13.0", "13, 8", "0x0d", "13000000000000000000", ""] {
        wants_13(&ask().set(format!("Sec-WebSocket-Version: {version}")));
    }
}

// HSS-022
#[test]
fn two_versions_are_400() {
    refused(ask().with("Sec-WebSocket-Version: 13").judge(), 400);
    refused(ask().with("Sec-WebSocket-Version: 8").judge(), 400);
}

// HSS-023
#[test]
fn handshakes_of_the_drafts_are_400() {
    let hixie_75 = ask().without("Sec-WebSocket-Key").without("Sec-WebSocket-Version");
    refused(hixie_75.judge(), 400);
    let hixie_76 = hixie_75
        .with("Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5")
        .with("Sec-WebSocket-Key2: 12998 5 Y3 1  .P00");
    refused(hixie_76.judge(), 400);
    let with_body = [hixie_76.bytes(), b"^n:ds[4U".to_vec()].concat();
    refused(judge(&with_body, &Policy::default()), 400);
}

// HSS-024
#[test]
fn a_content_length_is_400() {
    let bytes = [ask().with("Content-Length: 5").bytes(), b"hello".to_vec()].concat();
    refused(judge(&bytes, &Policy::default()), 400);
}

// HSS-025
#[test]
fn a_transfer_encoding_is_400() {
    refused(ask().with("Transfer-Encoding: chunked").judge(), 400);
}

// HSS-026
#[test]
fn ambiguous_bodies_are_400() {
    let both = ask().with("Content-Length: 0").with("Transfer-Encoding: chunked");
    refused(both.judge(), 400);
    for coding in ["xchunked", "chunked, identity", "identity", ""] {
        refused(ask().with(format!("Transfer-Encoding: {coding}")).judge(), 400);
    }
    let twice = ask().with("Transfer-Encoding: chunked").with("Transfer-Encoding: identity");
    refused(twice.judge(), 400);
}

// HSS-027
#[test]
fn content_lengths_that_parsers_read_differently_are_400() {
    for length in ["+5", "-1", "0x5", "5, 5", "5,6", "18446744073709551616", "", "0, 0", "+0"] {
        refused(ask().with(format!("Content-Length: {length}")).judge(), 400);
    }
    refused(ask().with("Content-Length: 0").with("Content-Length: 0").judge(), 400);
}

// HSS-028
#[test]
fn a_content_length_of_zero_is_accepted() {
    accepted(ask().with("Content-Length: 0").judge());
}

// HSS-029
#[test]
fn an_expectation_of_100_continue_gets_the_101_alone() {
    accepted(ask().with("Expect: 100-continue").judge());
}

// HSS-049
#[test]
fn a_full_url_as_target_is_accepted_and_names_the_host() {
    for (target, host, path) in [
        ("ws://other.example/x?q", "other.example", "/x"),
        ("http://other.example:81", "other.example:81", "/"),
        ("HTTPS://other.example?q", "other.example", "/"),
    ] {
        let request = ask().line(format!("GET {target} HTTP/1.1"));
        accepted(request.judge());
        let bytes = request.bytes();
        let head = RequestHead::parse(&bytes).unwrap();
        assert_eq!((head.host(), head.path()), (Some(host), path));
        // The origin is compared with the target's authority, not with Host's.
        refused(request.clone().with("Origin: http://example.com").judge(), 403);
    }
    let same = ask().line("GET ws://other.example/ HTTP/1.1").with("Origin: http://other.example");
    accepted(same.judge());
}

// HSS-050
#[test]
fn targets_that_are_no_path_are_400() {
    for target in
        ["*", "example.com:80", "/#a", "", "/a b", "chat", "ws://a@b/", "ftp://a/", "ws:///"]
    {
        refused(ask().line(format!("GET {target} HTTP/1.1")).judge(), 400);
    }
    refused(ask().line(b"GET /\xE4 HTTP/1.1").judge(), 400);
}

// HSS-052
#[test]
fn paths_that_do_not_decode_are_400() {
    let percents = format!("/{}", "%".repeat(8_191));
    for target in ["/%", "/%4", "/%zz", "/%+1", "/%C0%AF", "/%FF", "/%ED%A0%80", &percents] {
        refused(ask().line(format!("GET {target} HTTP/1.1")).judge(), 400);
    }
    accepted(ask().line("GET /%C3%A4%2F?100% HTTP/1.1").judge());
}

// HSS-055
#[test]
fn a_handler_refuses_with_its_own_headers_and_body_and_the_connection_closes() {
    for status in [401, 403] {
        let rejection = Rejection::new(status, "No.\n")
            .header("WWW-Authenticate", "Bearer")
            .and_then(|rejection| rejection.header("Connection", "keep-alive"))
            .and_then(|rejection| rejection.header("Content-Length", "999"))
            .and_then(|rejection| rejection.header("content-type", "application/json"))
            .unwrap()
            .body("{}");
        let mut out = Vec::new();
        rejection.write(&mut out);
        let response = super::super::testing::Response::parse(&out);
        assert_eq!(response.status, status);
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(response.header("content-length"), Some("2"));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.body, b"{}");
    }
}

#[test]
fn a_handler_cannot_refuse_with_a_status_that_does_not() {
    for status in [0, 100, 101, 200, 299, 600, u16::MAX] {
        assert_eq!(Rejection::new(status, "").status(), 500);
    }
}

// HSS-056
#[test]
fn headers_that_would_forge_lines_are_500_and_never_written() {
    for evil in ["\r", "\n", "\0", "\r\nX: 1"] {
        for (name, value) in [(format!("X{evil}"), "1".into()), ("X".into(), format!("1{evil}2"))] {
            let mut answer = ask().judge().unwrap();
            let misuse = answer.add_header(&name, &value).unwrap_err();
            let refusal = Rejection::new(401, "").header(&name, &value).unwrap_err();
            assert_eq!(misuse, refusal);

            let written = accepted(Ok(answer));
            assert_eq!(written.headers.len(), 3);
            let response = refused(Err(misuse.into()), 500);
            assert!(
                !response
                    .body
                    .windows(evil.len())
                    .any(|part| evil != "\n" && part == evil.as_bytes())
            );
        }
    }
    let mut answer = ask().judge().unwrap();
    assert!(answer.add_header("Sec-WebSocket-Protocol", "x").is_err());
    assert!(answer.add_header("Content-Length", "1").is_err());
    answer.add_header("Set-Cookie", "a=1").unwrap();
    assert_eq!(accepted(Ok(answer)).header("set-cookie"), Some("a=1"));
}

// HSS-057
#[test]
fn the_first_common_subprotocol_is_answered_once() {
    let request = ask().with("Sec-WebSocket-Protocol: a, b");
    let response = accepted(request.judge_by(&speaks(&["b", "c"])));
    assert_eq!(response.header("sec-websocket-protocol"), Some("b"));
    let two_lines = ask().with("Sec-WebSocket-Protocol: a").with("Sec-WebSocket-Protocol: b");
    let response = accepted(two_lines.judge_by(&speaks(&["b", "a"])));
    assert_eq!(response.header("sec-websocket-protocol"), Some("b"));
}

// HSS-058
#[test]
fn without_a_common_subprotocol_there_is_none_or_400_where_one_is_required() {
    let mut policy = speaks(&["b"]);
    let request = ask().with("Sec-WebSocket-Protocol: a, B");
    let response = accepted(request.judge_by(&policy));
    assert_eq!(response.header("sec-websocket-protocol"), None);
    policy.require_subprotocol = true;
    refused(request.judge_by(&policy), 400);
    refused(ask().judge_by(&policy), 400);
}

// HSS-059
#[test]
fn a_handler_that_selects_a_subprotocol_not_offered_is_500() {
    let request = ask().with("Sec-WebSocket-Protocol: a, b");
    let mut answer = request.judge_by(&speaks(&["a"])).unwrap();
    let misuse = answer.select_subprotocol(Some("c")).unwrap_err();
    assert_eq!(answer.subprotocol(), Some("a"));
    refused(Err(misuse.into()), 500);

    answer.select_subprotocol(Some("b")).unwrap();
    let response = accepted(Ok(answer.clone()));
    assert_eq!(response.header("sec-websocket-protocol"), Some("b"));
    answer.select_subprotocol(None).unwrap();
    assert_eq!(accepted(Ok(answer)).header("sec-websocket-protocol"), None);
}

// HSS-060
#[test]
fn a_subprotocol_of_8_bit_bytes_is_400() {
    refused(ask().with(b"Sec-WebSocket-Protocol: \x80\xFF").judge(), 400);
}

// HSS-061
#[test]
fn malformed_subprotocol_lists_are_400() {
    let thousand: Vec<_> = (0..1_000).map(|number| format!("p{number}")).collect();
    for list in ["a b", "", "a,", ",a", "a,,b", "a, a", "a;b", "\"a\"", &thousand.join(",")] {
        refused(ask().with(format!("Sec-WebSocket-Protocol: {list}")).judge(), 400);
    }
    let twice = ask().with("Sec-WebSocket-Protocol: a").with("Sec-WebSocket-Protocol: a");
    refused(twice.judge(), 400);
}

// HSS-063
#[test]
fn malformed_extension_lists_are_400() {
    let unclosed = format!("a; b=\"{}", "\\x".repeat(4_000));
    for list in
        [";;;=", ";", "a;", "a b", "a; =1", "a; b=\"c", "a; b=\"c d\"", "a; b=c d", &unclosed]
    {
        refused(ask().with(format!("Sec-WebSocket-Extensions: {list}")).judge(), 400);
    }
    refused(ask().with(b"Sec-WebSocket-Extensions: \x80").judge(), 400);
}

// HSS-062
#[test]
fn hostile_lists_take_work_in_proportion_to_their_length() {
    let shapes = [
        " ",
        ",",
        "\"",
        "a",
        ";",
        "=",
        ", ",
        "a,",
        "a ",
        "a;b=",
        "a;b=\"",
        "a;b=\"\\",
        "\\",
        "; ",
        "a; b=\"c\", ",
        "a\t,\t",
    ];
    for head in ["", "a;b=\"", "a;", "a"] {
        for shape in shapes {
            let steps = |length: usize| {
                let mut value = format!("{head}{}", shape.repeat(length / shape.len()));
                value.truncate(length);
                steps_of(value.as_bytes())
            };
            for length in [1_000, 2_000, 4_000, 8_000, 16_000] {
                assert!(steps(length) <= 8 * length, "{head:?} {shape:?} {length}");
            }
        }
    }
}

// HSS-065
#[test]
fn five_hundred_extensions_are_accepted_and_sixteen_considered() {
    let offers: Vec<_> = (0..500).map(|number| format!("x{number}")).collect();
    let line = format!("Sec-WebSocket-Extensions: {}", offers.join(", "));
    accepted(ask().with(&line).judge());
    let joined = offers.join(",");
    assert_eq!(parse_extensions(joined.as_bytes()).unwrap().len(), 16);
    #[cfg(feature = "deflate")]
    {
        let policy = policy(|policy| policy.deflate = Some(DeflateConfig::default()));
        let late = ask().with(format!("{line}, permessage-deflate"));
        let response = accepted(late.judge_by(&policy));
        assert_eq!(response.header("sec-websocket-extensions"), None);
    }
}

// HSS-070
#[test]
fn without_an_origin_programs_connect_unless_one_is_required() {
    accepted(ask().judge());
    refused(ask().judge_by(&policy(|policy| policy.require_origin = true)), 403);
}

// HSS-071
#[test]
fn a_host_that_is_not_this_servers_name_is_403() {
    let names = ["localhost", "127.0.0.1:8080", "[::1]"];
    let names = names.map(Into::into).to_vec();
    let policy = policy(|policy| policy.allowed_hosts = Some(names));
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1", "127.0.0.1:81", "localhost."]
    {
        refused(ask().set(format!("Host: {host}")).judge_by(&policy), 403);
    }
    for host in ["localhost", "LOCALHOST:99", "127.0.0.1:8080", "[::1]:7"] {
        accepted(ask().set(format!("Host: {host}")).judge_by(&policy));
    }
}

#[test]
fn heads_of_another_http_implementation_are_judged_alike() {
    let headers = [
        ("host", &b"example.com"[..]),
        ("upgrade", b" websocket "),
        ("connection", b"Upgrade"),
        ("sec-websocket-key", KEY.as_bytes()),
        ("sec-websocket-version", b"13"),
    ];
    let head = RequestHead::from_parts("GET", "/chat?x", Version::Http11, headers);
    assert_eq!((head.path(), head.query()), ("/chat", Some("x")));
    accepted(accept(&head, &Policy::default()));
    let head = RequestHead::from_parts("GET", "/\u{e4}", Version::Http11, headers);
    refused(accept(&head, &Policy::default()), 400);
}

#[test]
fn a_door_tells_handshakes_from_other_requests() {
    let wants = |request: &super::super::testing::Ask| {
        RequestHead::parse(&request.bytes()).unwrap().wants_upgrade()
    };
    assert!(wants(&ask()));
    assert!(wants(&ask().line("POST / HTTP/1.0")));
    assert!(wants(&ask().without("Upgrade").without("Connection")));
    assert!(!wants(&ask().set("Upgrade: h2c").without("Sec-WebSocket-Key")));
    assert!(!wants(&ask().without("Upgrade").without("Sec-WebSocket-Key")));
}
