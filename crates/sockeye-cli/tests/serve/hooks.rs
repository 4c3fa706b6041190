//! Topics whose messages a back end answers.

use serde_json::{Value, json};

use crate::scratch::Scratch;
use crate::support::{BackEnd, CLOSE, Served, TEXT};

/// A server where a back end answers what is published to `ask`.
async fn serve(scratch: &Scratch, back_end: &BackEnd) -> Served {
    let url = format!("http://{}/hook", back_end.address);
    Served::configured(scratch, &format!("[[topic]]\nmatch = 'ask'\nhook = '{url}'\n")).await
}

/// Answers by what the message says.
fn answer(question: &Value) -> String {
    match question["data"].as_str().unwrap() {
        "tell" => json!({"publish": true, "reply": {"data": "told"}}),
        "change" => json!({"publish": {"data": "changed"}}),
        "refuse" => json!({"refuse": true}),
        "broken" => json!({"publish": "what?"}),
        _ => json!({"reply": {"data": format!("only you, {}", question["topic"])}}),
    }
    .to_string()
}

#[tokio::test]
async fn back_end_answers_a_websocket_alone_or_all_of_the_topic() {
    let scratch = Scratch::new("hook-raw");
    let mut back_end = BackEnd::start(answer).await;
    let served = serve(&scratch, &back_end).await;
    let mut asker = served.open("/t/ask").await;
    let mut other = served.open("/t/ask").await;
    asker.send(0x80 | TEXT, b"question").await;
    assert_eq!(asker.frame().await.unwrap().text(), r#"only you, "ask""#);
    let question = back_end.questions.recv().await.unwrap();
    assert_eq!((&question["event"], &question["topic"]), (&json!("message"), &json!("ask")));
    assert!(question["client"].is_string() && question["ip"] == "127.0.0.1", "{question}");
    asker.send(0x80 | TEXT, b"tell").await;
    asker.send(0x80 | TEXT, b"change").await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(asker.frame().await.unwrap().text().to_owned());
    }
    got.sort();
    assert_eq!(got, ["changed", "tell", "told"]);
    for text in ["tell", "changed"] {
        assert_eq!(other.frame().await.unwrap().text(), text);
    }
    for (text, code) in [(&b"refuse"[..], 3507), (b"broken", 1013)] {
        let mut asker = served.open("/t/ask").await;
        asker.send(0x80 | TEXT, text).await;
        let frame = asker.frame().await.unwrap();
        assert_eq!((frame.opcode(), frame.close_code()), (CLOSE, Some(code)));
    }
}

#[tokio::test]
async fn back_end_answers_a_session_and_a_request() {
    let scratch = Scratch::new("hook-json");
    let back_end = BackEnd::start(answer).await;
    let served = serve(&scratch, &back_end).await;
    let mut session = served.open("/ws").await;
    assert_eq!(session.frame().await.unwrap().json()["type"], "welcome");
    for (reference, text) in ["question", "tell", "refuse", "broken"].iter().enumerate() {
        let publish =
            json!({"type": "publish", "ref": reference, "topic": "ask", "data": text}).to_string();
        session.send(0x80 | TEXT, publish.as_bytes()).await;
    }
    let mut answers = Vec::new();
    for reference in 0..4 {
        let answer = session.frame().await.unwrap().json();
        assert_eq!(answer["ref"], reference);
        answers.push(answer);
    }
    assert_eq!(answers[0]["reply"], json!({"data": "only you, \"ask\""}));
    assert!(answers[0].get("id").is_none() && answers[1]["id"].is_string());
    assert_eq!(answers[1]["reply"], json!({"data": "told"}));
    let codes = [&answers[2]["code"], &answers[3]["code"]];
    assert_eq!(codes, ["permission_denied", "internal"]);

    for (text, status, body) in [
        ("question", 200, json!({"reply": {"data": "only you, \"ask\""}})),
        (
            "refuse",
            403,
            json!({"error": {"code": "permission_denied", "message": "not permitted"}}),
        ),
    ] {
        let request = format!(
            "POST /t/ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let answer = served.ask(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (_, told) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(serde_json::from_str::<Value>(told).unwrap(), body);
    }
}
