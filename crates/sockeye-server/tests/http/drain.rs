//! Streams and polls whose time is over: the server stops, or the client's grant has ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sockeye_server::auth::{Auth, Grant};
use sockeye_server::clock::Clock;
use sockeye_server::policy::Policy;

use crate::support::{Server, everything, open};

const EVENTS: &[(&str, &str)] = &[("Accept", "text/event-stream")];

async fn rest_of(mut client: crate::support::Client) -> String {
    String::from_utf8(client.rest().await).unwrap()
}

#[tokio::test]
async fn stopping_server_gives_out_what_waits_and_spreads_who_comes_back() {
    let server = Server::open().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.stream("/t/a", EVENTS).await.0);
    }
    server.say("a", "last");
    server.stop(Duration::from_secs(30));
    let mut retries = BTreeSet::new();
    for client in clients {
        let text = rest_of(client).await;
        let (before, retry) = text.trim_end().rsplit_once("retry: ").unwrap();
        assert!(before.ends_with("data: last\n\n"), "{text}");
        retries.insert(retry.parse::<u64>().unwrap());
    }
    assert!(retries.len() > 10, "{retries:?}");
    assert!(retries.first() >= Some(&1_000) && retries.last() <= Some(&31_000), "{retries:?}");
    assert_eq!(server.subscribers("a"), 0);
    // Who comes while it stops is sent away in the same way: an EventSource gives up on a refusal.
    assert!(rest_of(server.stream("/t/a", EVENTS).await.0).await.contains("\n\nretry: "));
}

#[tokio::test]
async fn stopping_server_ends_every_form_as_the_form_does() {
    let server = Server::open().await;
    let (lines, _) = server.stream("/t/a", &[("Accept", "application/x-ndjson")]).await;
    let (parts, _) = server.stream("/t/a", &[("Accept", "multipart/mixed")]).await;
    let stop = async {
        server.until_subscribers("a", 3).await;
        server.stop(Duration::ZERO);
    };
    let (poll, ()) = tokio::join!(server.get("/t/a?since=1-0&wait=60"), stop);
    assert_eq!((poll.status(), poll.head.header("retry-after")), (204, Some("1")));
    assert!(rest_of(lines).await.ends_with("{\"type\":\"retry\",\"retry\":1000}\n"));
    assert!(rest_of(parts).await.ends_with("--\r\n"));
}

/// Lets everybody do everything for an hour.
pub(crate) fn for_an_hour() -> (Policy, Clock) {
    let now = SystemTime::now();
    let grant = Grant { expires: Some(now + Duration::from_secs(3_600)), ..everything() };
    let clock = Clock::standing_at(now.duration_since(UNIX_EPOCH).unwrap());
    (Policy { auth: Auth::Anonymous(Arc::new(grant)), ..open() }, clock)
}

#[tokio::test]
async fn stream_ends_when_its_grant_does_by_the_walls_clock() {
    let (policy, clock) = for_an_hour();
    let server = Server::start(policy, |topics| {
        topics.clock = clock.clone();
        topics.limits.heartbeat = Duration::from_millis(1);
    })
    .await;
    let mut streams = Vec::new();
    for form in ["text/event-stream", "application/x-ndjson", "multipart/mixed"] {
        let (mut client, _) = server.stream("/t/a", &[("Accept", form)]).await;
        client.read_until("1-0").await;
        streams.push(client);
    }
    clock.advance(Duration::from_secs(3_601));
    server.say("a", "too late");
    let expected = [
        "event: expired\ndata: {\"type\":\"expired\"}\n\n",
        "{\"type\":\"expired\"}\n",
        "{\"type\":\"expired\"}",
    ];
    for (client, expected) in streams.into_iter().zip(expected) {
        let text = rest_of(client).await;
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(server.subscribers("a"), 0);
}

#[tokio::test]
async fn poll_gets_nothing_once_its_grant_has_ended() {
    let (policy, clock) = for_an_hour();
    let server = Server::start(policy, |topics| topics.clock = clock.clone()).await;
    let late = async {
        server.until_subscribers("a", 1).await;
        clock.advance(Duration::from_secs(3_601));
        server.say("a", "too late");
    };
    let (answer, ()) = tokio::join!(server.get("/t/a?since=1-0&wait=60"), late);
    assert_eq!((answer.status(), answer.code().as_str()), (401, "token_expired"));
    assert!(!answer.body.contains("too late"));
}
