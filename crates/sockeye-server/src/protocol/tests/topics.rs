//! Subscribing, unsubscribing, coming back, reading too slowly.

use serde_json::{Value, json};
use sockeye_hub::{HistoryRules, Rules, Slow, TopicRules};

use crate::protocol::testing::{Peer, Server, all};

fn keeping(messages: usize, slow: Slow) -> Rules {
    let mut history = HistoryRules::default();
    (history.messages, history.bytes) = (messages, 10 << 20);
    let mut rules = TopicRules::default();
    (rules.history, rules.slow) = (history, slow);
    Rules::all(rules)
}

fn subscribe(topics: &[&str], since: &str) -> Value {
    json!({"type": "subscribe", "topics": topics, "since": since})
}

/// What came, in a few letters each.
fn brief(frames: &[Value]) -> Vec<String> {
    let brief = frames.iter().map(|frame| match frame["type"].as_str().unwrap() {
        "message" => frame["id"].as_str().unwrap().to_owned(),
        "gap" => format!(
            "{} {}..{} {}",
            frame["topic"].as_str().unwrap(),
            frame["after"],
            frame["before"],
            frame["reason"].as_str().unwrap()
        ),
        "ok" => format!("ok {} {} {}", frame["id"], frame["gaps"], frame["messages"]),
        other => other.to_owned(),
    });
    brief.collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("t{at:03}")).collect()
}

#[test]
fn welcome_comes_first_and_says_where_the_client_stands() {
    let mut server = Server::open(Rules::default());
    server.publish("a", "x");
    let welcome = server.connect(all(), server.start).read();
    let expected = json!({"type": "welcome", "id": "z-1", "client": "c1", "ping": 25,
        "limits": {"topics": 128, "waiting": 16, "message": 65_536}});
    assert_eq!(welcome, [expected]);
}

