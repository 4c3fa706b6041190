//! The description of the routes is what the routes do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::Value;
use sockeye_hub::{Epoch, Hub, Limits, Rules};
use sockeye_server::auth::webhook::{Webhook, WebhookRules};
use sockeye_server::auth::{ApiKeys, Auth, Secret};
use sockeye_server::fetch::Fetcher;
use sockeye_server::http::router;
use sockeye_server::policy::Policy;

use crate::support::{Answer, KEY, Server, by_tokens, open, token};

/// What was answered: statuses by method, and the codes and the texts of all refusals.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<String, BTreeSet<String>>,
    codes: BTreeSet<String>,
    refusals: Vec<String>,
}

impl Seen {
    fn note(&mut self, method: &str, answer: &Answer) {
        let statuses = self.statuses.entry(method.to_ascii_lowercase()).or_default();
        statuses.insert(answer.status().to_string());
        if answer.status() >= 400 && method != "HEAD" {
            self.codes.insert(answer.code());
            self.refusals.push(answer.body.clone());
        }
    }

    async fn ask(&mut self, server: &Server, method: &str, target: &str, headers: &[(&str, &str)]) {
        let answer = server.send(method, target, headers, b"").await;
        self.note(method, &answer);
    }
}

/// A back end that nobody can reach.
fn unreachable() -> Policy {
    let endpoint = "http://127.0.0.1:1/auth".parse().unwrap();
    let rules = WebhookRules::new(endpoint, Secret::new(&[7; 32]).unwrap());
    Policy { auth: Auth::Webhook(Webhook::new(Fetcher::new().unwrap(), rules)), ..open() }
}

const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];

/// Asks in all the ways there are to be refused whatever the method.
async fn refusals(seen: &mut Seen) {
    let by_tokens = Server::start(by_tokens(), |_| {}).await;
    let unreachable = Server::start(unreachable(), |_| {}).await;
    let token = format!("Bearer {}", token("none", "none", Duration::from_secs(3_600)));
    let not_a_token = ("Authorization", "Bearer a.b.c");
    for method in METHODS {
        seen.ask(&by_tokens, method, "/t/a*", &[]).await;
        seen.ask(&by_tokens, method, "/t/a", &[]).await;
        seen.ask(&by_tokens, method, "/t/a", &[not_a_token]).await;
        seen.ask(&by_tokens, method, "/t/a", &[("X-API-Key", "x")]).await;
        seen.ask(&by_tokens, method, "/t/a", &[("Authorization", &token)]).await;
        seen.ask(&unreachable, method, "/t/a", &[]).await;
        // A host that does not tell where the client is.
        let request = hyper::Request::builder().method(method).uri("/t/a").body(Body::empty());
        let mut router = router(by_tokens.topics.clone());
        let served = tower_service::Service::call(&mut router, request.unwrap()).await.unwrap();
        let statuses = seen.statuses.entry(method.to_ascii_lowercase()).or_default();
        statuses.insert(served.status().as_u16().to_string());
    }
    let evil = ("Origin", "https://evil.example");
    seen.ask(&by_tokens, "POST", "/t/a", &[evil]).await;
    seen.ask(&by_tokens, "PUT", "/t/a", &[]).await;
}

/// Asks in the ways that are left.
async fn the_rest(seen: &mut Seen) {
    let mut limits = Limits::default();
    limits.topics = 1;
    let server = Server::start(open(), |topics| {
        topics.hub = Arc::new(Hub::new(Epoch::from_random(1), Rules::default(), limits));
        topics.limits.body_pace = Duration::from_millis(1);
        topics.limits.linger = Duration::ZERO;
    })
    .await;
    server.say("a", "x");
    for (method, target, headers) in [
        ("GET", "/t/a?since=oldest", &[][..]),
        ("GET", "/t/a", &[]),
        ("HEAD", "/t/a", &[]),
        ("POST", "/t/a", &[("Content-Length", "0")]),
        ("POST", "/t/b", &[("Content-Length", "0")]),
        ("POST", "/t/a", &[("If-Version", "1-9")]),
        ("POST", "/t/a", &[("Content-Length", "99999999")]),
        ("POST", "/t/a", &[("Content-Encoding", "gzip")]),
        ("POST", "/t/a", &[("Content-Length", "9")]),
        // Before the history is cleared, which makes room.
        ("GET", "/t/b?since=1-0", &[]),
        ("DELETE", "/t/a", &[("X-API-Key", KEY)]),
    ] {
        seen.ask(&server, method, target, headers).await;
    }
}

