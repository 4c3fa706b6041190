use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::signature::{Checker, SignatureError};
use super::*;
use crate::auth::Patterns;
use crate::auth::credentials::{ClientRequest, CredentialRules};
use crate::fetch::tests::{Reply, Server, closed_port, fetcher, ok, response};

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn credentials() -> Credentials {
    let headers: &[(&str, &[u8])] = &[
        ("authorization", b"Bearer tell-tale"),
        ("x-team", b"a"),
        ("X-Team", b"b"),
        ("x-other", b"not told"),
    ];
    let request = ClientRequest {
        client: "c1",
        ip: [192, 0, 2, 1].into(),
        target: "/t/chat?since=1",
        headers,
    };
    let rules = CredentialRules { cookie: None, forward: vec!["x-team".into()] };
    Credentials::collect(&request, &rules).unwrap()
}

fn rules(endpoint: Endpoint) -> WebhookRules {
    // What is not a test of time has time.
    WebhookRules { timeout: Duration::from_secs(20), ..WebhookRules::new(endpoint, secret()) }
}

async fn connect(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Grant, Denied> {
    let server = Server::start(reply).await;
    Webhook::new(fetcher(), rules(server.endpoint())).connect(&credentials(), now()).await
}

fn answer(json: &Value) -> Result<Grant, Denied> {
    Answer::read(json.to_string().as_bytes())?.grant(now())
}

/// Tells whether a refusal is one for now, with the codes for it.
fn is_for_now(denied: &Denied) -> bool {
    let told = (denied.code(), denied.status(), denied.close_code());
    denied.is_temporary() && told == ("internal", 503, 1013)
}

#[tokio::test]
async fn client_gets_what_the_back_end_says() {
    let said = json!({
        "allow": true, "subject": "ann", "publish": ["a"], "subscribe": ["a", "b*"],
        "info": {"n": 1}, "expires_in": 60,
    });
    let grant = connect(move |_| ok(&said.to_string())).await.unwrap();
    assert_eq!(grant.subject.as_deref(), Some("ann"));
    assert_eq!(grant.publish, Patterns::from_json(&json!(["a"])).unwrap());
    assert_eq!(grant.subscribe, Patterns::from_json(&json!(["a", "b*"])).unwrap());
    assert_eq!(grant.info, Some(json!({"n": 1})));
    assert_eq!(grant.expires, Some(now() + Duration::from_secs(60)));
    assert_eq!(connect(|_| ok(r#"{"allow":true}"#)).await, Ok(Grant::default()));
    assert_eq!(connect(|_| ok(r#"{"allow":false}"#)).await, Err(Denied::Forbidden));
}

#[tokio::test]
async fn question_tells_what_it_must_and_nothing_else() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let server = Server::start(move |request| {
        heard.lock().unwrap().push(request.to_owned());
        ok(r#"{"allow":true}"#)
    });
    let server = server.await;
    let webhook = Webhook::new(fetcher(), rules(server.endpoint()));
    let credentials = credentials();
    let grant = Grant { subject: Some("ann".into()), ..Grant::default() };
    let who = (credentials.client(), &grant);
    let topic = TopicName::new("chat").unwrap();
    webhook.connect(&credentials, now()).await.unwrap();
    webhook.topic(Event::Subscribe, who, &topic, now()).await.unwrap();
    webhook.topic(Event::Publish, who, &topic, now()).await.unwrap();
    webhook.disconnect(who.0, who.1, now()).await.unwrap();

    let client = json!({
        "client": "c1", "ip": "192.0.2.1", "path": "/t/chat", "headers": {"x-team": "a, b"},
    });
    let expected = [
        json!({"event": "connect", "token": "tell-tale"}),
        json!({"event": "subscribe", "subject": "ann", "topic": "chat"}),
        json!({"event": "publish", "subject": "ann", "topic": "chat"}),
        json!({"event": "disconnect", "subject": "ann"}),
    ];
    let asked = asked.lock().unwrap();
    let mut ids = Vec::new();
    for (request, mut expected) in asked.iter().zip(expected) {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let mut question: Value = serde_json::from_str(body).unwrap();
        ids.push(question.as_object_mut().unwrap().remove("id").unwrap().to_string());
        expected.as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
        assert_eq!(question, expected);
    }
    ids.sort();
    ids.dedup();
    assert_eq!((asked.len(), ids.len()), (4, 4));
}

// PUB-029
#[tokio::test]
async fn back_end_that_checks_refuses_a_question_changed_or_asked_again() {
    let checker = Checker::new(secret());
    let verdicts = Arc::new(Mutex::new(Vec::new()));
    let told = verdicts.clone();
    let server = Server::start(move |request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header = head.lines().find_map(|line| line.strip_prefix("sockeye-signature: "));
        let header = header.unwrap();
        let tampered = body.replace("c1", "c2");
        *told.lock().unwrap() = vec![
            checker.check(header, &[], now()),
            checker.check(header, tampered.as_bytes(), now()),
            checker.check(header, body.as_bytes(), now()),
            checker.check(header, body.as_bytes(), now()),
            checker.check(header, body.as_bytes(), now() + Duration::from_secs(61)),
        ];
        ok(r#"{"allow":true}"#)
    });
    let server = server.await;
    let webhook = Webhook::new(fetcher(), rules(server.endpoint()));
    webhook.connect(&credentials(), now()).await.unwrap();
    let wrong = Err(SignatureError::Wrong);
    let expected = [wrong, wrong, Ok(()), Err(SignatureError::Replayed), Err(SignatureError::Time)];
    assert_eq!(*verdicts.lock().unwrap(), expected);
}

// PUB-028
#[tokio::test]
async fn back_end_that_fails_refuses_for_now_and_never_allows() {
    let yes = r#"{"allow":true}"#;
    let long = format!("{{\"allow\":true,\"x\":\"{}\"}}", "x".repeat(10_000_000));
    let elsewhere = Server::start(|_| ok(r#"{"allow":true}"#)).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", elsewhere.port);
    for (what, bytes) in [
        ("500", response("500 Oh", "", yes)),
        ("403", response("403 No", "", yes)),
        ("redirect", response("307 There", &location, yes)),
        ("no answer", Vec::new()),
        ("half an answer", response("200 OK", "", yes)[..40].to_vec()),
        ("10 MB", response("200 OK", "", &long)),
        ("no JSON", response("200 OK", "", "yes")),
        ("two documents", response("200 OK", "", "{\"allow\":true}{}")),
        ("twice", response("200 OK", "", r#"{"allow":false,"allow":true}"#)),
        ("nothing", response("200 OK", "", "")),
        ("no allow", response("200 OK", "", r#"{"allowed":true}"#)),
        ("a text", response("200 OK", "", r#"{"allow":"true"}"#)),
        ("a number", response("200 OK", "", r#"{"allow":1}"#)),
    ] {
        let denied = connect(move |_| Reply::Now(bytes.clone())).await.unwrap_err();
        assert!(is_for_now(&denied), "{what}: {denied:?}");
    }
    assert_eq!(elsewhere.asked(), 0);
    let url = format!("http://127.0.0.1:{}/", closed_port().await);
    let webhook = Webhook::new(fetcher(), rules(Endpoint::parse(&url).unwrap()));
    let denied = webhook.connect(&credentials(), now()).await.unwrap_err();
    assert!(is_for_now(&denied), "refused: {denied:?}");
}

// PUB-028
#[tokio::test]
async fn back_end_that_is_silent_refuses_for_now_after_a_second() {
    let server = Server::start(|_| Reply::Never).await;
    let rules = WebhookRules::new(server.endpoint(), secret());
    assert_eq!(rules.timeout, Duration::from_secs(1));
    let webhook = Webhook::new(fetcher(), rules);
    let denied = webhook.connect(&credentials(), now()).await.unwrap_err();
    assert_eq!(denied, Denied::Unavailable(Unavailable::Fetch(FetchError::Timeout)));
    assert!(is_for_now(&denied));
}

// PUB-028
#[tokio::test]
async fn back_end_that_is_slow_has_no_more_open_questions_than_it_may() {
    let gate = Arc::new(Semaphore::new(0));
    let gated = gate.clone();
    let yes = response("200 OK", "", r#"{"allow":true}"#);
    let server = Server::start(move |_| Reply::When(gated.clone(), yes.clone())).await;
    let rules = WebhookRules { concurrency: 3, ..rules(server.endpoint()) };
    let webhook = Webhook::new(fetcher(), rules);
    let credentials = credentials();
    let all = join_all((0..10).map(|_| webhook.connect(&credentials, now())));
    let watch = async {
        // Three hold all slots at the moment that all ten have asked.
        assert_eq!(webhook.slots.available_permits(), 0);
        while server.asked() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.asked(), 3);
        gate.add_permits(10);
    };
    let (grants, ()) = join(all, watch).await;
    assert!(grants.into_iter().all(|grant| grant == Ok(Grant::default())));
    assert_eq!((server.asked(), webhook.slots.available_permits()), (10, 3));
}

#[test]
fn answer_with_a_member_that_is_none_is_no_answer() {
    for (name, value) in [
        ("subject", json!("")),
        ("subject", json!(1)),
        ("publish", json!("a")),
        ("publish", json!(["a*b"])),
        ("subscribe", json!([1])),
        ("info", json!("x".repeat(4096))),
        ("expires_in", json!(0)),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1.5)),
        ("expires_in", json!("60")),
        ("expires_in", json!(u64::MAX)),
    ] {
        let denied = answer(&json!({"allow": true, name: value})).unwrap_err();
        assert!(matches!(denied, Denied::Unavailable(Unavailable::Answer(_))), "{name}: {denied}");
    }
    assert_eq!(answer(&json!({"allow": false, "subject": 1})), Err(Denied::Forbidden));
}

#[test]
fn debug_of_a_webhook_shows_no_secret() {
    let endpoint = Endpoint::parse("https://back.example/hook?key=tell-tale").unwrap();
    let webhook = Webhook::new(fetcher(), WebhookRules::new(endpoint, secret()));
    let shown = format!("{webhook:?}");
    assert!(shown.contains("Secret(..)") && !shown.contains("tell-tale"), "{shown}");
}
