//! `multipart/mixed` and `multipart/x-mixed-replace`: the payloads as they are, each in a part.
//!
//! ```text
//! --B
//! Content-Type: text/plain; charset=utf-8
//! Content-Length: 5
//! ETag: "k3x-7"
//! Topic: chat
//! Event: edit
//!
//! hello
//! --B
//! ```
//!
//! The boundary behind a part comes with it, so that a reader knows at once that the part is
//! whole. It is random for each stream, and a payload that holds it all the same comes as base64.
//! Gaps and the like are parts of JSON under an event. A space behind a boundary is padding (RFC
//! 2046, section 5.1.1), and so a sign of life.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sockeye_hub::{Gap, Id, Kind, Message};

use super::super::text::encode_header;
use super::{End, Format};
use crate::envelope::write_gap;

/// Writes parts.
pub(in crate::http) struct Parts {
    /// What no payload has.
    pub(in crate::http) boundary: String,
    pub(in crate::http) replacement: Replacement,
}

/// What a part does to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Replacement {
    /// Nothing.
    None,
    /// Takes its place, as the frames of a film do.
    Previous,
}

impl Format for Parts {
    fn content_type(&self) -> String {
        let subtype = match self.replacement {
            Replacement::None => "mixed",
            Replacement::Previous => "x-mixed-replace",
        };
        format!("multipart/{subtype}; boundary={}", self.boundary)
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        self.delimit(out);
    }

    fn cursor(&mut self, out: &mut Vec<u8>, cursor: Id) {
        self.json(out, "welcome", &format!(r#"{{"type":"welcome","id":"{cursor}"}}"#));
    }

    fn message(&mut self, out: &mut Vec<u8>, message: &Message) {
        let kind = match message.payload.kind() {
            Kind::Binary => "application/octet-stream",
            Kind::Text => "text/plain; charset=utf-8",
        };
        let topic = encode_header(message.topic.as_str());
        let mut headers = format!("ETag: \"{}\"\r\nTopic: {topic}\r\n", message.id);
        if let Some(event) = &message.event {
            // Writing to a String never fails.
            let _ = write!(headers, "Event: {}\r\n", encode_header(event.as_str()));
        }
        self.part(out, kind, headers, message.payload.bytes());
    }

    fn gap(&mut self, out: &mut Vec<u8>, gap: &Gap) {
        let mut json = String::new();
        write_gap(&mut json, gap);
        self.json(out, "gap", &json);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.push(b' ');
    }

    fn close(&mut self, out: &mut Vec<u8>, end: End) {
        match (end, end.json()) {
            (End::Disconnected, Some(json)) => self.json(out, "disconnected", &json),
            (End::Expired, Some(json)) => self.json(out, "expired", &json),
            (_, Some(json)) => self.json(out, "retry", &json),
            (_, None) => {}
        }
        out.extend_from_slice(b"--\r\n");
    }
}

impl Parts {
    fn json(&self, out: &mut Vec<u8>, event: &str, json: &str) {
        let headers = format!("Event: {event}\r\n");
        self.part(out, "application/json", headers, json.as_bytes());
    }

    /// Writes a part and the boundary behind it.
    fn part(&self, out: &mut Vec<u8>, kind: &str, mut headers: String, bytes: &[u8]) {
        let encoded;
        let mut bytes = bytes;
        if holds(bytes, self.boundary.as_bytes()) {
            headers.push_str("Content-Transfer-Encoding: base64\r\n");
            encoded = BASE64_STANDARD.encode(bytes);
            bytes = encoded.as_bytes();
        }
        let length = bytes.len();
        let head = format!("\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n");
        for part in [head.as_bytes(), bytes, b"\r\n"] {
            out.extend_from_slice(part);
        }
        self.delimit(out);
    }

    fn delimit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"--");
        out.extend_from_slice(self.boundary.as_bytes());
    }
}

