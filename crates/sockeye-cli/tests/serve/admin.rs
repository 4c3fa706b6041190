//! Operating a server while it runs: who may, health, disconnecting, lists, draining.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use sockeye::WebSocket;
use tokio::time::timeout;

use crate::operated::{KEY, Operated, request};
use crate::support::{PATIENCE, Raw, Served, receive};

const KEYED: (&str, &str) = ("SOCKEYE_AUTH_API_KEYS", KEY);

/// Opens a stream or a poll of topics and reads the head if there is to be one at once.
async fn stream(served: &Served, target: &str, accept: &str) -> Raw {
    let mut raw = served.raw().await;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    raw.write(request.as_bytes()).await;
    raw
}

async fn close_code(ws: &mut WebSocket) -> (u16, String) {
    let end = timeout(PATIENCE, ws.recv()).await.expect("the end comes");
    assert!(matches!(end, Ok(None)), "{end:?}");
    let info = ws.close_info().unwrap();
    (info.code.get(), info.reason.clone())
}

// SIG-016
#[tokio::test]
async fn readiness_ends_within_100_ms_of_sigterm_and_liveness_does_not() {
    let mut took = Duration::MAX;
    // The best of several: how long this test waits for the processor is no matter of the server's.
    for _ in 0..10 {
        let operated = Operated::start(&[]).await;
        let (admin, public) = (operated.admin, operated.served.address);
        for address in [admin, public] {
            for path in ["/healthz", "/readyz"] {
                let answer = request(address, "GET", path, &[], "").await;
                assert_eq!(answer.status, 200, "{address} {path}");
                assert!(answer.head.to_ascii_lowercase().contains("content-type: text/plain"));
            }
        }
        // Holds the end up.
        let _silent = operated.served.open("/t/silent").await;
        let start = Instant::now();
        operated.served.signal(Signal::TERM);
        while operated.get("/readyz").await.status == 200 {}
        took = took.min(start.elapsed());
        assert_eq!(operated.get("/readyz").await.status, 503);
        assert_eq!(operated.get("/healthz").await.status, 200);
        if took <= Duration::from_millis(100) {
            return;
        }
    }
    panic!("{took:?}");
}

