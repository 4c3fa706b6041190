//! HTTP beside WebSocket on one port: pages, refusals, and upgrades at either door.

use crate::support::{Served, TEXT, handshake, masked};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_by_serve_and_not_by_echo() {
    let (serve, echo) = (Served::start(&["serve"]).await, Served::start(&["echo"]).await);
    let from =
        |origin: &str| handshake("/echo").replace("\r\n\r\n", &format!("\r\n{origin}\r\n\r\n"));
    let cases = [
        ("Origin: http://evil.example", "403", "101"),
        ("Origin: https://localhost.evil.example", "403", "101"),
        ("Origin: null", "403", "101"),
        ("Origin: http://localhost", "101", "101"),
        ("X-Nothing: at all", "101", "101"),
    ];
    for (origin, by_serve, by_echo) in cases {
        for (served, expected) in [(&serve, by_serve), (&echo, by_echo)] {
            let mut raw = served.raw().await;
            raw.write(from(origin).as_bytes()).await;
            let head = raw.head().await;
            assert_eq!(&head[9..12], expected, "{origin}: {head}");
        }
    }
}

#[tokio::test]
async fn every_page_comes_over_one_connection() {
    let served = Served::start(&["serve"]).await;
    let mut raw = served.raw().await;
    for (path, content_type) in [
        ("/", "text/html"),
        ("/chat", "text/html"),
        ("/assets/chat.js", "text/javascript"),
        ("/assets/style.css", "text/css"),
        ("/assets/river.svg", "image/svg+xml"),
    ] {
        raw.write(get(path).as_bytes()).await;
        let answer = raw.response().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains(content_type), "{path}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'self'"), "{answer}");
    }
    for path in ["/nothing", "/assets/", "/assets/../Cargo.toml", "/assets/%2e%2e/index.html"] {
        raw.write(get(path).as_bytes()).await;
        let answer = raw.response().await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_websocket_path_without_an_upgrade_is_426_and_says_what_to_speak() {
    let (serve, echo) = (Served::start(&["serve"]).await, Served::start(&["echo"]).await);
    for (served, path) in [(&serve, "/echo"), (&serve, "/ws"), (&echo, "/"), (&echo, "/a/b")] {
        let mut raw = served.raw().await;
        raw.write(get(path).as_bytes()).await;
        let answer = raw.response().await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 426 "), "{answer}");
        for header in ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{answer}");
        }
    }
}

#[tokio::test]
async fn clients_that_offer_http_2_with_a_request_are_answered_in_http_1_1() {
    let served = Served::start(&["serve"]).await;
    let offer =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA";
    let mut raw = served.raw().await;
    for _ in 0..2 {
        let length = "Content-Type: text/plain\r\nContent-Length: 5";
        let post =
            format!("POST /t/x HTTP/1.1\r\nHost: localhost\r\n{offer}\r\n{length}\r\n\r\nhello");
        raw.write(post.as_bytes()).await;
        let answer = raw.response().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    raw.write(format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{offer}\r\n\r\n").as_bytes()).await;
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

#[tokio::test]
async fn a_connection_that_served_pages_becomes_a_websocket() {
    let served = Served::start(&["serve"]).await;
    for path in ["/echo", "/t/x"] {
        let mut raw = served.raw().await;
        for _ in 0..2 {
            raw.write(get("/").as_bytes()).await;
            assert!(raw.response().await.starts_with("HTTP/1.1 200 "));
        }
        // The first frame comes in the same segment as the request.
        let early = masked(0x80 | TEXT, b"early");
        raw.write(&[handshake(path).as_bytes(), &early].concat()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(raw.frame().await.unwrap().payload, b"early");
        raw.send(0x80 | TEXT, b"late").await;
        assert_eq!(raw.frame().await.unwrap().payload, b"late");
    }
}

/// Pages, files, paths that other transports would have, and paths of nothing.
const NO_WEBSOCKET: [&str; 13] = [
    "/",
    "/chat",
    "/assets/style.css",
    "/t/",
    "/t/a/b",
    "/nothing",
    "/info",
    "/echo/info",
    "/echo/000/session/xhr",
    "/echo/000/session/xhr_streaming",
    "/echo/000/session/eventsource",
    "/echo/000/session/jsonp?c=callback",
    "/socket.io/?EIO=4&transport=polling",
];

// HSS-078
#[tokio::test]
async fn an_upgrade_to_a_path_without_a_websocket_is_404_once_at_both_doors() {
    let served = Served::start(&["serve"]).await;
    for path in NO_WEBSOCKET {
        for pages in 0..2 {
            let mut raw = served.raw().await;
            for _ in 0..pages {
                raw.write(get("/").as_bytes()).await;
                raw.response().await;
            }
            // What comes behind it in the same segment is not answered.
            let early = masked(0x80 | TEXT, b"early");
            let segment = [handshake(path).as_bytes(), &early, get("/").as_bytes()].concat();
            raw.write(&segment).await;
            let answer = String::from_utf8(raw.rest().await).unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{path}: {answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let head = head.to_ascii_lowercase();
            for header in [
                "connection: close",
                &format!("content-length: {}", body.len()),
                "content-type: text/plain",
                "x-content-type-options: nosniff",
            ] {
                assert!(head.contains(&format!("\r\n{header}")), "{path}, {header}: {answer}");
            }
        }
    }
    served.open("/echo").await;
}

/// Requests that ask for an upgrade and break a rule, most of which a lenient parser lets pass.
fn illegal() -> Vec<String> {
    let good = handshake("/echo");
    vec![
        good.replace("\r\n", "\n"),
        good.replacen("\r\nUpgrade", "\nUpgrade", 1),
        good.replace("\r\n\r\n", "\r\n\n"),
        good.replace("HTTP/1.1", "HTTP/1.0"),
        good.replace("HTTP/1.1", "HTTP/2.0"),
        good.replace("GET", "POST"),
        good.replace("GET", "HEAD"),
        good.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello"),
        good.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        good.replace("Host: localhost\r\n", ""),
        good.replace("Host: localhost\r\n", "Host: localhost\r\nHost: other\r\n"),
        good.replace("Host: localhost\r\n", "Host: localhost\r\n folded\r\n"),
        good.replace("Connection: Upgrade", "Connection : Upgrade"),
        good.replace("Connection: Upgrade", "Connection: keep-alive"),
        good.replace("Version: 13", "Version: 8"),
        good.replace("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
        good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
        good.replace("Sec-WebSocket-Key", "Sec-WebSocket-Kye"),
        good.replace("GET /echo ", "GET /echo#part "),
        good.replace("\r\n\r\n", "\r\nA: \x01\r\n\r\n"),
    ]
}

#[tokio::test]
async fn no_illegal_handshake_is_answered_101_at_either_door() {
    for name in ["serve", "echo"] {
        let served = Served::start(&[name]).await;
        for request in illegal() {
            for pages in 0..2 {
                let mut raw = served.raw().await;
                for _ in 0..pages {
                    raw.write(get("/").as_bytes()).await;
                    raw.response().await;
                }
                raw.write(request.as_bytes()).await;
                let answer = raw.so_far().await;
                let status: u16 = answer.get(9..12).unwrap_or_default().parse().unwrap_or(0);
                let is_refused = matches!(status, 400..=499 | 505);
                assert!(is_refused, "{pages} {request:?}: {answer:?}");
            }
        }
        served.open("/echo").await;
    }
}
