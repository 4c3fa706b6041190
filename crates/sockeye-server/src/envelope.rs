//! The JSON form of messages and gaps, the same wherever JSON is spoken: the WebSocket protocol,
//! NDJSON, long polls, histories.
//!
//! ```text
//! {"type":"message","topic":"chat","id":"k3x-7","time":1763726400123,"event":"edit","data":"text"}
//! {"type":"message","topic":"chat","id":"k3x-8","time":1763726400150,"base64":"AAEC"}
//! {"type":"gap","topic":"chat","after":3,"before":7,"reason":"evicted"}
//! ```
//!
//! `data` is always a text, the very one that was published; bytes that are no text come as
//! `base64`. A publisher that wants to send JSON sends its text, as with a plain WebSocket.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sockeye_hub::{Gap, GapReason, Kind, Message, Payload};

/// Appends a message, one JSON object without a line break.
pub fn write_message(out: &mut String, message: &Message) {
    out.reserve(FRAME_BYTES.saturating_add(message.payload.bytes().len()));
    out.push_str(r#"{"type":"message","topic":"#);
    write_text(out, message.topic.as_str());
    let time = message.at.as_millis();
    write_infallibly(out, format_args!(r#","id":"{}","time":{time}"#, message.id));
    if let Some(event) = &message.event {
        out.push_str(r#","event":"#);
        write_text(out, event.as_str());
    }
    write_payload(out, &message.payload);
    out.push('}');
}

/// Appends a gap, one JSON object without a line break.
pub fn write_gap(out: &mut String, gap: &Gap) {
    out.push_str(r#"{"type":"gap","topic":"#);
    write_text(out, gap.topic.as_str());
    let reason = reason(gap.reason);
    let Gap { after, before, .. } = gap;
    write_infallibly(
        out,
        format_args!(r#","after":{after},"before":{before},"reason":"{reason}""#),
    );
    if let GapReason::Slow { dropped } = gap.reason {
        write_infallibly(out, format_args!(r#","dropped":{dropped}"#));
    }
    out.push('}');
}

/// Appends a text as a JSON string.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(text.get(plain..at).unwrap_or_default());
        plain = at.saturating_add(1);
        if escaped.is_empty() {
            write_infallibly(out, format_args!("\\u{byte:04x}"));
        } else {
            out.push_str(escaped);
        }
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

/// Names why messages are missing. The names never change.
fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Epoch => "epoch",
        GapReason::Evicted => "evicted",
        GapReason::Future => "future",
        GapReason::Slow { .. } => "slow",
        GapReason::Unreadable => "unreadable",
        _ => "unknown",
    }
}

/// Appends a payload as an object of its own.
pub fn write_payload_object(out: &mut String, payload: &Payload) {
    let at = out.len();
    write_payload(out, payload);
    // In place of the comma between members.
    out.replace_range(at..=at, "{");
    out.push('}');
}

/// Appends a payload as the next member of an object: `data` for text, `base64` for bytes.
pub fn write_payload(out: &mut String, payload: &Payload) {
    let bytes = payload.bytes();
    let text = match payload.kind() {
        Kind::Text => std::str::from_utf8(bytes).ok(),
        Kind::Binary => None,
    };
    if let Some(text) = text {
        out.push_str(r#","data":"#);
        write_text(out, text);
    } else {
        out.push_str(r#","base64":""#);
        BASE64_STANDARD.encode_string(bytes, out);
        out.push('"');
    }
}

fn write_infallibly(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _ = out.write_fmt(arguments);
}

/// Bytes of a message's JSON besides its payload, as they mostly are.
const FRAME_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use sockeye_hub::{Epoch, Hub, Label, Limits, Listener, Publication, Rules, Since, TopicName};

    use super::*;

    /// Keeps the JSON of what it gets.
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Listener for Lines {
        fn deliver(&self, message: &Arc<Message>) {
            let mut line = String::new();
            write_message(&mut line, message);
            self.0.lock().unwrap().push(line);
        }
    }

    /// Publishes and returns the message's JSON.
    fn published(topic: &str, event: Option<&str>, payload: Payload) -> String {
        let hub = Hub::new(Epoch::from_random(35), Rules::default(), Limits::default());
        let lines = Arc::new(Lines::default());
        let listener: Arc<dyn Listener> = lines.clone();
        let topic: TopicName = topic.parse().unwrap();
        hub.subscribe(std::slice::from_ref(&topic), Since::Now, &listener, Duration::ZERO);
        let mut publication = Publication::new(topic, payload);
        publication.event = event.map(|event| Label::new(event).unwrap());
        hub.publish(publication, Duration::from_millis(1_763_726_400_123)).unwrap();
        lines.0.lock().unwrap().remove(0)
    }

    #[test]
    fn message_is_one_object_with_its_id_and_time() {
        assert_eq!(
            published("chat", Some("edit"), Payload::text("say \"hi\"\n")),
            r#"{"type":"message","topic":"chat","id":"z-1","time":1763726400123,"event":"edit","data":"say \"hi\"\n"}"#
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_as_base64() {
        let line: Value =
            serde_json::from_str(&published("a", None, Payload::binary(vec![0, 1, 255]))).unwrap();
        assert_eq!((&line["base64"], line.get("data")), (&json!("AAH/"), None));
    }

    #[test]
    fn gap_tells_its_bounds_and_its_reason() {
        let mut out = String::new();
        let topic: TopicName = "a".parse().unwrap();
        let reason = GapReason::Slow { dropped: 3 };
        write_gap(&mut out, &Gap { topic, after: 2, before: 6, reason });
        assert_eq!(
            out,
            r#"{"type":"gap","topic":"a","after":2,"before":6,"reason":"slow","dropped":3}"#
        );
    }

    proptest! {
        #[test]
        fn every_text_reads_back_from_its_json(text in any::<String>()) {
            let mut out = String::new();
            write_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            prop_assert!(!out.contains('\n'));
        }
    }
}