/// Tells whether `bytes` hold `wanted`.
fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len().max(1)).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockeye_hub::{Epoch, Payload};

    use super::super::super::text::decode_header;
    use super::super::testing::{events, message, payloads};
    use super::*;

    /// A part as a reader gets it.
    struct Part {
        headers: Vec<(String, String)>,
        bytes: Vec<u8>,
    }

    impl Part {
        fn header(&self, name: &str) -> Option<&str> {
            let found = self.headers.iter().find(|(one, _)| one == name);
            found.map(|(_, value)| value.as_str())
        }
    }

    /// Reads by boundaries alone, as RFC 2046 says. Tells whether the end was there.
    fn read(text: &[u8], boundary: &str) -> (Vec<Part>, bool) {
        let delimiter = format!("\r\n--{boundary}");
        // The first boundary may do without the line end before it.
        let mut rest = [b"\r\n", text].concat();
        let mut parts = Vec::new();
        let mut take = || {
            let at = rest.windows(delimiter.len()).position(|at| at == delimiter.as_bytes())?;
            let before = rest[..at].to_vec();
            rest.drain(..at + delimiter.len());
            let padding = rest.iter().take_while(|byte| **byte == b' ').count();
            rest.drain(..padding);
            Some((before, rest.starts_with(b"--")))
        };
        assert_eq!(take().unwrap().0, b"");
        while let Some((part, is_end)) = take() {
            let part = part.strip_prefix(b"\r\n").unwrap();
            let at = part.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
            let head = std::str::from_utf8(&part[..at]).unwrap();
            let headers = head.split("\r\n").map(|line| line.split_once(": ").unwrap());
            let headers =
                headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            parts.push(Part { headers, bytes: part[at + 4..].to_vec() });
            if is_end {
                return (parts, true);
            }
        }
        (parts, false)
    }

    fn parts() -> Parts {
        Parts { boundary: "B".repeat(32), replacement: Replacement::None }
    }

    // FBK-027
    #[test]
    fn payload_that_holds_the_boundary_comes_as_base64_and_ends_no_part() {
        let mut parts = parts();
        let attack = format!("a\r\n--{}--\r\nb", parts.boundary);
        let mut out = Vec::new();
        parts.open(&mut out);
        parts.message(&mut out, &message(None, Payload::text(attack.clone())));
        parts.close(&mut out, End::Slow);
        let (read, has_ended) = read(&out, &parts.boundary);
        assert_eq!((read.len(), has_ended), (1, true));
        assert_eq!(read[0].header("Content-Transfer-Encoding"), Some("base64"));
        assert_eq!(BASE64_STANDARD.decode(&read[0].bytes).unwrap(), attack.as_bytes());
    }

    #[test]
    fn cursor_and_end_are_parts_of_json_and_a_heartbeat_is_padding() {
        let mut parts = parts();
        let mut out = Vec::new();
        parts.open(&mut out);
        parts.heartbeat(&mut out);
        parts.cursor(&mut out, Id { epoch: Epoch::from_random(1), seq: 7 });
        parts.heartbeat(&mut out);
        parts.heartbeat(&mut out);
        parts.close(&mut out, End::Expired);
        let (read, has_ended) = read(&out, &parts.boundary);
        let events: Vec<_> = read.iter().map(|part| part.header("Event").unwrap()).collect();
        assert_eq!((&events[..], has_ended), (&["welcome", "expired"][..], true));
        assert_eq!(read[0].bytes, br#"{"type":"welcome","id":"1-7"}"#);
    }

    proptest! {
        #[test]
        fn every_message_is_one_part_and_reads_back(event in events(), payload in payloads()) {
            let mut parts = parts();
            let mut out = Vec::new();
            parts.open(&mut out);
            parts.message(&mut out, &message(event.as_deref(), payload.clone()));
            let (read, _) = read(&out, &parts.boundary);
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0].bytes[..], &payload.bytes()[..]);
            let length = payload.bytes().len().to_string();
            prop_assert_eq!(read[0].header("Content-Length"), Some(length.as_str()));
            prop_assert_eq!(read[0].header("ETag"), Some("\"1-1\""));
            let named = read[0].header("Event").map(|name| decode_header(name.as_bytes()).unwrap());
            prop_assert_eq!(named, event);
        }
    }
}
