//! Publishing, histories, members, and what waits for a back end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sockeye_hub::{HistoryRules, Presence, Rules, TopicRules};

use crate::auth::webhook::{Event, Webhook, WebhookRules};
use crate::auth::{Auth, Denied, Secret, Unavailable};
use crate::fetch::tests::fetcher;
use crate::protocol::testing::{Peer, Server, all};
use crate::protocol::{Question, Settings, Verdict};

fn keeping(messages: usize) -> Rules {
    let mut history = HistoryRules::default();
    (history.messages, history.bytes) = (messages, 10 << 20);
    let mut rules = TopicRules::default();
    (rules.history, rules.presence) = (history, Presence::Announced);
    Rules::all(rules)
}

fn publish(topic: &str, data: &str) -> Value {
    json!({"type": "publish", "topic": topic, "data": data})
}

/// A server whose back end is asked about every act; the tests answer for it.
fn asking() -> (Server, Peer) {
    let endpoint = crate::fetch::Endpoint::parse("http://127.0.0.1:1/").unwrap();
    let mut rules = WebhookRules::new(endpoint, Secret::new(&[7; 32]).unwrap());
    rules.events = vec![Event::Subscribe, Event::Publish];
    let auth = Auth::Webhook(Webhook::new(fetcher(), rules));
    let mut server = Server::new(auth, keeping(10), Settings::default());
    let peer = server.peer(Default::default());
    (server, peer)
}

#[test]
fn what_one_publishes_all_get_and_it_too_after_the_answer() {
    let mut server = Server::open(keeping(10));
    let (mut a, mut b, now) = (server.peer(all()), server.peer(all()), server.start);
    let subscribe = json!({"type": "subscribe", "topics": ["chat"]});
    a.ask(&subscribe, now);
    b.ask(&subscribe, now);
    let text = json!({"type": "publish", "topic": "chat", "data": "hi", "event": "say"});
    assert_eq!(a.ask(&text, now), json!({"type": "ok", "id": "z-1"}));
    a.ask(&json!({"type": "publish", "topic": "chat", "base64": "AAH/"}), now);
    server.turn([&mut a, &mut b], now);
    let time = 1_000_000_000;
    let expected = [
        json!({"type": "message", "topic": "chat", "id": "z-1", "time": time, "event": "say", "data": "hi"}),
        json!({"type": "message", "topic": "chat", "id": "z-2", "time": time, "base64": "AAH/"}),
    ];
    assert_eq!((a.read(), b.read()), (expected.to_vec(), expected.to_vec()));
}

#[test]
fn publication_is_repeated_by_its_key_and_refused_by_its_version() {
    let mut server = Server::open(keeping(10));
    let (mut peer, now) = (server.peer(all()), server.start);
    let keyed = json!({"type": "publish", "topic": "a", "data": "x", "key": "k"});
    assert_eq!(peer.ask(&keyed, now), json!({"type": "ok", "id": "z-1"}));
    assert_eq!(peer.ask(&keyed, now), json!({"type": "ok", "id": "z-1", "repeat": true}));
    let next = json!({"type": "publish", "topic": "a", "data": "x", "if_version": "z-1"});
    assert_eq!(peer.ask(&next, now)["id"], "z-2");
    let late = peer.ask(&next, now);
    assert_eq!((&late["code"], &late["last"]), (&json!("version_conflict"), &json!("z-2")));
    let long = peer.ask(&publish("a", &"x".repeat(65_537)), now);
    assert_eq!(long["code"], "limit_exceeded");
    assert_eq!(server.service.hub.stats().cursor.seq, 2);
}

#[test]
fn history_comes_in_pages_of_at_most_300_and_of_the_bytes_of_a_burst() {
    let mut server = Server::open(keeping(10_000));
    let (mut peer, now) = (server.peer(all()), server.start);
    server.publish_to(&["a"; 1_000], "x");
    for (reverse, first) in [(false, "z-1"), (true, "z-1000")] {
        let mut history = json!({"type": "history", "topic": "a", "reverse": reverse});
        let (mut sizes, mut ids) = (Vec::new(), Vec::new());
        loop {
            let page = peer.ask(&history, now);
            let messages = page["messages"].as_array().unwrap();
            sizes.push(messages.len());
            ids.extend(messages.iter().map(|message| message["id"].clone()));
            let Some(next) = page.get("next") else { break };
            history["since"] = next.clone();
        }
        assert_eq!((sizes, &ids[0]), (vec![300, 300, 300, 100], &json!(first)));
        ids.sort_by_key(ToString::to_string);
        ids.dedup();
        assert_eq!(ids.len(), 1_000);
    }
    let few = json!({"type": "history", "topic": "a", "since": "z-9", "limit": 2});
    assert_eq!(peer.ask(&few, now)["next"], "z-11");
    server.publish_to(&["b"; 20], &"x".repeat(60_000));
    let long = peer.ask(&json!({"type": "history", "topic": "b"}), now);
    assert_eq!((long["messages"].as_array().unwrap().len(), &long["next"]), (8, &json!("z-1008")));
    let old = json!({"type": "history", "topic": "a", "since": "y-1"});
    assert_eq!(peer.ask(&old, now)["gap"]["reason"], "epoch");
}

