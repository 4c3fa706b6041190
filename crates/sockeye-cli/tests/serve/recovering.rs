//! Coming back with a cursor, and reading too slowly, over WebSockets.

use serde_json::json;

use crate::scratch::Scratch;
use crate::support::{Raw, Served, TEXT};

const SPEAKS_JSON: &[(&str, &str)] = &[("Sec-WebSocket-Protocol", "sockeye.v1.json")];

/// Reads frames until a text comes, and returns what came before.
async fn up_to(raw: &mut Raw, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let frame = raw.frame().await.expect("it goes on");
        if frame.text() == last {
            return texts;
        }
        texts.push(frame.text().to_owned());
    }
}

// REC-009, REC-011
#[tokio::test]
async fn raw_websocket_gets_what_its_cursor_has_missed_and_then_what_is_live() {
    let served = Served::start(&["serve"]).await;
    let first = served.publish("a", "one").await;
    for (topic, text) in [("a", "two"), ("b", "three"), ("c", "four"), ("a", "five")] {
        served.publish(topic, text).await;
    }
    let mut back = served.open(&format!("/t/a?topic=b&since={first}")).await;
    let mut all = served.open("/t/a?since=oldest").await;
    let mut fresh = served.open("/t/a").await;
    served.publish("a", "six").await;
    assert_eq!(up_to(&mut back, "six").await, ["two", "three", "five"]);
    assert_eq!(up_to(&mut all, "six").await, ["one", "two", "five"]);
    assert!(up_to(&mut fresh, "six").await.is_empty());
}

// REC-010
#[tokio::test]
async fn raw_websocket_is_closed_with_3010_where_its_cursor_can_not_be_served() {
    let scratch = Scratch::new("gap");
    let served = Served::configured(&scratch, "[[topic]]\nmatch = 'a'\nhistory = 1\n").await;
    let first = served.publish("a", "one").await;
    let second = served.publish("a", "two").await;
    served.publish("a", "three").await;
    let future = format!("{}-99", first.split('-').next().unwrap());
    for since in [first.as_str(), "otherlife-1", "nonsense", "", &future] {
        let mut late = served.open(&format!("/t/a?since={since}")).await;
        let frame = late.frame().await.unwrap();
        assert_eq!(frame.close_code(), Some(3010), "{since}: {frame:?}");
    }
    let mut late = served.open(&format!("/t/a?since={second}")).await;
    assert_eq!(late.frame().await.unwrap().text(), "three");
}

