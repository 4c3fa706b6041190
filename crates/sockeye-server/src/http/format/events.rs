//! `text/event-stream`: what a browser's `EventSource` reads (HTML standard, 9.2).
//!
//! A text comes as it is, line by line; the standard makes every end of a line a line feed. Bytes
//! that are no text come as base64 under the event `binary`, or `binary.NAME` if they have an
//! event. A stream of several topics tells of each message which it is of: its data is the JSON
//! form of the message, the same as everywhere. Gaps come as the event `gap`, the end of a grant
//! as `expired`, and that an operator has disconnected the client as `disconnected`.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sockeye_hub::{Gap, Id, JOIN, Kind, LEAVE, Message};

use super::{End, Format};
use crate::envelope::{write_gap, write_message};

/// Writes server-sent events.
pub(in crate::http) struct Events {
    pub(in crate::http) breadth: Breadth,
    /// After how long a client that lost the stream is to come back.
    pub(in crate::http) retry: Duration,
}

/// How many topics a stream is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Breadth {
    One,
    Several,
}

/// Tells whether an event is the server's: streams of events have a meaning for it, or it tells who
/// came and went. Nobody may publish under it, by whatever door.
pub(crate) fn is_reserved(event: &str) -> bool {
    matches!(event, GAP | EXPIRED | DISCONNECTED | BINARY | JOIN | LEAVE)
        || event.starts_with("binary.")
}

impl Format for Events {
    fn content_type(&self) -> String {
        "text/event-stream".to_owned()
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        field(out, "retry", &self.retry.as_millis().to_string());
        end(out);
    }

    fn cursor(&mut self, out: &mut Vec<u8>, cursor: Id) {
        // Without data nothing is dispatched, but the id is kept.
        field(out, "id", &cursor.to_string());
        end(out);
    }

    fn message(&mut self, out: &mut Vec<u8>, message: &Message) {
        field(out, "id", &message.id.to_string());
        let event = message.event.as_ref().map(|event| event.as_str());
        let text = match message.payload.kind() {
            Kind::Text => std::str::from_utf8(message.payload.bytes()).ok(),
            Kind::Binary => None,
        };
        match (self.breadth, text) {
            (Breadth::Several, _) => {
                named(out, event);
                let mut json = String::new();
                write_message(&mut json, message);
                field(out, "data", &json);
            }
            (Breadth::One, Some(text)) => {
                named(out, event);
                data(out, text);
            }
            (Breadth::One, None) => {
                let event = event.map_or(BINARY.to_owned(), |event| format!("{BINARY}.{event}"));
                named(out, Some(&event));
                field(out, "data", &BASE64_STANDARD.encode(message.payload.bytes()));
            }
        }
        end(out);
    }

    fn gap(&mut self, out: &mut Vec<u8>, gap: &Gap) {
        named(out, Some(GAP));
        let mut json = String::new();
        write_gap(&mut json, gap);
        field(out, "data", &json);
        end(out);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b":\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>, why: End) {
        match why {
            End::Disconnected | End::Expired => {
                named(out, Some(if why == End::Expired { EXPIRED } else { DISCONNECTED }));
                field(out, "data", &why.json().unwrap_or_default());
                end(out);
            }
            End::Slow => {}
            End::Stopping { retry } => {
                field(out, "retry", &retry.as_millis().to_string());
                end(out);
            }
        }
    }
}

/// Writes the lines of a text, of which CR, LF and CR LF end one.
fn data(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some((line, behind)) = rest.split_once(['\r', '\n']) {
        field(out, "data", line);
        let is_pair = rest.as_bytes().get(line.len()) == Some(&b'\r') && behind.starts_with('\n');
        rest = if is_pair { behind.strip_prefix('\n').unwrap_or(behind) } else { behind };
    }
    field(out, "data", rest);
}

fn named(out: &mut Vec<u8>, event: Option<&str>) {
    if let Some(event) = event {
        field(out, "event", event);
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn end(out: &mut Vec<u8>) {
    out.push(b'\n');
}

const BINARY: &str = "binary";
const DISCONNECTED: &str = "disconnected";
const EXPIRED: &str = "expired";
const GAP: &str = "gap";

#[cfg(test)]
mod tests;
