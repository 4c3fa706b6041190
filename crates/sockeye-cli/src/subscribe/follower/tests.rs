//! Conversations with a server that a test plays, frame by frame.

use super::*;
use crate::client::exit::Exit;
use crate::subscribe::refusal::Verdict;

fn follower(since: Option<&str>) -> Follower {
    let topics = vec!["a".to_owned(), "b".to_owned()];
    Follower::new(topics, Presence::Unseen, since.map(str::to_owned))
}

/// Takes a frame, and returns what is sent.
fn sent(follower: &mut Follower, frame: &Value) -> Value {
    let step = follower.receive(&frame.to_string()).unwrap();
    serde_json::from_str(&step.send.unwrap_or("null".into())).unwrap()
}

/// Takes a frame that is answered with nothing, and returns the ids that are told.
fn told(follower: &mut Follower, frame: &Value) -> Vec<String> {
    let step = follower.receive(&frame.to_string()).unwrap();
    assert_eq!(step.send, None);
    step.tell.iter().filter_map(id_told).collect()
}

fn id_told(told: &Told) -> Option<String> {
    match told {
        Told::Message(frame) => Some(field(frame, "id").to_owned()),
        Told::Gap(frame) => Some(format!("gap {}", field(frame, "topic"))),
        _ => None,
    }
}

fn welcome(id: &str) -> Value {
    json!({"type": "welcome", "id": id})
}

fn message(topic: &str, id: &str) -> Value {
    json!({"type": "message", "topic": topic, "id": id, "data": "x"})
}

fn answer(id: &str, gaps: u64, messages: u64) -> Value {
    json!({"type": "ok", "ref": 0, "topics": ["a", "b"], "id": id, "gaps": gaps, "messages": messages})
}

/// Connects once more, and returns where the follower goes on.
fn resumes_at(follower: &mut Follower) -> Value {
    follower.connected();
    sent(follower, &welcome("e-99"))["since"].clone()
}

#[test]
fn without_a_cursor_the_first_subscription_begins_now_and_later_ones_where_that_was() {
    let mut follower = follower(None);
    let first = sent(&mut follower, &welcome("e-4"));
    assert_eq!(first, json!({"type": "subscribe", "ref": 0, "topics": ["a", "b"]}));
    // The answer is lost; what comes in the meantime must not be.
    assert_eq!(resumes_at(&mut follower), json!("e-4"));
    told(&mut follower, &answer("e-7", 0, 0));
    assert_eq!(resumes_at(&mut follower), json!("e-7"));
}

#[test]
fn live_messages_set_the_cursor() {
    let mut follower = follower(Some("e-1"));
    assert_eq!(sent(&mut follower, &welcome("e-4"))["since"], json!("e-1"));
    told(&mut follower, &answer("e-4", 0, 0));
    assert_eq!(told(&mut follower, &message("a", "e-9")), ["e-9"]);
    let gap = json!({"type": "gap", "topic": "a", "after": 9, "before": 12, "reason": "slow"});
    assert_eq!(told(&mut follower, &gap), ["gap a"]);
    assert_eq!(resumes_at(&mut follower), json!("e-9"));
}

#[test]
fn a_burst_has_a_cursor_of_its_own_until_its_last_message() {
    let lost_after = |frames: usize| {
        let mut follower = follower(Some("old-1"));
        sent(&mut follower, &welcome("e-40"));
        let gap = json!({"type": "gap", "topic": "b", "after": 0, "before": 2, "reason": "epoch"});
        let burst = [answer("e-40", 1, 2), gap, message("a", "e-2"), message("b", "e-30")];
        for frame in burst.iter().take(frames) {
            told(&mut follower, frame);
        }
        resumes_at(&mut follower)
    };
    let cursors: Vec<Value> = (0..=4).map(lost_after).collect();
    assert_eq!(cursors, ["old-1", "old-1", "old-1", "e-2", "e-40"]);
}

