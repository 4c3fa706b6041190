//! `POST` and `DELETE`.

use sockeye_hub::{Payload, Since};
use sockeye_server::metrics::Transport;

use crate::support::{KEY, Server};

fn bearer() -> String {
    format!("Bearer {KEY}")
}

fn payloads(server: &Server, topic: &str) -> Vec<Payload> {
    let topic = topic.parse().unwrap();
    let joined = server.topics.hub.recover(&[topic], Since::Oldest, server.topics.clock.now());
    joined.recovered.iter().map(|message| message.payload.clone()).collect()
}

#[tokio::test]
async fn body_is_published_as_it_is() {
    let server = Server::open().await;
    let (mut stream, _) = server.stream("/t/a", &[("Accept", "text/event-stream")]).await;
    let text = [("Content-Type", "text/plain"), ("Event", "100%25 %C3%A9")];
    let answer = server.send("POST", "/t/a", &text, "né\r\n".as_bytes()).await;
    assert_eq!(
        (answer.status(), answer.body.as_str()),
        (200, "{\"id\":\"1-1\",\"subscribers\":1}\n")
    );
    assert!(stream.read_until("data: \n\n").await.ends_with("event: 100% é\ndata: né\ndata: \n\n"));
    let bytes = server.send("POST", "/t/a", &[], b"\x00\xff").await;
    assert_eq!(bytes.json()["id"], "1-2");
    let empty = server.ask("POST", "/t/a", &[("Content-Length", "0")]).await;
    assert_eq!(empty.status(), 200);
    let expected =
        [Payload::text("né\r\n"), Payload::binary(&b"\x00\xff"[..]), Payload::binary(&b""[..])];
    assert_eq!(payloads(&server, "a"), expected);
    assert_eq!(server.topics.clients.metrics().messages_in(Transport::Http).get(), 3);
}

// PUB-016
#[tokio::test]
async fn publication_repeated_under_its_key_is_answered_and_not_delivered() {
    let server = Server::open().await;
    let key = [("Idempotency-Key", "k1")];
    let first = server.send("POST", "/t/a", &key, b"x").await.json();
    assert_eq!((&first["id"], first.get("repeat")), (&"1-1".into(), None));
    let second = server.send("POST", "/t/a", &key, b"x").await.json();
    assert_eq!((&second["id"], &second["repeat"]), (&"1-1".into(), &true.into()));
    let key = [("Idempotency-Key", "k2")];
    let at_once = (0..8).map(|_| server.send("POST", "/t/a", &key, b"y"));
    let answers = futures_util::future::join_all(at_once).await;
    assert!(answers.iter().all(|answer| answer.json()["id"] == "1-2"));
    let repeats = answers.iter().filter(|answer| answer.json()["repeat"] == true).count();
    assert_eq!(repeats, 7);
    assert_eq!(
        (
            payloads(&server, "a").len(),
            server.topics.clients.metrics().messages_in(Transport::Http).get()
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn publication_to_another_version_is_refused_with_the_last_one() {
    let server = Server::open().await;
    server.say("a", "1");
    server.say("a", "2");
    let on = |version: &'static str| [("If-Version", version)];
    let answer = server.send("POST", "/t/a", &on("1-1"), b"x").await;
    assert_eq!((answer.status(), answer.code().as_str()), (412, "conflict"));
    assert_eq!(answer.json()["last_id"], "1-2");
    assert_eq!(server.send("POST", "/t/a", &on("\"1-2\""), b"x").await.status(), 200);
    assert_eq!(payloads(&server, "a").len(), 3);
}

// PUB-017
#[tokio::test]
async fn topic_with_line_end_nul_wildcard_256_bytes_or_no_utf_8_is_refused() {
    let server = Server::open().await;
    let long = "a".repeat(256);
    for name in ["a%0Ab", "a%0D%0Ab", "a%00", "a*", "a%3E", &long, "%FF", "..", "%2e%2e"] {
        let answer = server.send("POST", &format!("/t/{name}"), &[], b"x").await;
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{name}");
    }
    assert_eq!(server.topics.hub.stats().topics, 0);
}

// PUB-020, RES-014
#[tokio::test]
async fn body_that_is_not_the_json_it_says_to_be_is_refused() {
    let server = Server::open().await;
    let json = [("Content-Type", "application/json")];
    let deep = "[".repeat(65) + &"]".repeat(65);
    for body in ["{", "", "{}{}", &deep, &"[".repeat(60_000)] {
        let headers = [json[0], ("Content-Length", "0")];
        let headers = if body.is_empty() { &headers[..] } else { &json[..] };
        let answer = server.send("POST", "/t/a", headers, body.as_bytes()).await;
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"));
    }
    for body in ["1e9999999", r#"{"a":1,"a":2}"#, " [1] "] {
        assert_eq!(server.send("POST", "/t/a", &json, body.as_bytes()).await.status(), 200);
    }
    let long_key = format!("{{\"{}\":1}}", "k".repeat(1 << 20));
    assert_eq!(server.send("POST", "/t/a", &json, long_key.as_bytes()).await.status(), 413);
    assert_eq!(payloads(&server, "a")[2], Payload::text(" [1] "));
}

// LIM-020
#[tokio::test]
async fn body_is_refused_at_the_byte_above_the_limit_and_when_it_is_encoded() {
    let server = Server::open().await;
    let limit = server.topics.limits.body;
    assert_eq!(server.send("POST", "/t/a", &[], &vec![0; limit]).await.status(), 200);
    // What declares too much is refused before a byte of it was sent.
    let length = (limit + 1).to_string();
    let mut client = server.connect().await;
    client.request("POST", "/t/a", &[("Content-Length", &length)], b"").await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("connection")), (413, Some("close")));
    let mut client = server.connect().await;
    client.request("POST", "/t/a", &[("Transfer-Encoding", "chunked")], b"").await;
    client.write(format!("{limit:x}\r\n{}\r\n", "x".repeat(limit)).as_bytes()).await;
    // That was the last byte that is taken; the answer comes with the next and not with the end.
    client.write(b"1\r\nx\r\n").await;
    assert_eq!(client.head().await.status, 413);
    // The rest is dropped, so that a client that sends it all before it reads has its answer too.
    let mut client = server.connect().await;
    client.request("POST", "/t/a", &[], &vec![0; 4 << 20]).await;
    let answer = client.answer("POST").await;
    assert_eq!((answer.status(), answer.code().as_str()), (413, "limit_exceeded"));
    for encoding in ["gzip", "deflate", "identity", "br, gzip"] {
        let answer = server.send("POST", "/t/a", &[("Content-Encoding", encoding)], b"x").await;
        assert_eq!((answer.status(), answer.code().as_str()), (415, "unsupported_media_type"));
    }
    assert_eq!(payloads(&server, "a").len(), 1);
}

#[tokio::test]
async fn history_is_cleared_by_back_ends_and_nobody_else() {
    let server = Server::open().await;
    server.say("a", "x");
    let answer = server.ask("DELETE", "/t/a", &[]).await;
    assert_eq!((answer.status(), answer.code().as_str()), (401, "token_required"));
    let key = bearer();
    let answer = server.ask("DELETE", "/t/a", &[("Authorization", &key)]).await;
    assert_eq!((answer.status(), payloads(&server, "a").len()), (204, 0));
    assert_eq!(server.get("/t/a?since=1-0").await.json()[0]["reason"], "evicted");
}
