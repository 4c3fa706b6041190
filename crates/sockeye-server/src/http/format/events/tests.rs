//! What an `EventSource` would make of what is written.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use sockeye_hub::{Epoch, GapReason, Payload};

use super::super::testing::{events, message, payloads};
use super::*;

/// What is dispatched.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dispatched {
    event: String,
    data: String,
    last_id: String,
}

/// Reads as the HTML standard says, section 9.2.6.
#[derive(Default)]
struct EventSource {
    data: String,
    event: String,
    last_id: String,
    retry: Option<u64>,
    dispatched: Vec<Dispatched>,
}

impl EventSource {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut source = Self::default();
        // What stands behind the last line end is no line yet.
        let (whole, _) = lines.rsplit_once('\n').unwrap_or_default();
        for line in whole.split('\n') {
            source.line(line);
        }
        source
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match line.split_once(':') {
            Some(("", _)) => return,
            Some((name, value)) => (name, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match name {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let (data, event) = (std::mem::take(&mut self.data), std::mem::take(&mut self.event));
        if data.is_empty() {
            return;
        }
        let data = data.strip_suffix('\n').unwrap().to_owned();
        let event = if event.is_empty() { "message".to_owned() } else { event };
        self.dispatched.push(Dispatched { event, data, last_id: self.last_id.clone() });
    }
}

fn one() -> Events {
    Events { breadth: Breadth::One, retry: Duration::from_secs(2) }
}

fn written(write: impl FnOnce(&mut Events, &mut Vec<u8>)) -> EventSource {
    let mut out = Vec::new();
    write(&mut one(), &mut out);
    EventSource::read(&out)
}

fn read_back(event: Option<&str>, payload: Payload) -> Dispatched {
    let message = message(event, payload);
    written(|events, out| events.message(out, &message)).dispatched.pop().unwrap()
}

#[test]
fn cursor_is_kept_and_nothing_is_dispatched() {
    let cursor = Id { epoch: Epoch::from_random(1), seq: 7 };
    let source = written(|events, out| {
        events.open(out);
        events.cursor(out, cursor);
        events.heartbeat(out);
    });
    assert_eq!((source.last_id.as_str(), source.retry), ("1-7", Some(2_000)));
    assert_eq!(source.dispatched, []);
}

// FBK-023
#[test]
fn line_ends_of_a_payload_split_its_data_and_never_make_a_field_or_an_event() {
    let attack = "a\n\nid: 9-9\r\revent: x\r\n\r\n\0data: y\n";
    let seen = read_back(None, Payload::text(attack));
    assert_eq!(seen.data, "a\n\nid: 9-9\n\nevent: x\n\n\0data: y\n");
    assert_eq!((seen.event.as_str(), seen.last_id.as_str()), ("message", "1-1"));
}

#[test]
fn empty_payload_is_dispatched_too() {
    assert_eq!(read_back(None, Payload::text("")).data, "");
    assert_eq!(read_back(None, Payload::binary("")).event, "binary");
}

#[test]
fn bytes_come_as_base64_under_an_event_that_nobody_may_publish() {
    let seen = read_back(None, Payload::binary(vec![0, 1, 255]));
    assert_eq!((seen.event.as_str(), seen.data.as_str()), ("binary", "AAH/"));
    let seen = read_back(Some("frame"), Payload::binary(vec![0]));
    assert_eq!((seen.event.as_str(), seen.data.as_str()), ("binary.frame", "AA=="));
    for event in ["binary", "binary.frame", "gap", "expired"] {
        assert!(is_reserved(event), "{event}");
    }
    assert!(!is_reserved("binaries"));
}

#[test]
fn gap_is_an_event_with_its_json() {
    let gap = Gap {
        topic: "a".parse().unwrap(),
        after: 1,
        before: 4,
        reason: GapReason::Slow { dropped: 2 },
    };
    let seen = written(|events, out| events.gap(out, &gap)).dispatched.pop().unwrap();
    let json: Value = serde_json::from_str(&seen.data).unwrap();
    assert_eq!((seen.event.as_str(), &json["dropped"]), ("gap", &2.into()));
}

#[test]
fn end_is_told_by_an_event_or_by_when_to_come_back() {
    let expired = written(|events, out| events.close(out, End::Expired));
    assert_eq!(expired.dispatched[0].event, "expired");
    let retry = Duration::from_millis(1_730);
    let stopping = written(|events, out| events.close(out, End::Stopping { retry }));
    assert_eq!((stopping.retry, stopping.dispatched.len()), (Some(1_730), 0));
}

#[test]
fn stream_of_several_topics_tells_which_a_message_is_of() {
    let message = message(Some("edit"), Payload::text("a\nb"));
    let mut out = Vec::new();
    Events { breadth: Breadth::Several, retry: Duration::ZERO }.message(&mut out, &message);
    let seen = EventSource::read(&out).dispatched.pop().unwrap();
    let json: Value = serde_json::from_str(&seen.data).unwrap();
    assert_eq!((seen.event.as_str(), json["topic"].as_str()), ("edit", Some("a")));
    assert_eq!(json["data"], "a\nb");
}

proptest! {
    #[test]
    fn event_source_reads_back_what_was_published(event in events(), payload in payloads()) {
        prop_assume!(!event.as_deref().is_some_and(is_reserved));
        let seen = read_back(event.as_deref(), payload.clone());
        let event = event.unwrap_or_else(|| "message".into());
        match std::str::from_utf8(payload.bytes()) {
            Ok(text) if payload.kind() == Kind::Text => {
                prop_assert_eq!(seen.data, text.replace("\r\n", "\n").replace('\r', "\n"));
                prop_assert_eq!(seen.event, event);
            }
            _ => {
                prop_assert_eq!(&BASE64_STANDARD.decode(seen.data).unwrap()[..], &payload.bytes()[..]);
                prop_assert!(is_reserved(&seen.event));
            }
        }
        prop_assert_eq!(seen.last_id, "1-1");
    }
}
