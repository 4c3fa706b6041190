//! Streams: events, lines, parts.

use serde_json::Value;
use sockeye_hub::Payload;
use sockeye_server::metrics::Transport;

use crate::support::{Server, until};

const EVENTS: &[(&str, &str)] = &[("Accept", "text/event-stream")];
const LINES: &[(&str, &str)] = &[("Accept", "application/x-ndjson")];

#[tokio::test]
async fn stream_of_events_begins_with_its_cursor_and_nobody_may_keep_it() {
    let server = Server::open().await;
    server.say("a", "before");
    let (mut client, head) = server.stream("/t/a", EVENTS).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    let begin = client.read_until("id: ").await;
    assert!(begin.starts_with("retry: ") && begin.ends_with("\n\nid: 1-1\n\n"), "{begin}");
    server.say("a", "two\nlines");
    assert_eq!(client.read_until("\n\n").await, "id: 1-2\ndata: two\ndata: lines\n\n");
}

// FBK-022
#[tokio::test]
async fn stream_goes_on_from_the_last_event_or_tells_a_gap() {
    let server = Server::open().await;
    for text in ["1", "2", "3"] {
        server.say("a", text);
    }
    let at = |id| [EVENTS[0], ("Last-Event-ID", id)];
    let (mut client, _) = server.stream("/t/a?since=oldest", &at("1-1")).await;
    let text = client.read_until("data: 3\n\n").await;
    assert!(text.ends_with("id: 1-1\n\nid: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n"), "{text}");
    let (mut client, _) = server.stream("/t/a", EVENTS).await;
    assert!(client.read_until("id: ").await.ends_with("\n\nid: 1-3\n\n"), "no place is now");
    for (id, reason) in [("2-1", "epoch"), ("1-99", "future"), ("forged", "unreadable")] {
        let (mut client, _) = server.stream("/t/a", &at(id)).await;
        let text = client.read_until("\nid: 1-").await;
        let gap = text.split("event: gap\ndata: ").nth(1).expect("a gap before the cursor");
        let gap: Value = serde_json::from_str(gap.lines().next().unwrap()).unwrap();
        assert_eq!(gap["reason"], reason);
    }
    for _ in 0..20 {
        server.say("a", "more");
    }
    let (mut client, _) = server.stream("/t/a", &at("1-3")).await;
    assert!(client.read_until("id: 1-").await.contains(r#""reason":"evicted""#));
}

#[tokio::test]
async fn stream_of_lines_welcomes_and_tells_the_topic_of_each_message() {
    let server = Server::open().await;
    let (mut client, head) = server.stream("/t/a?topic=b", LINES).await;
    assert_eq!(head.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(client.read_until("\n").await, "{\"type\":\"welcome\",\"id\":\"1-0\"}\n");
    server.say("b", "x");
    server.publish("a", Payload::binary(vec![0, 1, 2]));
    let text = client.read_until("AAEC").await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["topic"], &lines[0]["data"]), (&"b".into(), &"x".into()));
    assert_eq!((&lines[1]["topic"], &lines[1]["base64"]), (&"a".into(), &"AAEC".into()));
}

// FBK-027
#[tokio::test]
async fn stream_of_parts_gives_payloads_as_they_are_between_boundaries_of_its_own() {
    let server = Server::open().await;
    let mut boundaries = std::collections::BTreeSet::new();
    for (accept, subtype) in
        [("multipart/*", "mixed"), ("multipart/x-mixed-replace", "x-mixed-replace")]
    {
        let (mut client, head) = server.stream("/t/a", &[("Accept", accept)]).await;
        let kind = head.header("content-type").unwrap().to_owned();
        let boundary = kind.strip_prefix(&format!("multipart/{subtype}; boundary=")).unwrap();
        assert!(boundary.len() == 32 && boundary.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert!(boundaries.insert(boundary.to_owned()), "128 random bits are never the same");
        client.read_until("welcome\"").await;
        server.say("a", "hello");
        let part = client.read_until("hello").await;
        assert!(part.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{part}");
        assert!(part.contains("\r\nETag: \"1-") && part.contains("\r\nTopic: a\r\n"), "{part}");
        assert!(part.ends_with(&format!("\r\n\r\nhello\r\n--{boundary}")), "{part}");
    }
}

#[tokio::test]
async fn stream_that_its_client_leaves_is_no_subscriber_any_more() {
    let server = Server::open().await;
    let (client, _) = server.stream("/t/a?topic=b", LINES).await;
    assert_eq!((server.subscribers("a"), server.subscribers("b")), (1, 1));
    assert_eq!(server.topics.clients.metrics().connections(Transport::Lines).get(), 1);
    drop(client);
    // Somebody must write to find out.
    until(|| {
        server.say("a", "anybody?");
        server.subscribers("a") == 0
    })
    .await;
    assert_eq!(
        (
            server.subscribers("b"),
            server.topics.clients.metrics().connections(Transport::Lines).get()
        ),
        (0, 0)
    );
    // The one that would wake it is gone with it.
    assert_eq!(format!("{:?}", server.topics.alarms), "Alarms { set: 0, .. }");
}

#[tokio::test]
async fn silent_stream_says_that_it_is_alive() {
    let server = Server::start(crate::support::open(), |topics| {
        topics.limits.heartbeat = std::time::Duration::from_millis(1);
    })
    .await;
    let (mut client, _) = server.stream("/t/a", EVENTS).await;
    client.read_until("\n:\n\n").await;
    let (mut client, _) = server.stream("/t/a", LINES).await;
    client.read_until("}\n\n").await;
    let (mut client, _) = server.stream("/t/a", &[("Accept", "multipart/mixed")]).await;
    client.read_until("  ").await;
}

#[tokio::test]
async fn head_says_what_get_would_and_subscribes_to_nothing() {
    let server = Server::open().await;
    server.say("a", "x");
    for (accept, kind) in [
        ("text/event-stream", "text/event-stream"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("*/*", "application/json"),
    ] {
        let answer = server.ask("HEAD", "/t/a", &[("Accept", accept)]).await;
        assert_eq!((answer.status(), answer.head.header("content-type")), (200, Some(kind)));
        assert_eq!(answer.cursor(), "1-1");
    }
    assert_eq!(server.subscribers("a"), 0);
}
