//! What is no command, and too many of them.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use sockeye_hub::Rules;

use crate::auth::Auth;
use crate::protocol::testing::{Server, all};
use crate::protocol::{Excess, Rate, Settings};

/// Sends a text to a new connection, and after it a ping, which shows that the connection stays.
fn answer(text: &str) -> Value {
    let mut server = Server::open(Rules::default());
    let (mut peer, now) = (server.peer(all()), server.start);
    peer.session.receive(text, now, &mut peer.wire);
    let mut frames = peer.read();
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(peer.ask(&json!({"type": "ping"}), now), json!({"type": "ok"}));
    frames.remove(0)
}

fn code(text: &str) -> String {
    let answer = answer(text);
    assert_eq!(answer["type"], "error", "{answer}");
    answer["code"].as_str().unwrap().to_owned()
}

// RES-014
#[test]
fn json_that_is_deep_or_huge_or_twofold_is_a_bad_request_and_the_connection_stays() {
    let within = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"type":"ping","x":{open}1{close}}}"#)
    };
    assert_eq!(answer(&within(64)), json!({"type": "ok"}));
    for text in [
        within(65),
        within(100_000),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(100_000),
        r#"{"type":"ping","type":"ping"}"#.to_owned(),
        r#"{"type":"ping","x":{"a":1,"\u0061":1}}"#.to_owned(),
        r#"{"type":"ping","x":1e999}"#.to_owned(),
    ] {
        assert_eq!(code(&text), "bad_request");
    }
    let huge = format!(r#"{{"type":"ping","x":{}}}"#, "9".repeat(1_000));
    assert_eq!(code(&huge), "bad_request");
    let long = format!(r#"{{"type":"ping","{}":1}}"#, "k".repeat(1 << 20));
    assert_eq!(answer(&long), json!({"type": "ok"}), "members that are not known are passed over");
}

// PUB-020
#[test]
fn frame_that_is_no_command_is_a_bad_request() {
    for text in [
        "",
        "hello",
        "{",
        "{} {}",
        "null",
        "1",
        "\"ping\"",
        "[]",
        r#"[{"type":"ping"}]"#,
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"publish","topic":"a"}"#,
        r#"{"type":"publish","data":"x"}"#,
        r#"{"type":"publish","topic":"a","data":{"x":1}}"#,
        r#"{"type":"publish","topic":"a","data":1}"#,
        r#"{"type":"publish","topic":"a","data":"x","base64":"eA=="}"#,
        r#"{"type":"publish","topic":"a","base64":"eA"}"#,
        r#"{"type":"publish","topic":"a","data":"x","if_version":"7"}"#,
        r#"{"type":"publish","topic":"a","data":"x","event":""}"#,
        r#"{"type":"publish","topic":"a","data":"x","event":"join"}"#,
        r#"{"type":"publish","topic":"a","data":"x","event":"gap"}"#,
        r#"{"type":"publish","topic":"a","data":"x","event":"binary.x"}"#,
        r#"{"type":"publish","topic":"a","data":"x","event":"leave"}"#,
        r#"{"type":"publish","topic":["a"],"data":"x"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","topics":[]}"#,
        r#"{"type":"subscribe","topics":"a"}"#,
        r#"{"type":"subscribe","topics":[1]}"#,
        r#"{"type":"subscribe","topics":["a"],"since":7}"#,
        r#"{"type":"subscribe","topics":["a"],"presence":1}"#,
        r#"{"type":"history","topic":"a","limit":0}"#,
        r#"{"type":"history","topic":"a","limit":-1}"#,
        r#"{"type":"history","topic":"a","reverse":"yes"}"#,
        r#"{"type":"presence","topic":"a","after":7}"#,
        r#"{"type":"refresh"}"#,
    ] {
        assert_eq!(code(text), "bad_request", "{text}");
    }
    assert_eq!(code(r#"{"type":"Ping"}"#), "unknown_command");
}

#[test]
fn binary_frame_is_a_bad_request_and_the_connection_stays() {
    let mut server = Server::open(Rules::default());
    let (mut peer, now) = (server.peer(all()), server.start);
    peer.session.receive_binary(now, &mut peer.wire);
    assert_eq!(peer.read()[0]["code"], "bad_request");
    assert_eq!(peer.wire.closed, None);
}

#[test]
fn reference_is_repeated_and_one_that_is_none_is_a_bad_request() {
    let longest = "x".repeat(64);
    for reference in [json!(0), json!(9_007_199_254_740_991_u64), json!(""), json!(longest)] {
        let ping = json!({"type": "ping", "ref": reference});
        assert_eq!(answer(&ping.to_string()), json!({"type": "ok", "ref": reference}));
        let wrong = json!({"type": "ponder", "ref": reference});
        assert_eq!(answer(&wrong.to_string())["ref"], reference);
    }
    let over = "x".repeat(65);
    for reference in
        [json!(-1), json!(1.5), json!(9_007_199_254_740_992_u64), json!([1]), json!(over)]
    {
        let refused = answer(&json!({"type": "ping", "ref": reference}).to_string());
        assert_eq!((&refused["code"], refused.get("ref")), (&json!("bad_request"), None));
    }
}

fn limited(excess: Excess) -> Server {
    let rate = Some(Rate { per_second: 10, burst: 3, excess });
    Server::new(
        Auth::Anonymous(Arc::new(all())),
        Rules::default(),
        Settings { rate, ..Settings::default() },
    )
}

// LIM-013
#[test]
fn commands_beyond_the_rate_close_with_1008_or_are_refused_and_told_once() {
    let ping = json!({"type": "ping", "ref": 1});
    let mut server = limited(Excess::Close);
    let (mut peer, now) = (server.peer(all()), server.start);
    for _ in 0..3 {
        assert_eq!(peer.ask(&ping, now)["type"], "ok");
    }
    assert_eq!(peer.say(&ping, now), [Value::Null; 0]);
    assert_eq!((peer.wire.closed, peer.wire.exceeded), (Some(1008), 1));
    assert_eq!(peer.say(&ping, server.at(Duration::from_secs(9))), [Value::Null; 0]);

    let mut server = limited(Excess::Refuse);
    let (mut peer, now) = (server.peer(all()), server.start);
    let answers: Vec<Value> = (0..6).map(|_| peer.ask(&ping, now)["type"].clone()).collect();
    assert_eq!(answers, ["ok", "ok", "ok", "error", "error", "error"]);
    let publish = json!({"type": "publish", "topic": "a", "data": "x", "ref": 2});
    let refused = peer.ask(&publish, now);
    assert_eq!((&refused["code"], &refused["ref"]), (&json!("limit_exceeded"), &json!(2)));
    assert_eq!(server.service.hub.stats().cursor.seq, 0, "it is not carried out");
    let later = server.at(Duration::from_millis(100));
    assert_eq!(peer.ask(&ping, later)["type"], "ok");
    assert_eq!((peer.wire.closed, peer.wire.exceeded), (None, 1));
}

/// Frames that are nearly commands.
fn frame() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "subscribe",
        "unsubscribe",
        "publish",
        "history",
        "presence",
        "refresh",
        "ping",
        "x",
    ]);
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(["a", "b"])),
        Just(json!(["a\n"])),
        Just(json!("oldest")),
        Just(json!("z-0")),
        any::<u64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        "[a-c]".prop_map(|text| json!(text)),
    ];
    let member = prop::sample::select(vec![
        "topic",
        "topics",
        "data",
        "base64",
        "since",
        "limit",
        "reverse",
        "presence",
        "token",
        "event",
        "key",
        "if_version",
        "after",
    ]);
    let members = prop::collection::vec((member, value), 0..6);
    (kind, members).prop_map(|(kind, members)| {
        let mut frame = json!({"type": kind});
        for (name, value) in members {
            frame[name] = value;
        }
        frame.to_string()
    })
}