#[test]
fn members_are_listed_page_by_page_with_what_they_tell_of_themselves() {
    let mut server = Server::open(keeping(10));
    let now = server.start;
    let enter = json!({"type": "subscribe", "topics": ["a"], "presence": true});
    let mut peers: Vec<Peer> = (0..3)
        .map(|at| {
            let mut grant = all();
            grant.info = (at > 0).then(|| json!({"at": at}));
            let mut peer = server.peer(grant);
            peer.ask(&enter, now);
            peer
        })
        .collect();
    server.turn(&mut peers, now);
    let joined = peers[0].read();
    let told: Vec<_> = joined.iter().map(|join| (&join["event"], &join["data"])).collect();
    let (own, second) = (json!(r#"{"client":"c1"}"#), json!(r#"{"client":"c2","info":{"at":1}}"#));
    assert_eq!(told[..2], [(&json!("join"), &own), (&json!("join"), &second)]);
    peers.iter_mut().for_each(|peer| drop(peer.read()));
    let list = json!({"type": "presence", "topic": "a", "limit": 2});
    let page = peers[0].ask(&list, now);
    let members = json!([{"client": "c1"}, {"client": "c2", "info": {"at": 1}}]);
    assert_eq!(
        (&page["members"], &page["total"], &page["next"]),
        (&members, &json!(3), &json!("c2"))
    );
    let rest = json!({"type": "presence", "topic": "a", "after": "c2"});
    let page = peers[0].ask(&rest, now);
    assert_eq!(page["members"], json!([{"client": "c3", "info": {"at": 2}}]));
    assert_eq!(page.get("next"), None);
    peers.iter_mut().for_each(|peer| peer.session.end(now, &mut peer.wire));
    server.service.hub.handle_timeout(Duration::from_secs(1_000_002));
    assert_eq!(server.service.hub.members(&"a".parse().unwrap(), None, 9).total, 0);
}

#[test]
fn commands_that_wait_are_carried_out_in_order_and_others_go_before() {
    let (server, mut peer) = asking();
    let now = server.start;
    for (topic, reference) in [("a", 1), ("b", 2)] {
        let mut command = publish(topic, "x");
        command["ref"] = json!(reference);
        assert_eq!(peer.say(&command, now), [Value::Null; 0]);
    }
    assert_eq!(peer.ask(&json!({"type": "ping"}), now)["type"], "ok");
    let asked: Vec<_> = peer.wire.asked.drain(..).collect();
    let Question::Permit { topics, .. } = &asked[1].1 else { panic!("{asked:?}") };
    assert_eq!(topics, &["b".parse().unwrap()]);
    let mut answer = |at: usize, result| {
        let verdict = Verdict::Permitted(vec![result]);
        peer.session.answered(asked[at].0, verdict, now, &mut peer.wire);
        peer.read()
    };
    assert_eq!(answer(1, Ok(())), [Value::Null; 0], "the first one still waits");
    let both = answer(0, Err(Denied::Forbidden));
    assert_eq!((&both[0]["ref"], &both[0]["code"]), (&json!(1), &json!("permission_denied")));
    assert_eq!((&both[1]["ref"], &both[1]["id"]), (&json!(2), &json!("z-1")));
    assert_eq!(answer(0, Ok(())), [Value::Null; 0], "an answer counts once");
}

#[test]
fn only_so_many_commands_wait() {
    let (server, mut peer) = asking();
    let now = server.start;
    for _ in 0..16 {
        assert_eq!(peer.say(&publish("a", "x"), now), [Value::Null; 0]);
    }
    assert_eq!(peer.ask(&publish("a", "x"), now)["code"], "limit_exceeded");
    assert_eq!(peer.wire.asked.len(), 16);
}

#[test]
fn subscription_that_waits_can_be_cancelled() {
    let (mut server, mut peer) = asking();
    let now = server.start;
    peer.say(&json!({"type": "subscribe", "topics": ["a", "b"], "ref": 1}), now);
    let left = peer.ask(&json!({"type": "unsubscribe", "topics": ["a"]}), now);
    assert_eq!(left["topics"], json!(["a"]));
    let (number, _) = peer.wire.asked.remove(0).unwrap();
    let verdict = Verdict::Permitted(vec![Ok(()), Ok(())]);
    peer.session.answered(number, verdict, now, &mut peer.wire);
    let answer = peer.read().remove(0);
    assert_eq!(
        (&answer["topics"], &answer["refused"][0]["code"]),
        (&json!(["b"]), &json!("cancelled"))
    );
    server.publish("a", "x");
    server.turn([&mut peer], now);
    assert_eq!(peer.read(), [Value::Null; 0]);
    let mut other = server.peer(Default::default());
    other.say(&json!({"type": "subscribe", "topics": ["a"]}), now);
    other.session.end(now, &mut other.wire);
    let verdict = Verdict::Permitted(vec![Ok(())]);
    other.session.answered(1, verdict, now, &mut other.wire);
    assert_eq!(other.read(), [Value::Null; 0], "who has gone subscribes to nothing");
}

#[test]
fn what_a_back_end_can_not_decide_is_refused_for_now() {
    let (server, mut peer) = asking();
    let now = server.start;
    let unknown = Denied::Unavailable(Unavailable::Answer("/etc/secret"));
    for verdict in [
        Verdict::Permitted(vec![Err(unknown)]),
        Verdict::Permitted(vec![]),
        Verdict::Admitted(Ok(Arc::new(all()))),
    ] {
        peer.say(&publish("a", "x"), now);
        let (number, _) = peer.wire.asked.remove(0).unwrap();
        peer.session.answered(number, verdict, now, &mut peer.wire);
        assert_eq!(peer.read()[0]["code"], "internal");
    }
    assert_eq!(server.service.hub.stats().cursor.seq, 0);
}