/// Asks a poll whose grant ends while it waits.
async fn expiry(seen: &mut Seen) {
    let (policy, clock) = crate::drain::for_an_hour();
    let server = Server::start(policy, |topics| topics.clock = clock.clone()).await;
    let late = async {
        server.until_subscribers("a", 1).await;
        clock.advance(Duration::from_secs(3_601));
        server.say("a", "too late");
    };
    let (answer, ()) = tokio::join!(server.get("/t/a?since=1-0&wait=60"), late);
    seen.note("GET", &answer);
}

/// Asks a poll whose client is disconnected while it waits.
async fn disconnection(seen: &mut Seen) {
    let server = Server::open().await;
    let parting = async {
        server.until_subscribers("a", 1).await;
        assert_eq!(server.topics.clients.disconnect_topic(&"a".parse().unwrap()), 1);
    };
    let (answer, ()) = tokio::join!(server.get("/t/a?since=1-0&wait=60"), parting);
    assert_eq!(answer.code(), "disconnected");
    seen.note("GET", &answer);
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn description_names_every_route_and_status_that_is_answered_and_no_other() {
    let mut seen = Seen::default();
    refusals(&mut seen).await;
    the_rest(&mut seen).await;
    expiry(&mut seen).await;
    disconnection(&mut seen).await;
    let server = Server::start(open(), |_| {}).await;
    let document = server.get("/openapi.json").await;
    assert_eq!(document.status(), 200);
    let document = document.json();
    assert_eq!(names(&document["paths"]), ["/openapi.json", "/t/{topic}"].map(String::from).into());
    let topic = &document["paths"]["/t/{topic}"];
    assert_eq!(Some(names(&topic["x-other-methods"])), seen.statuses.remove("put"));
    for (method, statuses) in &seen.statuses {
        assert_eq!(names(&topic[method]["responses"]), *statuses, "{method}");
    }
    assert_eq!(seen.statuses.len(), METHODS.len());
    let codes = &document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]
        ["enum"];
    let codes: BTreeSet<String> =
        codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, seen.codes);
}

// PUB-027
#[tokio::test]
async fn refusals_tell_nothing_of_what_is_inside_or_what_was_sent() {
    let mut seen = Seen::default();
    refusals(&mut seen).await;
    the_rest(&mut seen).await;
    expiry(&mut seen).await;
    disconnection(&mut seen).await;
    assert!(seen.refusals.len() > 20);
    let inside = [
        KEY,
        "a.b.c",
        "eyJ",
        "/auth",
        "127.0.0.1",
        ".rs",
        "panic",
        "0x",
        "webhook",
        "connect",
        "::",
        "Some(",
        "Err(",
        "/usr",
        "/home",
        "hub",
        "tokio",
        "hyper",
        "serde",
    ];
    for text in &seen.refusals {
        // The name of a refusal has one of these in it, as a part.
        let shown = text.replace(r#""code":"disconnected""#, "");
        let found = inside.iter().find(|inside| shown.contains(**inside));
        assert_eq!(found, None, "{text}");
        let refusal: Value = serde_json::from_str(text).unwrap();
        assert!(names(&refusal).iter().all(|name| ["error", "last_id"].contains(&name.as_str())));
        assert_eq!(names(&refusal["error"]), ["code", "message"].map(String::from).into());
    }
}

#[tokio::test]
async fn references_of_the_description_lead_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let server = Server::open().await;
    let document = server.get("/openapi.json").await.json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some(), "{reference}");
    }
}

#[tokio::test]
async fn keys_that_are_configured_make_no_difference_to_who_has_none() {
    let server = Server::start(Policy { api_keys: ApiKeys::default(), ..open() }, |_| {}).await;
    assert_eq!(server.send("POST", "/t/a", &[], b"x").await.status(), 200);
    assert_eq!(server.ask("DELETE", "/t/a", &[]).await.status(), 401);
}
