//! Long polls.

use std::time::Duration;

use sockeye_server::metrics::Transport;

use crate::support::{Server, bounded, open};

#[tokio::test]
async fn first_poll_answers_at_once_with_the_cursor_and_nothing_is_missed_after_it() {
    let server = Server::open().await;
    server.say("a", "before");
    let first = server.get("/t/a").await;
    assert_eq!((first.status(), first.cursor().as_str()), (204, "1-1"));
    server.say("a", "between");
    server.say("b", "elsewhere");
    let tag = format!("\"{}\"", first.cursor());
    let second = server.ask("GET", "/t/a?since=oldest", &[("If-None-Match", &tag)]).await;
    assert_eq!((second.status(), second.cursor().as_str()), (200, "1-2"));
    assert_eq!(second.head.header("content-type"), Some("application/json"));
    assert_eq!(second.head.header("cache-control"), Some("no-store"));
    let list = second.json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["data"]), (1, &"between".into()));
}

#[tokio::test]
async fn poll_waits_for_a_message_and_for_no_longer_than_it_said() {
    let server = Server::open().await;
    let waiting = server.get("/t/a?since=1-0&wait=60");
    let publishing = async {
        server.until_subscribers("a", 1).await;
        assert_eq!(server.topics.clients.metrics().connections(Transport::Poll).get(), 1);
        server.say("a", "now");
    };
    let (answer, ()) = tokio::join!(waiting, publishing);
    assert_eq!((answer.status(), &answer.json()[0]["data"]), (200, &"now".into()));
    assert_eq!(
        (
            server.subscribers("a"),
            server.topics.clients.metrics().connections(Transport::Poll).get()
        ),
        (0, 0)
    );
    let answer = server.get("/t/a?since=1-1&wait=0").await;
    assert_eq!((answer.status(), answer.cursor().as_str()), (204, "1-1"));
}

// REC-010
#[tokio::test]
async fn poll_beyond_the_history_gets_the_gap_and_what_is_left() {
    let server = Server::open().await;
    for _ in 0..12 {
        server.say("a", "x");
    }
    let list = server.get("/t/a?since=1-1").await.json();
    assert_eq!((&list[0]["type"], &list[0]["reason"]), (&"gap".into(), &"evicted".into()));
    assert_eq!((&list[1]["id"], list.as_array().unwrap().len()), (&"1-3".into(), 11));
    for (since, reason) in [("9-1", "epoch"), ("1-99", "future"), ("x", "unreadable")] {
        let list = server.get(&format!("/t/a?topic=b&since={since}&wait=0")).await.json();
        let told: Vec<_> =
            list.as_array().unwrap().iter().filter(|item| item["type"] == "gap").collect();
        assert_eq!(told.len(), 2, "a gap in each topic");
        assert!(told.iter().all(|gap| gap["reason"] == reason), "{list}");
    }
}

#[tokio::test]
async fn long_list_comes_in_parts_without_a_hole() {
    let server = Server::start(open(), |topics| topics.limits.poll = 3).await;
    for _ in 0..8 {
        server.say("a", "x");
    }
    let (mut cursor, mut seen) = ("oldest".to_owned(), Vec::new());
    loop {
        let answer = server.get(&format!("/t/a?since={cursor}&wait=0")).await;
        cursor = answer.cursor();
        if answer.status() == 204 {
            break;
        }
        let list = answer.json();
        assert!(list.as_array().unwrap().len() <= 3);
        seen.extend(
            list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
    }
    assert!(seen.into_iter().eq((1..=8).map(|seq| format!("1-{seq}"))));
}

#[tokio::test]
async fn client_that_goes_away_while_it_waits_is_no_subscriber() {
    let server = Server::open().await;
    let mut client = server.connect().await;
    client.request("GET", "/t/a?since=1-0&wait=60", &[], b"").await;
    server.until_subscribers("a", 1).await;
    drop(client);
    server.until_subscribers("a", 0).await;
}

#[tokio::test]
async fn wait_that_is_none_is_refused() {
    let server = Server::open().await;
    let answer = bounded(server.get("/t/a?since=1-0&wait=61")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"));
    assert_eq!(Duration::from_secs(60), server.topics.limits.wait);
}