// REC-009, REC-010, REC-011
#[tokio::test]
async fn session_comes_back_on_another_transport_with_one_cursor_for_all_its_topics() {
    let served = Served::start(&["serve"]).await;
    served.publish("a", "one").await;
    let mut session = served.open_with("/t/a?topic=b&since=oldest", SPEAKS_JSON).await;
    assert_eq!(session.frame().await.unwrap().json()["type"], "welcome");
    let joined = session.frame().await.unwrap().json();
    assert_eq!((&joined["topics"], &joined["messages"]), (&json!(["a", "b"]), &json!(1)));
    assert_eq!(session.frame().await.unwrap().json()["data"], "one");
    let publish = json!({"type": "publish", "ref": 7, "topic": "b", "data": "two", "event": "e"});
    session.send(0x80 | TEXT, publish.to_string().as_bytes()).await;
    // What is published comes to its publisher too, before or behind the answer.
    let (one, other) = (session.frame().await.unwrap(), session.frame().await.unwrap());
    let is_answer = |frame: &crate::support::Frame| frame.json()["ref"] == 7;
    let (answer, message) = if is_answer(&one) { (one, other) } else { (other, one) };
    let (answer, message) = (answer.json(), message.json());
    assert_eq!((&answer["type"], &answer["id"]), (&json!("ok"), &message["id"]));
    assert_eq!((&message["data"], &message["event"]), (&json!("two"), &json!("e")));
    let cursor = message["id"].as_str().unwrap().to_owned();
    drop(session);

    served.publish("a", "three").await;
    served.publish("b", "four").await;
    let request =
        format!("GET /t/a?topic=b&since={cursor} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let poll = served.ask(&request).await;
    let body = poll.split("\r\n\r\n").nth(1).unwrap();
    let messages: serde_json::Value = serde_json::from_str(body).unwrap();
    let data: Vec<_> = messages.as_array().unwrap().iter().map(|one| &one["data"]).collect();
    assert_eq!(data, ["three", "four"]);
    let mut raw = served.open(&format!("/t/b?since={cursor}")).await;
    assert_eq!(raw.frame().await.unwrap().text(), "four");
}

// PUB-022
#[tokio::test]
async fn late_reader_gets_the_newest_and_is_told_and_delays_nobody() {
    let scratch = Scratch::new("late");
    let config = "[[topic]]\nmatch = 'old'\nslow = 'drop-oldest'\nhistory = 3\n\
                  [[topic]]\nmatch = 'new'\nslow = 'latest'\n";
    let served = Served::configured(&scratch, config).await;
    for topic in ["old", "new"] {
        let mut late = served.open_with(&format!("/t/{topic}"), SPEAKS_JSON).await;
        let mut late_raw = served.open(&format!("/t/{topic}")).await;
        let mut quick = served.open(&format!("/t/{topic}")).await;
        // More than the sockets in between hold.
        let count = 600;
        let filler = "x".repeat(40_000);
        for number in 0..count {
            quick.send(0x80 | TEXT, format!("{number} {filler}").as_bytes()).await;
            let echoed = quick.frame().await.unwrap();
            assert!(echoed.text().starts_with(&format!("{number} ")));
        }
        let numbers = read_late(&mut late, count).await;
        let gaps = numbers.iter().filter(|number| number.is_none()).count();
        assert_eq!(gaps, 1, "{topic}: {numbers:?}");
        // Behind the gap stands what the topic's rules leave.
        let told = numbers.iter().position(Option::is_none).unwrap();
        let left = if topic == "old" { 3 } else { 1 };
        let last: Vec<_> = (count - left..count).map(Some).collect();
        assert_eq!(numbers[told + 1..], last, "{topic}");
        let expected: Vec<_> = (0..told).map(Some).collect();
        assert_eq!(numbers[..told], expected, "{topic}: nothing is missing before the gap");

        let mut numbers = Vec::new();
        while numbers.last() != Some(&(count - 1)) {
            numbers.push(number(late_raw.frame().await.unwrap().text()));
        }
        assert!(numbers.len() < count && numbers.is_sorted(), "{topic}: {numbers:?}");
    }
}

fn number(text: &str) -> usize {
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Reads messages up to the last, as numbers; a gap is none.
async fn read_late(late: &mut Raw, count: usize) -> Vec<Option<usize>> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&Some(count - 1)) {
        let frame = late.frame().await.unwrap().json();
        match frame["type"].as_str().unwrap() {
            "message" => numbers.push(Some(number(frame["data"].as_str().unwrap()))),
            "gap" => numbers.push(None),
            _ => {}
        }
    }
    numbers
}

// PUB-022, LIM-006
#[tokio::test]
async fn reader_that_stalls_is_disconnected_and_the_others_go_on() {
    let served = Served::start(&["serve"]).await;
    let mut stalled = served.open("/t/a").await;
    let mut quick = served.open("/t/a").await;
    let filler = "x".repeat(60_000);
    for number in 0..600 {
        quick.send(0x80 | TEXT, format!("{number} {filler}").as_bytes()).await;
        assert!(quick.frame().await.unwrap().text().starts_with(&format!("{number} ")));
    }
    let mut next = 0;
    let ended = loop {
        let frame = stalled.frame().await.expect("it is told");
        if frame.opcode() != TEXT {
            break frame;
        }
        assert_eq!(number(frame.text()), next, "nothing is left out before the end");
        next += 1;
    };
    assert_eq!((ended.close_code(), &ended.payload[2..]), (Some(1008), &b"slow consumer"[..]));
}
