//! Who is let in to topics over WebSockets, and how those are told who are not.

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::time::timeout;

use crate::scratch::Scratch;
use crate::support::{BackEnd, PATIENCE, Served, TEXT, handshake, handshake_with, run};

const SECRET: &str = "a secret of the tests that is long enough";

/// Makes a token with the command.
pub(crate) async fn token(scratch: &Scratch, args: &[&str]) -> String {
    let file = scratch.write("secret", SECRET);
    let made = run(&[&["token", "--sub", "ann", "--secret-file", &file], args].concat()).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    made.stdout.trim().to_owned()
}

pub(crate) fn guarded() -> String {
    format!("[auth.jwt]\nsecret = '{SECRET}'\n")
}

// PUB-001, PUB-011
#[tokio::test]
async fn program_without_a_good_token_gets_a_status_and_a_page_a_close_code() {
    let scratch = Scratch::new("doors-jwt");
    let served = Served::configured(&scratch, &guarded()).await;
    let other = token(&scratch, &["--subscribe", "b"]).await;
    let good = token(&scratch, &["--subscribe", "a", "--publish", "a"]).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let host = format!("http://{}", "localhost");
    for (authorization, status, code) in
        [(None, 401, 3500), (Some(bearer("x.y.z")), 401, 3500), (Some(bearer(&other)), 403, 3507)]
    {
        let mut headers = vec![];
        if let Some(authorization) = &authorization {
            headers.push(("Authorization", authorization.as_str()));
        }
        let mut program = served.raw().await;
        program.write(handshake_with("/t/a", &headers).as_bytes()).await;
        let answer = program.response().await.to_ascii_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        assert_eq!(answer.contains("www-authenticate: bearer"), status == 401, "{answer}");
        headers.push(("Origin", &host));
        let mut page = served.open_with("/t/a", &headers).await;
        assert_eq!(page.frame().await.unwrap().close_code(), Some(code));
    }
    let foreign = [("Origin", "https://evil.example")];
    let mut page = served.raw().await;
    page.write(handshake_with("/t/a", &foreign).as_bytes()).await;
    assert!(page.response().await.starts_with("HTTP/1.1 403 "));

    let authorization = bearer(&good);
    let mut let_in = served.open_with("/t/a", &[("Authorization", &authorization)]).await;
    let_in.send(0x80 | TEXT, b"hello").await;
    assert_eq!(let_in.frame().await.unwrap().text(), "hello");
    // As a page brings it, which can set no header.
    let offer = format!("sockeye.v1.raw, sockeye.token.{good}");
    let mut page = served.raw().await;
    page.write(handshake_with("/t/a", &[("Sec-WebSocket-Protocol", &offer)]).as_bytes()).await;
    let head = page.head().await;
    assert!(head.contains("Sec-WebSocket-Protocol: sockeye.v1.raw\r\n"), "{head}");
}

// PUB-012
#[tokio::test]
async fn subscriber_that_may_not_publish_is_closed_and_nobody_gets_anything() {
    let scratch = Scratch::new("doors-publish");
    let served = Served::configured(&scratch, &guarded()).await;
    let reader = format!("Bearer {}", token(&scratch, &["--subscribe", "a"]).await);
    let writer = token(&scratch, &["--subscribe", "a", "--publish", "a"]).await;
    let mut reader = served.open_with("/t/a", &[("Authorization", &reader)]).await;
    let mut writer = served.open(&format!("/t/a?token={writer}")).await;
    reader.send(0x80 | TEXT, b"not allowed").await;
    assert_eq!(reader.frame().await.unwrap().close_code(), Some(3507));
    writer.send(0x80 | TEXT, b"allowed").await;
    assert_eq!(writer.frame().await.unwrap().text(), "allowed");
}