proptest! {
    #[test]
    fn every_text_gets_one_answer(texts in prop::collection::vec(any::<String>(), 1..4)) {
        texts.iter().for_each(|text| drop(answer(text)));
    }

    #[test]
    fn every_command_gets_one_answer_with_its_reference(
        frames in prop::collection::vec((frame(), any::<bool>()), 1..20),
    ) {
        let mut server = Server::open(Rules::default());
        let (mut peer, now) = (server.peer(all()), server.start);
        for (at, (frame, waits)) in frames.iter().enumerate() {
            let mut frame: Value = serde_json::from_str(frame).unwrap();
            frame["ref"] = json!(at);
            if *waits { server.turn([&mut peer], now); }
            let is_answer = |frame: &&Value| frame["type"] == "ok" || frame["type"] == "error";
            peer.session.receive(&frame.to_string(), now, &mut peer.wire);
            while let Some((number, _)) = peer.wire.asked.pop_front() {
                let verdict = crate::protocol::Verdict::Admitted(Ok(Arc::new(all())));
                peer.session.answered(number, verdict, now, &mut peer.wire);
            }
            let read = peer.read();
            let answers: Vec<&Value> = read.iter().filter(is_answer).collect();
            prop_assert_eq!(answers.len(), 1, "{:?}", read);
            prop_assert_eq!(&answers[0]["ref"], &json!(at));
        }
    }
}
