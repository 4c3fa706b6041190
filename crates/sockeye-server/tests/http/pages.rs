//! `?info`, `?history`, `?presence`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sockeye_hub::{Epoch, Hub, Label, Limits, Member, Payload, Presence, Rules, TopicRules};

use crate::support::{Server, open};

#[tokio::test]
async fn info_tells_of_subscribers_and_ids() {
    let server = Server::open().await;
    let info = server.get("/t/a%20b?info").await;
    let nothing = json!({"topic": "a b", "subscribers": 0, "last_id": null, "oldest_id": null});
    assert_eq!((info.status(), info.json()), (200, nothing));
    let _stream = server.stream("/t/a", &[("Accept", "text/event-stream")]).await;
    for _ in 0..12 {
        server.say("a", "x");
    }
    let info = server.get("/t/a?info").await.json();
    let told = json!({"topic": "a", "subscribers": 1, "last_id": "1-12", "oldest_id": "1-3"});
    assert_eq!(info, told);
}

async fn with_a_long_history() -> Server {
    let mut rules = TopicRules::default();
    rules.presence = Presence::Listed;
    rules.history.messages = 1_000;
    rules.history.bytes = usize::MAX;
    let mut limits = Limits::default();
    limits.members = 1_000;
    let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), limits);
    Server::start(open(), |topics| topics.hub = Arc::new(hub)).await
}

#[tokio::test]
async fn history_comes_in_pages_of_300_in_both_directions() {
    let server = with_a_long_history().await;
    for _ in 0..700 {
        server.say("a", "x");
    }
    for (flags, expected) in
        [("", (1..=700).collect()), ("&reverse", (1..=700).rev().collect::<Vec<_>>())]
    {
        let (mut since, mut seen, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let page = server.get(&format!("/t/a?history&limit=9999{flags}{since}")).await.json();
            pages += 1;
            let ids = page["messages"].as_array().unwrap().iter();
            seen.extend(ids.map(|item| item["id"].as_str().unwrap()[2..].parse::<u64>().unwrap()));
            let Some(next) = page["next"].as_str() else { break };
            since = format!("&since={next}");
        }
        assert_eq!((pages, seen), (3, expected));
    }
    let page = server.get("/t/a?history&limit=2&since=1-5").await.json();
    assert_eq!((&page["messages"][0]["id"], &page["next"]), (&"1-6".into(), &"1-7".into()));
    assert_eq!(server.get("/t/a?history&since=8-1&limit=1").await.json()["gap"]["reason"], "epoch");
}

#[tokio::test]
async fn presence_comes_in_pages_with_what_members_tell() {
    let server = with_a_long_history().await;
    for number in 0..301 {
        let client = Label::new(&format!("c{number:03}")).unwrap();
        let about = if number == 0 { Payload::binary(vec![0]) } else { Payload::text("Ann") };
        let member = Member { client, about };
        server.topics.hub.enter(&"a".parse().unwrap(), member, Duration::ZERO).unwrap();
    }
    let page = server.get("/t/a?presence").await.json();
    assert_eq!(page["members"].as_array().unwrap().len(), 300);
    assert_eq!(page["members"][0], json!({"client": "c000", "base64": "AA=="}));
    assert_eq!((&page["total"], &page["next"]), (&301.into(), &"c299".into()));
    let page = server.get("/t/a?presence&after=c299&limit=5").await.json();
    assert_eq!(page["members"], json!([{"client": "c300", "data": "Ann"}]));
    assert_eq!(page["next"], json!(null));
}

// LIM-019
#[tokio::test]
async fn request_for_too_much_is_refused_and_its_connection_stays() {
    let server = Server::open().await;
    let mut client = server.connect().await;
    let many: Vec<_> = (0..128).map(|at| format!("topic=t{at}")).collect();
    let long = "a".repeat(256);
    for (target, code) in [
        (format!("/t/a?{}", many.join("&")), "limit_exceeded"),
        (format!("/t/{long}"), "bad_request"),
        ("/t/a%0Ab".to_owned(), "bad_request"),
        ("/t/".to_owned(), "bad_request"),
        ("/t/a?history&limit=x".to_owned(), "bad_request"),
        ("/t/a?presence&after=".to_owned(), "bad_request"),
        ("/t/a?info&topic=b".to_owned(), "bad_request"),
    ] {
        client.request("GET", &target, &[], b"").await;
        let answer = client.answer("GET").await;
        assert_eq!((answer.status(), answer.code().as_str()), (400, code), "{target}");
    }
    client.request("GET", &format!("/t/{}?info&wait", &long[1..]), &[], b"").await;
    assert_eq!(client.answer("GET").await.status(), 200);
    client.request("GET", &format!("/t/a?{}", many[1..].join("&")), &[], b"").await;
    assert_eq!(client.answer("GET").await.status(), 204);
}