// PUB-013
#[tokio::test]
async fn token_that_ends_closes_the_connections_that_it_opened() {
    let scratch = Scratch::new("doors-expiry");
    let served = Served::configured(&scratch, &guarded()).await;
    let token = token(&scratch, &["--subscribe", "*", "--publish", "*", "--expires", "2s"]).await;
    let mut raw = served.open(&format!("/t/a?token={token}")).await;
    let mut session = served.open(&format!("/ws?token={token}")).await;
    assert_eq!(session.frame().await.unwrap().json()["type"], "welcome");
    assert_eq!(session.frame().await.unwrap().json()["type"], "expiring");
    for client in [&mut raw, &mut session] {
        assert_eq!(client.frame().await.unwrap().close_code(), Some(3005));
    }
}

#[tokio::test]
async fn back_end_decides_who_connects_and_is_told_who_left() {
    let scratch = Scratch::new("doors-webhook");
    let mut back_end = BackEnd::start(|question| match question["event"].as_str().unwrap() {
        "connect" if question["token"] == "stranger" => r#"{"allow":false}"#.into(),
        "connect" => r#"{"allow":true,"sub":"ann","subscribe":["*"]}"#.into(),
        "publish" if question["topic"] == "closed" => r#"{"allow":false}"#.into(),
        _ => r#"{"allow":true}"#.into(),
    })
    .await;
    let config = format!(
        "[auth.webhook]\nurl = 'http://{}/auth'\nsecret = '{SECRET}'\n\
         events = ['publish', 'disconnect']\n",
        back_end.address
    );
    let served = Served::configured(&scratch, &config).await;
    let mut refused = served.open("/t/a?token=stranger").await;
    assert_eq!(refused.frame().await.unwrap().close_code(), Some(3507));
    let mut ann = served.open("/t/open?token=t").await;
    ann.send(0x80 | TEXT, b"asked about").await;
    assert_eq!(ann.frame().await.unwrap().text(), "asked about");
    let mut closed = served.open("/t/closed?token=t").await;
    closed.send(0x80 | TEXT, b"asked about").await;
    assert_eq!(closed.frame().await.unwrap().close_code(), Some(3507));
    drop(ann);
    let mut events = Vec::new();
    while events.iter().filter(|event| *event == "disconnect").count() < 2 {
        let question = back_end.questions.recv().await.unwrap();
        events.push(question["event"].as_str().unwrap().to_owned());
    }
    events.sort();
    let expected = ["connect", "connect", "connect", "disconnect", "disconnect"];
    assert_eq!(events, [&expected[..], &["publish", "publish"]].concat());
}

// SIG-007
#[tokio::test]
async fn hangup_takes_on_a_new_configuration_and_keeps_the_old_one_where_it_is_wrong() {
    let scratch = Scratch::new("doors-reload");
    let mut served = Served::configured(&scratch, "origins = ['https://one.example']\n").await;
    let mut log = served.take_stderr();
    // Reads the log up to an event, and returns what it said until then.
    let mut said_until = async |event: &str| {
        let mut said = String::new();
        while !said.contains(event) {
            let reading = log.read_line(&mut said);
            timeout(PATIENCE, reading).await.expect("it is logged").unwrap();
        }
        said
    };
    let allowed = async |origin: &str| {
        let mut raw = served.raw().await;
        raw.write(handshake_with("/t/a", &[("Origin", origin)]).as_bytes()).await;
        raw.head().await.starts_with("HTTP/1.1 101 ")
    };
    assert!(allowed("https://one.example").await && !allowed("https://two.example").await);
    scratch.write("sockeye.toml", "origins = ['https://two.example']\nmax_message = 9\n");
    served.signal(Signal::HUP);
    let said = said_until("config.reloaded").await;
    assert!(said.contains("config.needs_restart keys=max_message"), "{said}");
    assert!(said.contains("config.reloaded keys=origins"), "{said}");
    assert!(!allowed("https://one.example").await && allowed("https://two.example").await);
    scratch.write("sockeye.toml", "origin = []\n");
    served.signal(Signal::HUP);
    let said = said_until("config.reload_failed").await;
    assert!(said.contains("sockeye.toml:1: "), "{said}");
    assert!(allowed("https://two.example").await);
}

