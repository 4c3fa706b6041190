//! Streams on connections as clients use them: behind other requests, pipelined, by old clients.

use rustix::process::Signal;

use crate::support::{Raw, Served};

const CHUNK_END: &str = "\r\n0\r\n\r\n";

fn get(path: &str, version: &str) -> String {
    format!("GET {path} HTTP/{version}\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
}

/// Reads on until a text has come; returns all that came.
async fn until(raw: &mut Raw, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        all.push_str(&String::from_utf8(raw.piece().await).unwrap());
    }
    all
}

#[tokio::test]
async fn stream_follows_other_requests_and_is_the_last_of_its_connection() {
    let served = Served::start(&["serve"]).await;
    let mut raw = served.raw().await;
    for _ in 0..3 {
        raw.write(get("/healthz", "1.1").as_bytes()).await;
        assert!(raw.response().await.starts_with("HTTP/1.1 200 "));
    }
    raw.write(get("/t/river", "1.1").as_bytes()).await;
    let head = raw.head().await;
    for line in ["content-type: text/event-stream", "transfer-encoding: chunked", "date: "] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains("connection: close\r\n"), "{head}");
    served.publish("river", "first").await;
    until(&mut raw, "data: first\n\n\r\n").await;
    // What comes behind it is not answered.
    raw.write(get("/healthz", "1.1").as_bytes()).await;
    served.publish("river", "second").await;
    let all = until(&mut raw, "data: second\n\n\r\n").await;
    assert!(!all.contains("HTTP/1.1"), "{all}");
    served.signal(Signal::TERM);
    served.end().await;
    let rest = String::from_utf8(raw.rest().await).unwrap();
    assert!(rest.contains("retry: ") && rest.ends_with(CHUNK_END), "{rest}");
}

#[tokio::test]
async fn stream_that_is_pipelined_begins_when_all_answers_before_it_are_whole() {
    let served = Served::start(&["serve"]).await;
    let mut raw = served.raw().await;
    // More than the buffers of both ends take, so that they are not written when the stream is asked
    // for.
    let pages = 400;
    let asked = get("/assets/style.css", "1.1").repeat(pages) + &get("/t/river", "1.1");
    raw.write(asked.as_bytes()).await;
    let first = raw.response().await;
    for _ in 1..pages {
        let page = raw.response().await;
        assert_eq!(page.len(), first.len());
    }
    assert!(raw.head().await.contains("text/event-stream"));
    served.publish("river", "flows").await;
    until(&mut raw, "data: flows\n\n\r\n").await;
}

#[tokio::test]
async fn client_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_its_connection() {
    let served = Served::start(&["serve"]).await;
    let mut raw = served.raw().await;
    let stays = "Connection: keep-alive\r\n\r\n";
    raw.write(get("/t/river", "1.0").replace("\r\n\r\n", &format!("\r\n{stays}")).as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.0 200 ") && !head.contains("chunked"), "{head}");
    assert!(!head.contains("keep-alive"), "{head}");
    served.publish("river", "flows").await;
    let all = until(&mut raw, "data: flows\n\n").await;
    assert!(all.starts_with("retry: "), "{all}");
    served.signal(Signal::TERM);
    served.end().await;
    let rest = String::from_utf8(raw.rest().await).unwrap();
    assert!(!rest.contains("0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn client_that_leaves_its_stream_is_no_subscriber_any_more() {
    let served = Served::start(&["serve"]).await;
    let mut raw = served.raw().await;
    raw.write(get("/t/river", "1.1").as_bytes()).await;
    raw.head().await;
    let info = || async { served.ask(&get("/t/river?info", "1.0")).await };
    assert!(info().await.contains("\"subscribers\":1"));
    drop(raw);
    while !info().await.contains("\"subscribers\":0") {
        tokio::task::yield_now().await;
    }
}