#[test]
fn history_is_read_in_pages_told_in_order_and_followed_without_a_seam() {
    let mut follower = follower(None).with_history(301);
    let ask = sent(&mut follower, &welcome("e-900"));
    let expected = json!({
        "type": "history", "ref": 0, "topic": "a", "limit": 300, "reverse": true,
    });
    assert_eq!(ask, expected);
    // The newest is behind the welcome: the subscription brings it.
    let mut page: Vec<Value> = (602..=900).rev().map(|n| message("a", &format!("e-{n}"))).collect();
    page.insert(0, message("a", "e-902"));
    let ask = sent(&mut follower, &json!({"type": "ok", "messages": page, "next": "e-602"}));
    assert_eq!((&ask["since"], &ask["limit"]), (&json!("e-602"), &json!(1)));
    let ask = sent(
        &mut follower,
        &json!({"type": "ok", "messages": [message("a", "e-601")], "next": "e-601"}),
    );
    assert_eq!((&ask["topic"], &ask["since"]), (&json!("b"), &Value::Null));
    let last = json!({"type": "ok", "messages": [message("b", "e-899.5"), message("b", "e-7")], "next": null});
    let step = follower.receive(&last.to_string()).unwrap();
    let command: Value = serde_json::from_str(&step.send.unwrap()).unwrap();
    assert_eq!((&command["type"], &command["since"]), (&json!("subscribe"), &json!("e-900")));
    let ids: Vec<String> = step.tell.iter().filter_map(id_told).collect();
    assert!(ids.iter().map(String::as_str).is_sorted_by_key(|id| id[2..].parse::<u64>().ok()));
    assert_eq!((ids.len(), ids.contains(&"e-902".to_owned())), (302, false));
    // It is not read again.
    assert_eq!(resumes_at(&mut follower), json!("e-900"));
}

#[test]
fn history_that_was_cut_off_is_read_from_its_beginning() {
    let mut follower = follower(None).with_history(2);
    sent(&mut follower, &welcome("e-9"));
    sent(&mut follower, &json!({"type": "ok", "messages": [message("a", "e-9")], "next": null}));
    follower.connected();
    let ask = sent(&mut follower, &welcome("e-10"));
    assert_eq!((&ask["type"], &ask["topic"]), (&json!("history"), &json!("a")));
}

#[test]
fn a_refused_topic_is_a_refusal_and_a_server_that_cannot_for_now_is_come_back_to() {
    for (code, verdict) in [
        ("permission_denied", Verdict::Stop(Exit::Failure)),
        ("internal", Verdict::Again(None)),
        ("token_expired", Verdict::Unauthorized),
    ] {
        let refused = json!({"topic": "b", "code": code, "message": "no"});
        let partly = json!({"type": "ok", "id": "e-1", "topics": ["a"], "refused": [refused]});
        let wholly = json!({"type": "error", "ref": 0, "code": code, "message": "no"});
        for frame in [partly, wholly] {
            let mut follower = follower(None);
            sent(&mut follower, &welcome("e-1"));
            let refusal = follower.receive(&frame.to_string()).unwrap_err();
            assert_eq!(refusal.verdict, verdict);
            assert!(refusal.text().contains(code), "{refusal:?}");
        }
    }
}

#[test]
fn what_later_versions_may_say_is_passed_over() {
    let mut follower = follower(None);
    assert_eq!(told(&mut follower, &json!({"type": "weather", "id": "e-77"})), [""; 0]);
    let more = json!({"type": "welcome", "id": "e-1", "more": {"of": "it"}});
    assert_eq!(sent(&mut follower, &more)["type"], json!("subscribe"));
    assert_eq!(
        told(&mut follower, &json!({"type": "ok", "ref": 0, "id": "e-2", "new": 1})),
        [""; 0]
    );
    assert_eq!(told(&mut follower, &json!({"no": "type"})), [""; 0]);
    assert_eq!(resumes_at(&mut follower), json!("e-2"));
}

#[test]
fn what_is_no_frame_is_a_refusal() {
    for text in ["", "hello", "{\"type\":\"welcome\"}"] {
        assert!(follower(None).receive(text).is_err(), "{text}");
    }
}
