//! `application/x-ndjson`: a line of JSON for each message; empty lines mean nothing.
//!
//! ```text
//! {"type":"welcome","id":"k3x-6"}
//! {"type":"message","topic":"chat","id":"k3x-7","time":1763726400123,"data":"hello"}
//!
//! {"type":"retry","retry":1730}
//! ```

use sockeye_hub::{Gap, Id, Message};

use super::{End, Format};
use crate::envelope::{write_gap, write_message};

/// Writes lines of JSON.
#[derive(Default)]
pub(in crate::http) struct Lines;

impl Format for Lines {
    fn content_type(&self) -> String {
        "application/x-ndjson".to_owned()
    }

    fn open(&mut self, _out: &mut Vec<u8>) {}

    fn cursor(&mut self, out: &mut Vec<u8>, cursor: Id) {
        line(out, &format!(r#"{{"type":"welcome","id":"{cursor}"}}"#));
    }

    fn message(&mut self, out: &mut Vec<u8>, message: &Message) {
        let mut json = String::new();
        write_message(&mut json, message);
        line(out, &json);
    }

    fn gap(&mut self, out: &mut Vec<u8>, gap: &Gap) {
        let mut json = String::new();
        write_gap(&mut json, gap);
        line(out, &json);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        line(out, "");
    }

    fn close(&mut self, out: &mut Vec<u8>, end: End) {
        if let Some(json) = end.json() {
            line(out, &json);
        }
    }
}

fn line(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(json.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use serde_json::Value;
    use sockeye_hub::Kind;

    use super::super::testing::{events, message, payloads};
    use super::*;

    proptest! {
        #[test]
        fn every_message_is_one_line_and_reads_back(event in events(), payload in payloads()) {
            let message = message(event.as_deref(), payload.clone());
            let mut out = Vec::new();
            Lines.heartbeat(&mut out);
            Lines.message(&mut out, &message);
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert_eq!(lines.len(), 3);
            prop_assert_eq!((lines[0], lines[2]), ("", ""));
            let read: Value = serde_json::from_str(lines[1]).unwrap();
            prop_assert_eq!(read["event"].as_str(), event.as_deref());
            let bytes = match payload.kind() {
                Kind::Text => read["data"].as_str().unwrap().as_bytes().to_vec(),
                Kind::Binary => BASE64_STANDARD.decode(read["base64"].as_str().unwrap()).unwrap(),
            };
            prop_assert_eq!(&bytes[..], &payload.bytes()[..]);
        }
    }
}