// PUB-026
#[tokio::test]
async fn listeners_of_clients_have_nothing_of_the_admins() {
    let operated = Operated::start(&[]).await;
    assert!(operated.admin.ip().is_loopback());
    let document = operated.get("/openapi.json").await.json();
    let shared = ["/healthz", "/readyz", "/openapi.json"];
    let paths = document["paths"].as_object().unwrap();
    let of_the_admin = paths.keys().filter(|path| !shared.contains(&path.as_str()));
    let debug = ["/debug/pprof", "/debug", "/stats", "/status"].map(str::to_owned);
    for path in of_the_admin.cloned().chain(debug.clone()) {
        for method in ["GET", "POST"] {
            let answer = request(operated.served.address, method, &path, &[], "").await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    for path in debug {
        assert_eq!(operated.get(&path).await.status, 404);
    }
}

// PUB-014
#[tokio::test]
async fn disconnecting_reaches_clients_of_every_transport_within_a_second() {
    let operated = Operated::start(&["--max-message", "1000"]).await;
    let served = &operated.served;
    let mut raw = served.connect("/t/a").await;
    let mut json = served.connect("/ws").await;
    receive(&mut json).await;
    json.send(r#"{"type":"subscribe","topics":["a"]}"#).await.unwrap();
    receive(&mut json).await;
    let mut streams = Vec::new();
    for accept in ["text/event-stream", "application/x-ndjson", "multipart/mixed"] {
        let mut stream = stream(served, "/t/a", accept).await;
        stream.head().await;
        streams.push(stream);
    }
    let cursor = operated.get("/topics").await.json()["topics"][0].clone();
    assert_eq!((&cursor["topic"], &cursor["subscribers"]), (&json!("a"), &json!(5)));
    let other = served.connect("/t/other").await;
    let mut poll = stream(served, "/t/a", "*/*").await;
    let at = poll.response().await;
    let at = at.split("etag: \"").nth(1).and_then(|at| at.split('"').next()).expect(&at);
    poll.write(format!("GET /t/a?since={at} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    let clients = operated.until_clients(7).await;
    let transports: Vec<_> =
        clients.iter().map(|client| client["transport"].as_str().unwrap()).collect();
    assert_eq!(transports, ["raw", "json", "sse", "ndjson", "multipart", "raw", "poll"]);
    assert!(clients.iter().all(|client| client["topics"] == 1 && client["ip"] == "127.0.0.1"));
    let start = Instant::now();
    let answer = operated.post("/disconnect", &json!({"topic": "a", "reason": "enough"})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "disconnected": 6 })));
    for ws in [&mut raw, &mut json] {
        assert_eq!(close_code(ws).await, (3503, "enough".to_owned()));
    }
    for mut stream in streams {
        let mut seen = String::new();
        while !seen.contains("{\"type\":\"disconnected\"}") {
            seen.push_str(&String::from_utf8_lossy(&stream.piece().await));
        }
    }
    let refused = poll.response().await;
    assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("\"disconnected\""));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    // One that has nothing to do with it stays, until it is meant.
    let mut other = other;
    let name = operated.until_clients(1).await[0]["client"].clone();
    let answer = operated.post("/disconnect", &json!({"client": name, "code": 4001})).await;
    assert_eq!(answer.json(), json!({ "disconnected": 1 }));
    assert_eq!(close_code(&mut other).await, (4001, "disconnected".to_owned()));
    operated.until_clients(0).await;
    let nobody = operated.post("/disconnect", &json!({"client": name})).await;
    assert_eq!(nobody.json(), json!({ "disconnected": 0 }));
}

// PUB-014
#[tokio::test]
async fn all_clients_of_a_subject_are_disconnected_and_no_others() {
    let secret = "0123456789abcdef0123456789abcdef";
    let env = [("SOCKEYE_AUTH_JWT_SECRET", secret)];
    let operated = Operated::with_environment(&[], &env).await;
    let token = |subject: &str| {
        let args = ["token", "--sub", subject, "--publish", "*", "--subscribe", "*"];
        let mut command = crate::support::command(&args);
        command.env("SOCKEYE_AUTH_JWT_SECRET", secret);
        async move {
            let output = command.output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
    };
    let (ann, bob) = (token("ann").await, token("bob").await);
    let mut of_ann = Vec::new();
    for path in ["/t/a", "/ws"] {
        let mut ws = operated.served.connect(&format!("{path}?token={ann}")).await;
        if path == "/ws" {
            receive(&mut ws).await;
        }
        of_ann.push(ws);
    }
    let mut of_bob = operated.served.connect(&format!("/t/a?token={bob}")).await;
    let clients = operated.until_clients(3).await;
    assert!(clients.iter().any(|client| client["subject"] == "bob"));
    let answer = operated.post("/disconnect", &json!({"subject": "ann"})).await;
    assert_eq!(answer.json(), json!({ "disconnected": 2 }));
    for ws in &mut of_ann {
        assert_eq!(close_code(ws).await.0, 3503);
    }
    operated.until_clients(1).await;
    of_bob.send("still here").await.unwrap();
    receive(&mut of_bob).await;
}

// PUB-015
#[tokio::test]
async fn requests_without_a_key_or_sense_are_refused() {
    let operated = Operated::with_environment(&[], &[KEYED]).await;
    let key = format!("X-API-Key: {KEY}");
    let bearer = format!("Authorization: Bearer {KEY}");
    let json = "Content-Type: application/json";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let message = r#"{"topic":"a","data":"x"}"#;
    let batch = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    let long = format!(r#"{{"topic":"a","data":"{}"}}"#, "x".repeat(1 << 20));
    let target = format!("/publish?api_key={KEY}");
    let (large, list) = (batch(100_000), batch(1_001));
    for (method, target, headers, body, status) in [
        ("POST", "/publish", &[json][..], message, 401),
        ("POST", "/publish", &["X-API-Key: wrong", json], message, 401),
        ("POST", &target, &[&key, json], message, 400),
        ("POST", "/publish", &[&key], message, 415),
        ("POST", "/publish", &[&key, "Content-Type: text/plain"], message, 415),
        ("POST", "/publish", &[&key, form], "topic=a&data=x", 415),
        ("POST", "/publish", &[&key, json], "{", 400),
        ("POST", "/publish", &[&key, json], "1", 400),
        ("POST", "/publish", &[&key, json], r#"{"topic":"a*","data":""}"#, 400),
        ("POST", "/publish", &[&key, json], r#"{"topic":"a"}"#, 400),
        ("POST", "/publish", &[&key, json], &list, 413),
        ("POST", "/publish", &[&key, json], &large, 413),
        ("POST", "/publish", &[&key, json], &long, 413),
        ("GET", "/publish", &[&key], "", 405),
        ("DELETE", "/drain", &[&key], "", 405),
        ("POST", "/nothing", &[&key], "", 404),
        ("GET", "/nothing", &[], "", 401),
        ("GET", "/metrics", &[], "", 401),
        ("GET", "/topics?limit=x", &[&key], "", 400),
        ("POST", "/disconnect", &[&key, json], "{}", 400),
        ("POST", "/disconnect", &[&key, json], r#"{"topic":"a","client":"b"}"#, 400),
        ("POST", "/disconnect", &[&key, json], r#"{"topic":"a","code":1005}"#, 400),
        ("POST", "/drain", &[], "", 401),
        ("GET", "/metrics", &[&bearer], "", 200),
        ("POST", "/publish", &[&bearer, json], message, 200),
        ("GET", "/healthz", &[], "", 200),
    ] {
        let answer = operated.send(method, target, headers, body).await;
        assert_eq!(answer.status, status, "{method} {target} {answer:?}");
        if status >= 400 {
            assert!(!answer.code().is_empty() && !answer.body.contains(KEY), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn pages_of_others_are_refused_where_no_key_is_needed() {
    let operated = Operated::start(&[]).await;
    for (headers, code) in [
        (&["Origin: https://evil.example"][..], "origin_denied"),
        (&["Origin: null"], "origin_denied"),
        (&["Host: evil.example"], "host_denied"),
        (&["Host: evil.example", "Origin: http://evil.example"], "host_denied"),
    ] {
        for (method, target) in [("GET", "/clients"), ("POST", "/drain"), ("GET", "/metrics")] {
            let answer = operated.ask(method, target, headers).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, code), "{headers:?}");
        }
    }
    assert_eq!(operated.ask("GET", "/clients", &["Host: localhost:1"]).await.status, 200);
}

#[tokio::test]
async fn publishing_tells_of_each_message_what_became_of_it() {
    let operated = Operated::start(&[]).await;
    let mut member = operated.served.join("a").await;
    let one = operated.post("/publish", &json!({"topic": "a", "data": "one", "key": "k"})).await;
    assert_eq!((one.status, &one.json()["subscribers"]), (200, &json!(1)));
    assert_eq!(receive(&mut member).await, "one".into());
    let list = json!([
        {"topic": "a", "data": "one", "key": "k"},
        {"topic": "", "data": ""},
        {"topic": "a", "base64": "AAEC"},
        {"topic": "a", "data": "x", "event": "gap"},
        7,
    ]);
    let results = operated.post("/publish", &list).await.json();
    assert_eq!(results[0], json!({"id": one.json()["id"], "subscribers": 1, "repeat": true}));
    assert_eq!(receive(&mut member).await, sockeye::Message::from(&[0_u8, 1, 2][..]));
    for refused in [1, 3, 4] {
        assert_eq!(results[refused]["error"]["code"], "bad_request", "{results}");
    }
    assert_eq!(results.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn lists_come_in_pages_that_hold_everything_once() {
    let operated = Operated::start(&[]).await;
    let items: Vec<_> = (0..7).map(|at| json!({"topic": format!("t{at}"), "data": "x"})).collect();
    operated.post("/publish", &Value::Array(items)).await;
    let mut clients = Vec::new();
    for at in 0..7 {
        clients.push(operated.served.connect(&format!("/t/t{at}")).await);
    }
    operated.until_clients(7).await;
    for (list, name) in [("topics", "topic"), ("clients", "client")] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = operated.get(&format!("/{list}?limit=3{after}")).await.json();
            let entries = page[list].as_array().unwrap();
            assert!(entries.len() <= 3);
            seen.extend(entries.iter().map(|entry| entry[name].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen.len(), 7);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
    }
    let node = &operated.get("/nodes").await.json()["nodes"][0];
    assert_eq!((&node["connections"], &node["draining"]), (&json!(7), &json!(false)));
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert!(node["rss"].as_u64().unwrap() > 1 << 20);
}

#[tokio::test]
async fn configuration_is_told_without_its_secrets() {
    let operated = Operated::with_environment(&["--max-message", "777"], &[KEYED]).await;
    let answer = operated.ask("GET", "/config", &[&format!("X-API-Key: {KEY}")]).await;
    assert!(answer.body.contains("max_message = 777"), "{answer:?}");
    assert!(answer.body.contains("api_keys = [\"***\"]"), "{answer:?}");
    assert!(!answer.body.contains(KEY));
}

#[tokio::test]
async fn draining_by_request_ends_the_server_and_tells_how_many_were_cut_off() {
    let mut operated = Operated::start(&["--drain", "1"]).await;
    let silent = operated.served.open("/t/silent").await;
    operated.until_clients(1).await;
    let answer = operated.ask("POST", "/drain", &[]).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "draining": true })));
    assert!(operated.logged(" drain.begin ").await.contains("connections=1"));
    assert!(operated.logged(" drain.forced ").await.contains("n=1"));
    operated.logged(" drain.end ").await;
    assert_eq!(operated.served.end().await.code, Some(0));
    drop(silent);
}

/// Lists the methods of a path of the description.
fn methods(path: &Value) -> Vec<String> {
    path.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn description_names_every_route_and_status_that_is_answered_and_no_other_route() {
    let operated = Operated::with_environment(&[], &[KEYED]).await;
    let document = operated.get("/openapi.json").await.json();
    let codes = &document["components"]["schemas"]["Error"]["properties"]["error"]["properties"];
    let codes = codes["code"]["enum"].as_array().unwrap();
    let key = format!("X-API-Key: {KEY}");
    let json = "Content-Type: application/json";
    for (path, described) in document["paths"].as_object().unwrap() {
        let known = methods(described);
        for method in ["get", "post", "delete"] {
            let upper = method.to_ascii_uppercase();
            let is_known = known.iter().any(|known| known == method);
            let asks: [&[&str]; 5] =
                [&[], &[&key], &[&key, json], &["X-API-Key: x"], &["Origin: https://evil.example"]];
            for headers in asks.iter().filter(|_| path != "/drain") {
                let answer = operated.send(&upper, path, headers, "{").await;
                if !is_known {
                    assert!([401, 403, 405].contains(&answer.status), "{upper} {path} {answer:?}");
                    continue;
                }
                let status = answer.status.to_string();
                assert!(!described[method]["responses"][&status].is_null(), "{path} {answer:?}");
                assert!(answer.status < 400 || codes.contains(&answer.json()["error"]["code"]));
            }
        }
    }
    let elsewhere = operated.ask("GET", "/elsewhere", &[&key]).await;
    assert_eq!(elsewhere.code(), "not_found");
    references(&document, &document);
}

/// Checks that references lead somewhere.
fn references(value: &Value, document: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members.values().for_each(|value| references(value, document));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, document)),
        _ => {}
    }
}
