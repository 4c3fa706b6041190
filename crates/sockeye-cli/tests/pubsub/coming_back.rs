//! When a subscriber comes back, when it does not, and after how long, with servers that a test plays.

use std::time::{Duration, Instant};

use sockeye::{CloseCode, CloseInfo, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::process::Run;
use crate::scratch::Scratch;
use crate::support::{PATIENCE, Raw};

/// Serves `/ws` by closing each connection as the next of `ends` says; `None` welcomes it and
/// keeps it open. Returns the URL, and how each connection ended.
async fn close_each(
    ends: Vec<Option<(u16, &'static str)>>,
) -> (String, mpsc::UnboundedReceiver<(Instant, Option<CloseInfo>)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let ends = std::sync::Arc::new(std::sync::Mutex::new(ends.into_iter()));
    let server = Server::bind("127.0.0.1:0").subprotocols(["sockeye.v1.json"]);
    let server = server.route("/ws", move |mut ws, _| {
        let (tell, end) = (tell.clone(), ends.lock().unwrap().next().flatten());
        async move {
            match end {
                Some((1006, _)) => {
                    let _ = tell.send((Instant::now(), None));
                    ws.abort();
                }
                Some((code, reason)) => {
                    let _ = tell.send((Instant::now(), None));
                    ws.close(CloseCode::new(code), reason).await?;
                }
                None => {
                    ws.send(r#"{"type":"welcome","id":"e-1"}"#).await?;
                    ws.recv().await?;
                    let _ = tell.send((Instant::now(), None));
                    ws.recv().await?;
                    let _ = tell.send((Instant::now(), ws.close_info().cloned()));
                }
            }
            Ok(())
        }
    });
    let server = server.listen().await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    tokio::spawn(server.serve());
    (url, told)
}

const FAST: [&str; 4] = ["--retry-first", "0.01", "--retry-longest", "0.05"];

// REC-002
#[tokio::test]
async fn every_end_but_1000_is_come_back_from_and_1012_and_1013_when_they_say() {
    let ends = [1001, 1006, 1011, 1012, 1013].map(|code| Some((code, "")));
    let asked = [1012, 1013].map(|code| Some((code, "retry-after=1")));
    let ends = [&ends[..], &asked, &[Some((1000, ""))]].concat();
    let (url, mut told) = close_each(ends.clone()).await;
    let run = Run::start(&[&["sub", &url, "a"], &FAST[..]].concat());
    let mut moments = Vec::new();
    for _ in &ends {
        moments.push(timeout(PATIENCE, told.recv()).await.expect("it comes").unwrap().0);
    }
    for after in [6, 7] {
        assert!(moments[after] - moments[after - 1] >= Duration::from_secs(1));
    }
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(told.try_recv().is_err(), "nobody comes after 1000");
    assert_eq!(ended.stderr.matches("trying again").count(), 7, "{ended:?}");
}

#[tokio::test]
async fn a_client_that_may_not_connect_does_not_come_back() {
    for (code, reason) in [(3500, "invalid_token"), (3501, ""), (3507, "")] {
        let (url, mut told) = close_each(vec![Some((code, reason))]).await;
        let ended = Run::start(&["sub", &url, "a", "--token", "t"]).end().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(&code.to_string()), "{ended:?}");
        told.recv().await.unwrap();
        assert!(told.try_recv().is_err());
    }
}

// REC-005
#[tokio::test]
async fn a_server_that_accepts_and_closes_at_once_is_waited_for_longer_and_longer() {
    let (url, _told) = close_each(vec![Some((1001, "")); 10_000]).await;
    let pace = ["--retry-first", "0.001", "--retry-longest", "0.4"];
    let mut run = Run::start(&[&["sub", &url, "a"], &pace[..]].concat());
    // If opening counted as a success, no wait would be longer than a millisecond.
    let mut tries = 0;
    while wait_told(&run.complaint().await) < 0.2 {
        tries += 1;
    }
    assert!(tries >= 8, "a wait of 0.2 s comes after 8 failures at the earliest, not {tries}");
    run.kill().await;
}

/// Reads how long a complaint says that it waits.
fn wait_told(complaint: &str) -> f64 {
    let (_, wait) = complaint.split_once("trying again in ").expect(complaint);
    wait.strip_suffix(" s").unwrap().parse().unwrap()
}

/// Answers each request with the next of `answers`; tells of each, and when it was answered.
async fn answer_each(answers: Vec<String>) -> (String, mpsc::UnboundedReceiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, answered) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let mut raw = Raw::new(listener.accept().await.unwrap().0);
            raw.head().await;
            tell.send(Instant::now()).unwrap();
            raw.write(answer.as_bytes()).await;
        }
    });
    (url, answered)
}

fn refusal(status: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

// REC-003
#[tokio::test]
async fn a_refused_token_is_read_anew_once_and_then_it_ends() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (url, mut requests) = answer_each(vec![refusal(status, ""); 3]).await;
        let ended = Run::start(&[&["sub", &url, "a", "--token", "same"], &FAST[..]].concat());
        assert_eq!(ended.end().await.code, Some(1));
        assert!(requests.try_recv().is_ok() && requests.try_recv().is_err());
    }
    let scratch = Scratch::new("pubsub-token");
    let file = format!("@{}", scratch.write("token", "one\n"));
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", held.local_addr().unwrap());
    let run = Run::start(&[&["sub", &url, "a", "--token", &file], &FAST[..]].concat());
    for token in ["one", "two"] {
        let mut raw = Raw::new(timeout(PATIENCE, held.accept()).await.unwrap().unwrap().0);
        assert!(raw.head().await.contains(&format!("Authorization: Bearer {token}\r\n")));
        scratch.write("token", "two\n");
        raw.write(refusal("401 Unauthorized", "").as_bytes()).await;
    }
    let ended = run.end().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.lines().last().unwrap().contains("401"), "{ended:?}");
}

// REC-004
#[tokio::test]
async fn retry_after_is_waited_for_up_to_five_minutes() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        for (asked, least) in [(30, 30.0), (3_600, 300.0)] {
            let header = format!("Retry-After: {asked}\r\n");
            let (url, _requests) = answer_each(vec![refusal(status, &header)]).await;
            let mut run = Run::start(&["sub", &url, "a"]);
            let wait = wait_told(&run.complaint().await);
            assert!((least..=least + 0.5).contains(&wait), "{status} {asked}: {wait}");
            run.kill().await;
        }
        // What is told is what is waited.
        let (url, mut requests) =
            answer_each(vec![refusal(status, "Retry-After: 1\r\n"), refusal("404 No", "")]).await;
        let run = Run::start(&["sub", &url, "a"]);
        let first = timeout(PATIENCE, requests.recv()).await.unwrap().unwrap();
        let second = timeout(PATIENCE, requests.recv()).await.unwrap().unwrap();
        assert!(second - first >= Duration::from_secs(1));
        assert_eq!(run.end().await.code, Some(1));
    }
}

#[tokio::test]
async fn an_interrupt_closes_with_1001_and_exits_with_130() {
    let (url, mut told) = close_each(vec![None]).await;
    let run = Run::start(&["sub", &url, "a"]);
    timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    run.interrupt();
    let (_, info) = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!(info.unwrap().code, CloseCode::AWAY);
    assert_eq!(run.end().await.code, Some(130));
}
