//! What clients may do, until when, and what they are told when they may not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sockeye_hub::{Pattern, Rules};

use crate::auth::jwt::TokenError;
use crate::auth::keys::KeyError;
use crate::auth::{Auth, Denied, Grant, Patterns, Unavailable};
use crate::fetch::FetchError;
use crate::protocol::testing::{Peer, Server, all};
use crate::protocol::{Question, Settings, Verdict};

fn patterns(names: &[&str]) -> Patterns {
    names.iter().map(|name| name.parse::<Pattern>().unwrap()).collect()
}

/// A grant that ends so many seconds after the server's start.
fn ending(server: &Server, seconds: u64) -> Grant {
    Grant { expires: Some(server.at(Duration::from_secs(seconds)).wall), ..all() }
}

fn subscribe(topics: &[&str]) -> Value {
    json!({"type": "subscribe", "topics": topics, "ref": 1})
}

/// Answers the refresh that waits.
fn answer(peer: &mut Peer, server: &Server, seconds: u64, grant: Result<Grant, Denied>) -> Value {
    let (number, question) = peer.wire.asked.pop_front().unwrap();
    assert!(matches!(&question, Question::Admit { token } if token == "a.b.c"));
    assert!(!format!("{question:?}").contains("a.b.c"));
    let now = server.at(Duration::from_secs(seconds));
    peer.session.answered(number, Verdict::Admitted(grant.map(Arc::new)), now, &mut peer.wire);
    peer.read().remove(0)
}

fn refresh() -> Value {
    json!({"type": "refresh", "token": "a.b.c", "ref": 9})
}

// PUB-011
#[test]
fn topic_that_is_not_allowed_is_refused_whether_or_not_it_exists() {
    let mut server = Server::open(Rules::default());
    let now = server.start;
    let grant = Grant { subscribe: patterns(&["mine:*"]), ..Grant::default() };
    let (mut peer, mut owner) = (server.peer(grant), server.peer(all()));
    owner.ask(&subscribe(&["theirs", "mine:1"]), now);
    server.publish("theirs", "secret");
    let refused = |topic: &str| {
        json!({"type": "error", "ref": 1, "code": "permission_denied", "message": "not permitted",
            "refused": [{"topic": topic, "code": "permission_denied", "message": "not permitted"}]})
    };
    for topic in ["theirs", "nobodys"] {
        assert_eq!(peer.ask(&subscribe(&[topic]), now), refused(topic));
        for kind in ["history", "presence"] {
            let answer = peer.ask(&json!({"type": kind, "topic": topic}), now);
            let expected =
                json!({"type": "error", "code": "permission_denied", "message": "not permitted"});
            assert_eq!(answer, expected);
        }
    }
    let some = peer.ask(&subscribe(&["mine:1", "theirs"]), now);
    assert_eq!(
        (&some["topics"], &some["refused"][0]["topic"]),
        (&json!(["mine:1"]), &json!("theirs"))
    );
    server.publish("theirs", "secret");
    server.publish("mine:1", "open");
    server.turn([&mut peer], now);
    let read = peer.read();
    assert_eq!((read.len(), &read[0]["data"]), (1, &json!("open")));
}

// PUB-012
#[test]
fn publication_that_is_not_allowed_is_not_delivered() {
    let mut server = Server::open(Rules::default());
    let now = server.start;
    let grant =
        Grant { subscribe: patterns(&["*"]), publish: patterns(&["b"]), ..Grant::default() };
    let mut peer = server.peer(grant);
    peer.ask(&subscribe(&["a", "b"]), now);
    let publish = |topic| json!({"type": "publish", "topic": topic, "data": "x"});
    assert_eq!(peer.ask(&publish("a"), now)["code"], "permission_denied");
    assert_eq!(server.service.hub.stats().cursor.seq, 0);
    assert_eq!(peer.ask(&publish("b"), now)["id"], "z-1");
}

// PUB-013
#[test]
fn client_is_told_before_its_token_ends_and_closed_with_3005_when_it_has() {
    let mut server = Server::open(Rules::default());
    let now = server.start;
    let mut peer = server.connect(ending(&server, 100), now);
    assert_eq!(peer.read()[0]["expires"], json!(1_000_100));
    peer.ask(&subscribe(&["a"]), now);
    let at = |seconds| server.at(Duration::from_secs(seconds));
    assert_eq!(peer.session.poll_timeout(), Some(at(60).monotonic));
    peer.session.handle_timeout(at(60), &mut peer.wire);
    assert_eq!(peer.session.poll_timeout(), Some(at(75).monotonic));
    peer.session.handle_timeout(at(74), &mut peer.wire);
    assert_eq!(peer.read(), [Value::Null; 0]);
    peer.session.handle_timeout(at(75), &mut peer.wire);
    assert_eq!(peer.read(), [json!({"type": "expiring", "in": 25})]);
    assert_eq!(peer.session.poll_timeout(), Some(at(100).monotonic));
    peer.session.handle_timeout(at(99), &mut peer.wire);
    assert_eq!((peer.read().len(), peer.wire.closed), (0, None));
    peer.session.handle_timeout(at(100), &mut peer.wire);
    assert_eq!((peer.read().len(), peer.wire.closed), (0, Some(3005)));
    assert_eq!(peer.session.poll_timeout(), None);
    assert_eq!(server.service.hub.stats().topics, 0, "it has left its topics");
}