// REC-009, REC-011
#[test]
fn what_was_missed_comes_after_the_answer_and_before_what_is_live() {
    let mut server = Server::open(keeping(10, Slow::Disconnect));
    let (mut peer, now) = (server.peer(all()), server.start);
    server.publish_to(&["a", "b", "c", "a"], "x");
    let mut frames = peer.say(&subscribe(&["a", "b"], "z-1"), now);
    server.publish("b", "x");
    server.turn([&mut peer], now);
    frames.extend(peer.read());
    assert_eq!(brief(&frames), [r#"ok "z-4" 0 2"#, "z-2", "z-4", "z-5"]);
}

// REC-010
#[test]
fn cursor_that_is_of_no_use_is_answered_with_a_gap_in_each_topic() {
    for (cursor, expected) in [
        ("z-1", "a 1..4 evicted"),
        ("y-2", "a 0..4 epoch"),
        ("z-99", "a 0..7 future"),
        ("no id", "a 0..7 unreadable"),
    ] {
        let mut server = Server::open(keeping(1, Slow::Disconnect));
        server.publish_to(&["a", "a", "a", "a", "b", "b"], "x");
        let mut peer = server.peer(all());
        let frames = brief(&peer.say(&subscribe(&["a", "b"], cursor), server.start));
        assert_eq!(frames[1], expected);
        assert!(frames[2].starts_with("b ") && frames.len() >= 3, "{frames:?}");
    }
}

/// Live messages that are on their way when a topic is added come first: the answer's cursor
/// would pass over them otherwise.
#[test]
fn adding_a_topic_gives_what_is_on_its_way_before_the_answer() {
    let mut server = Server::open(keeping(10, Slow::Disconnect));
    let (mut peer, now) = (server.peer(all()), server.start);
    peer.ask(&subscribe(&["a"], "z-0"), now);
    server.publish_to(&["b", "a", "b", "a"], "x");
    let frames = peer.say(&subscribe(&["b"], "z-0"), now);
    assert_eq!(brief(&frames), ["z-2", "z-4", r#"ok "z-4" 0 2"#, "z-1", "z-3"]);
    server.publish("b", "x");
    server.turn([&mut peer], now);
    assert_eq!(brief(&peer.read()), ["z-5"], "and they do not come again");
}

// PUB-024
#[test]
fn nothing_comes_of_a_topic_once_unsubscribing_is_answered() {
    let mut server = Server::open(keeping(10, Slow::Disconnect));
    let (mut peer, now) = (server.peer(all()), server.start);
    peer.ask(&subscribe(&["a", "b"], "z-0"), now);
    server.publish("a", "on its way");
    let unsubscribe = json!({"type": "unsubscribe", "topics": ["a", "x"]});
    let left = peer.ask(&unsubscribe, now);
    assert_eq!(
        (&left["topics"], &left["refused"][0]["code"]),
        (&json!(["a"]), &json!("not_subscribed"))
    );
    server.publish("a", "x");
    server.turn([&mut peer], now);
    assert_eq!(peer.read(), [Value::Null; 0]);
    assert_eq!(peer.ask(&unsubscribe, now)["code"], "not_subscribed");
    let again = peer.say(&json!({"type": "subscribe", "topics": ["a"]}), now);
    assert_eq!(brief(&again), [r#"ok "z-2" 0 0"#], "without a cursor only what comes from now on");
}

// LIM-019
#[test]
fn subscription_beyond_128_and_names_that_are_none_are_refused_and_the_connection_stays() {
    let mut server = Server::open(Rules::default());
    let (mut peer, now) = (server.peer(all()), server.start);
    let many = |names: &[String]| json!({"type": "subscribe", "topics": names});
    let all_names = names(129);
    assert_eq!(peer.ask(&many(&all_names), now)["code"], "limit_exceeded");
    let leave = json!({"type": "unsubscribe", "topics": all_names});
    assert_eq!(peer.ask(&leave, now)["code"], "limit_exceeded");
    let full = peer.ask(&many(&all_names[..128]), now);
    assert_eq!(full["topics"].as_array().unwrap().len(), 128);
    let beyond = peer.ask(&many(&all_names[128..]), now);
    assert_eq!((&beyond["type"], &beyond["code"]), (&json!("error"), &json!("limit_exceeded")));
    peer.ask(&json!({"type": "unsubscribe", "topics": ["t000"]}), now);
    assert_eq!(peer.ask(&many(&all_names[128..]), now)["type"], "ok");
    peer.ask(&json!({"type": "unsubscribe", "topics": ["t001"]}), now);
    assert_eq!(peer.ask(&many(&["x".repeat(255)]), now)["type"], "ok");
    for name in ["x".repeat(256), "é".repeat(128), "a\u{85}b".to_owned(), " a".to_owned()] {
        assert_eq!(peer.ask(&many(&[name]), now)["code"], "bad_request");
    }
    assert_eq!(peer.wire.closed, None);
}

// PUB-017
#[test]
fn name_that_would_mean_something_elsewhere_is_a_bad_request() {
    let mut server = Server::open(Rules::default());
    let (mut peer, now) = (server.peer(all()), server.start);
    let long = "x".repeat(256);
    for name in ["", "a\nb", "a\r\nPUB x", "a\0b", "a*", "chat:*", "a.>", "a/../b", &long] {
        for command in [
            json!({"type": "publish", "topic": name, "data": "x"}),
            json!({"type": "subscribe", "topics": ["a", name]}),
            json!({"type": "unsubscribe", "topics": [name]}),
            json!({"type": "history", "topic": name}),
            json!({"type": "presence", "topic": name}),
        ] {
            assert_eq!(peer.ask(&command, now)["code"], "bad_request", "{command}");
        }
    }
    let surrogate = r#"{"type":"publish","topic":"\ud800","data":"x"}"#;
    peer.session.receive(surrogate, now, &mut peer.wire);
    assert_eq!(peer.read()[0]["code"], "bad_request");
    let stats = server.service.hub.stats();
    assert_eq!((stats.cursor.seq, stats.topics), (0, 0));
}

#[test]
fn topic_that_is_subscribed_already_is_refused_and_goes_on() {
    let mut server = Server::open(keeping(10, Slow::Disconnect));
    let (mut peer, now) = (server.peer(all()), server.start);
    peer.ask(&subscribe(&["a", "a"], "z-0"), now);
    assert_eq!(peer.ask(&subscribe(&["a"], "z-0"), now)["code"], "already_subscribed");
    server.publish("a", "x");
    server.turn([&mut peer], now);
    assert_eq!(brief(&peer.read()), ["z-1"]);
    peer.session.end(now, &mut peer.wire);
    peer.session.end(now, &mut peer.wire);
    assert_eq!(server.service.hub.info(&"a".parse().unwrap(), Default::default()).subscribers, 0);
}

#[test]
fn presence_where_there_is_none_is_told_and_the_subscription_stands() {
    let mut server = Server::open(Rules::default());
    let mut peer = server.peer(all());
    let command = json!({"type": "subscribe", "topics": ["a"], "presence": true});
    let answer = peer.ask(&command, server.start);
    assert_eq!(
        (&answer["topics"], &answer["absent"][0]["code"]),
        (&json!(["a"]), &json!("presence_off"))
    );
}

#[test]
fn more_than_a_burst_of_missed_messages_is_told_as_a_gap_and_can_be_read_in_pages() {
    let mut server = Server::open(keeping(100, Slow::Disconnect));
    let (mut peer, now) = (server.peer(all()), server.start);
    server.publish_to(&["a"; 20], &"x".repeat(60_000));
    let frames = peer.say(&subscribe(&["a"], "oldest"), now);
    assert_eq!(brief(&frames)[..3], [r#"ok "z-20" 1 8"#, "a 0..13 slow", "z-13"]);
    assert_eq!(frames[1]["dropped"], 12);
    let page = json!({"type": "history", "topic": "a", "since": "z-0", "limit": 12});
    assert_eq!(peer.ask(&page, now)["next"], "z-8");
}

/// A subscriber of a topic that has read its answer, and from then on reads nothing.
fn slow(server: &mut Server) -> Peer {
    let mut peer = server.peer(all());
    peer.ask(&subscribe(&["a", "b"], "z-0"), server.start);
    peer.wire.high = 2;
    peer
}

#[test]
fn slow_reader_is_closed_with_1008_and_the_others_go_on() {
    let mut server = Server::open(keeping(10, Slow::Disconnect));
    let now = server.start;
    let (mut slow, mut quick) = (slow(&mut server), server.peer(all()));
    quick.ask(&subscribe(&["a"], "z-0"), now);
    server.publish_to(&["a"; 3], "x");
    server.turn([&mut slow, &mut quick], now);
    assert_eq!((slow.wire.closed, brief(&slow.read()).len()), (Some(1008), 2));
    assert_eq!((quick.wire.closed, brief(&quick.read()).len()), (None, 3));
    assert_eq!(server.service.hub.info(&"a".parse().unwrap(), Default::default()).subscribers, 1);
}

#[test]
fn slow_reader_gets_what_is_left_and_is_told_what_is_not() {
    for (slow_rule, kept, expected) in [
        (Slow::DropOldest, 10, vec!["z-3", "z-4", "z-5"]),
        (Slow::DropOldest, 1, vec!["a 2..4 evicted", "z-4", "z-5"]),
        (Slow::Latest, 10, vec!["a 2..4 slow", "z-4", "z-5"]),
    ] {
        let mut server = Server::open(keeping(kept, slow_rule));
        let (mut peer, now) = (slow(&mut server), server.start);
        server.publish_to(&["a", "b", "a", "a"], "x");
        server.turn([&mut peer], now);
        assert_eq!(brief(&peer.read()), ["z-1", "z-2"]);
        assert!(peer.session.is_behind());
        server.publish("b", "held back too, though there is room");
        server.turn([&mut peer], now);
        assert_eq!(peer.read(), [Value::Null; 0]);
        peer.session.resume(now, &mut peer.wire);
        assert_eq!(brief(&peer.read()), expected, "{slow_rule:?}");
        assert!(!peer.session.is_behind());
        server.publish("a", "x");
        server.turn([&mut peer], now);
        assert_eq!(brief(&peer.read()), ["z-6"]);
    }
}

#[test]
fn slow_reader_that_adds_a_topic_gets_what_was_held_back_first() {
    let mut server = Server::open(keeping(10, Slow::DropOldest));
    let (mut peer, now) = (slow(&mut server), server.start);
    server.publish_to(&["c", "a", "b", "a"], "x");
    server.turn([&mut peer], now);
    peer.read();
    let frames = peer.say(&subscribe(&["c"], "z-0"), now);
    assert_eq!(brief(&frames), ["z-4", r#"ok "z-4" 0 1"#, "z-1"]);
}