// SIG-007
#[tokio::test]
async fn hangup_gives_topics_that_are_there_other_rules() {
    let scratch = Scratch::new("doors-rules");
    let rules = |messages| format!("[[topic]]\nmatch = 'news'\nhistory = {messages}\n");
    let mut served = Served::configured(&scratch, &rules(10)).await;
    let mut log = served.take_stderr();
    for text in ["one", "two", "three"] {
        served.publish("news", text).await;
    }
    let kept = async || {
        let request = "GET /t/news?history HTTP/1.0\r\nHost: localhost\r\n\r\n";
        let answer = served.ask(request).await;
        ["one", "two", "three", "four"].map(|text| answer.contains(&format!("\"{text}\"")))
    };
    assert_eq!(kept().await, [true, true, true, false]);
    for (messages, expected) in [(2, [false, true, true, false]), (10, [false, true, true, false])]
    {
        scratch.write("sockeye.toml", &rules(messages));
        served.signal(Signal::HUP);
        let mut said = String::new();
        while !said.contains("config.reloaded keys=topic") {
            let reading = log.read_line(&mut said);
            timeout(PATIENCE, reading).await.expect("it is logged").unwrap();
        }
        assert_eq!(kept().await, expected);
    }
    served.publish("news", "four").await;
    assert_eq!(kept().await, [false, true, true, true]);
}

// LIM-013
#[tokio::test]
async fn client_that_sends_more_than_it_may_is_closed() {
    let scratch = Scratch::new("doors-rate");
    let config = "[limits]\nmessages_per_second = 1\nmessage_burst = 3\n";
    let mut served = Served::configured(&scratch, config).await;
    let mut log = served.take_stderr();
    let mut client = served.open("/t/a").await;
    for _ in 0..3 {
        client.send(0x80 | TEXT, b"x").await;
        assert_eq!(client.frame().await.unwrap().text(), "x");
    }
    for _ in 0..20 {
        client.send(0x80 | TEXT, b"x").await;
    }
    let ended = client.frame().await.unwrap();
    assert_eq!((ended.close_code(), &ended.payload[2..]), (Some(1008), &b"too many messages"[..]));
    drop(client);
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
    let mut said = String::new();
    log.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.matches("rate.exceeded").count(), 1, "{said}");
}

// LIM-012
#[tokio::test]
async fn address_has_as_many_connections_as_it_may_and_no_more() {
    let scratch = Scratch::new("doors-crowd");
    let served = Served::configured(&scratch, "[limits]\nper_ip = 2\n").await;
    let get = |accept: &str, query: &str| {
        let host = "Host: localhost\r\nConnection: close";
        format!("GET /t/a{query} HTTP/1.1\r\n{host}\r\nAccept: {accept}\r\n\r\n")
    };
    let first = served.open("/t/a").await;
    let mut second = served.raw().await;
    second.write(get("text/event-stream", "").as_bytes()).await;
    assert!(second.head().await.starts_with("HTTP/1.1 200 "));
    // A WebSocket, a stream, and a poll that would wait.
    let poll = get("application/json", "?since=oldest&wait=60");
    for request in [handshake("/t/a"), get("text/event-stream", ""), poll] {
        let mut third = served.raw().await;
        third.write(request.as_bytes()).await;
        let answer = third.response().await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    }
    // What waits for nothing takes no place.
    assert!(served.ask(&get("application/json", "")).await.starts_with("HTTP/1.1 204 "));
    drop(first);
    // Its place is free once the server has noticed.
    loop {
        let mut again = served.raw().await;
        again.write(handshake("/t/a").as_bytes()).await;
        if again.response().await.starts_with("HTTP/1.1 101 ") {
            break;
        }
    }
}