// LIM-016
#[test]
fn token_ends_by_the_walls_clock_even_where_that_is_set() {
    let mut server = Server::open(Rules::default());
    let days = Duration::from_secs(864_000);
    let mut peers = [(); 2].map(|()| server.connect(ending(&server, 100), server.start));
    let [early, late] = &mut peers;
    assert_eq!([early.read().len(), late.read().len()], [1, 1]);
    for minutes in 1..4 {
        let mut now = server.at(Duration::from_secs(60 * minutes));
        now.wall -= days;
        late.session.handle_timeout(now, &mut late.wire);
        assert_eq!((late.read().len(), late.wire.closed), (0, None));
        assert_eq!(late.session.poll_timeout(), Some(now.monotonic + Duration::from_secs(60)));
    }
    let mut now = server.at(Duration::from_secs(60));
    now.wall += days;
    early.session.handle_timeout(now, &mut early.wire);
    assert_eq!((early.read().len(), early.wire.closed), (0, Some(3005)));
}

#[test]
fn token_that_ends_soon_is_told_of_at_once() {
    let mut server = Server::open(Rules::default());
    let mut peer = server.connect(ending(&server, 10), server.start);
    assert_eq!(peer.read()[1], json!({"type": "expiring", "in": 10}));
    let peer = server.connect(ending(&server, 0), server.start);
    assert_eq!(peer.wire.closed, Some(3005));
}

// PUB-013
#[test]
fn command_at_the_end_of_the_token_closes_even_if_no_timer_has_fired() {
    let mut server = Server::open(Rules::default());
    let mut peer = server.peer(ending(&server, 100));
    let late = server.at(Duration::from_secs(100));
    assert_eq!(peer.say(&json!({"type": "ping"}), late), [Value::Null; 0]);
    assert_eq!(peer.wire.closed, Some(3005));
}

// PUB-013
#[test]
fn new_token_takes_the_place_of_the_old_one() {
    let mut server = Server::open(Rules::default());
    let at = |server: &Server, seconds| server.at(Duration::from_secs(seconds));
    let mut peer = server.peer(ending(&server, 100));
    peer.ask(&subscribe(&["a", "b"]), server.start);
    peer.session.handle_timeout(at(&server, 80), &mut peer.wire);
    peer.read();
    peer.say(&refresh(), at(&server, 81));
    let next = Grant { subscribe: patterns(&["a"]), ..ending(&server, 200) };
    let told = answer(&mut peer, &server, 82, Ok(next));
    assert_eq!(told, json!({"type": "ok", "ref": 9, "expires": 1_000_200, "unsubscribed": ["b"]}));
    assert_eq!(peer.session.poll_timeout(), Some(at(&server, 142).monotonic));
    server.publish("b", "x");
    server.publish("a", "y");
    server.turn([&mut peer], server.start);
    let read = peer.read();
    assert_eq!((read.len(), &read[0]["data"]), (1, &json!("y")));
    peer.session.handle_timeout(at(&server, 175), &mut peer.wire);
    assert_eq!(peer.read()[0]["in"], 25, "it is told again");
}

#[test]
fn token_that_is_not_good_changes_nothing() {
    let mut server = Server::open(Rules::default());
    let mut peer = server.peer(ending(&server, 100));
    let ended = ending(&server, 1);
    let other = Grant { subject: Some("else".to_owned()), ..ending(&server, 200) };
    for (grant, code) in [
        (Err(Denied::Token(TokenError::BadSignature)), "invalid_token"),
        (Err(Denied::Unavailable(Unavailable::NoKeys)), "internal"),
        (Ok(ended), "token_expired"),
        (Ok(other), "permission_denied"),
    ] {
        peer.say(&refresh(), server.start);
        assert_eq!(answer(&mut peer, &server, 2, grant)["code"], code);
    }
    let end = server.at(Duration::from_secs(100));
    peer.session.handle_timeout(end, &mut peer.wire);
    assert_eq!(peer.wire.closed, Some(3005));
}

// PUB-027
#[test]
fn error_tells_a_code_and_nothing_of_the_inside_or_of_the_token() {
    let settings = Settings { rate: None, ..Settings::default() };
    let mut server = Server::new(Auth::Anonymous(Arc::new(all())), Rules::default(), settings);
    let mut peer = server.peer(all());
    let inside = "/srv/secret.rs:7";
    let why = [
        Denied::Forbidden,
        Denied::Missing,
        Denied::Token(TokenError::Claim(inside)),
        Denied::Token(TokenError::MissingClaim(inside)),
        Denied::Token(TokenError::UnknownKey),
        Denied::Unavailable(Unavailable::Answer(inside)),
        Denied::Unavailable(Unavailable::Fetch(FetchError::Status(500))),
        Denied::Unavailable(Unavailable::Fetch(FetchError::Connect(
            std::io::ErrorKind::ConnectionRefused,
        ))),
        Denied::Unavailable(Unavailable::Document(KeyError::File {
            path: inside.into(),
            kind: std::io::ErrorKind::NotFound,
        })),
    ];
    let mut told = Vec::new();
    for denied in why {
        peer.say(&refresh(), server.start);
        told.push(answer(&mut peer, &server, 0, Err(denied)));
    }
    for text in [inside, "{", r#"{"type":"a.b.c"}"#, r#"{"type":"publish","topic":"a.b.c\n"}"#] {
        peer.session.receive(text, server.start, &mut peer.wire);
        told.extend(peer.read());
    }
    for error in told {
        assert_eq!(error["type"], "error");
        let message = error["message"].as_str().unwrap();
        for hidden in ["/", "::", "a.b.c", "secret", ".rs", "500", "refused", "line ", "column"] {
            assert!(!message.contains(hidden), "{message}");
        }
    }
}

#[test]
fn grant_without_an_end_has_no_timer() {
    let mut server = Server::open(Rules::default());
    let mut peer = server.connect(all(), server.start);
    assert_eq!((peer.read()[0].get("expires"), peer.session.poll_timeout()), (None, None));
    let never = Grant {
        expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64)),
        ..all()
    };
    let peer = server.connect(never, server.start);
    assert_eq!(peer.wire.closed, None);
}
