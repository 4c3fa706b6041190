//! The record of a connection: what went over the wire, by whom and when.
//!
//! Bounded: of a long conversation the first and the last entries are kept, of each entry the
//! first bytes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::frame::Header;

/// One thing that happened on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the case began.
    pub at_ms: f64,
    /// Who did it.
    pub by: By,
    /// What it was, in words: `TEXT, 5 bytes, FIN, masked` or `the connection ends`.
    pub what: String,
    /// The first bytes of the frame or head as they stood on the wire, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hex: String,
    /// The payload's first bytes for a reader: text, or bytes with escapes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub payload: String,
}

/// Whose doing an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The tester.
    Tester,
    /// The peer under test.
    Peer,
}

/// Entries in order; those in the middle of a long conversation are left out and counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// The first entries.
    pub first: Vec<Entry>,
    /// How many stood between the first and the last.
    pub left_out: usize,
    /// The last entries.
    pub last: Vec<Entry>,
}

/// The log of a connection that is still open, its entries not yet worded.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    first: Vec<Happening>,
    left_out: usize,
    last: VecDeque<Happening>,
}

/// An entry before it is worded.
#[derive(Debug)]
struct Happening {
    at: Duration,
    by: By,
    what: What,
    /// The first bytes on the wire and of the payload.
    wire: Vec<u8>,
    payload: Vec<u8>,
    payload_is_cut: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum What {
    Frame(Header),
    Said(String),
}

impl Recorder {
    /// Appends what somebody did, with as many of the wire's and the payload's bytes as are kept.
    pub(crate) fn add(&mut self, at: Duration, by: By, what: What, wire: &[u8], payload: &[u8]) {
        let start = |bytes: &[u8]| bytes.get(..BYTES).unwrap_or(bytes).to_vec();
        let payload_is_cut = payload.len() > BYTES;
        let (wire, payload) = (start(wire), start(payload));
        let happening = Happening { at, by, what, wire, payload, payload_is_cut };
        if self.first.len() < ENDS {
            self.first.push(happening);
            return;
        }
        if self.last.len() >= ENDS {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(happening);
    }

    /// Words the entries.
    pub(crate) fn log(&self) -> Log {
        Log {
            first: self.first.iter().map(Happening::entry).collect(),
            left_out: self.left_out,
            last: self.last.iter().map(Happening::entry).collect(),
        }
    }
}

impl Happening {
    fn entry(&self) -> Entry {
        let mut payload = readable(&self.payload);
        if self.payload_is_cut {
            payload.push('…');
        }
        Entry {
            at_ms: (self.at.as_secs_f64() * 1e6).round() / 1e3,
            by: self.by,
            what: match &self.what {
                What::Frame(header) => header.tell(),
                What::Said(text) => text.clone(),
            },
            hex: self.wire.iter().map(|byte| format!("{byte:02x}")).collect(),
            payload,
        }
    }
}

/// Returns bytes as a person reads them.
pub(crate) fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// Returns the beginning of a payload as a person reads it, with its length.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    match bytes.get(..BYTES) {
        Some(start) if start.len() < bytes.len() => {
            format!("{} bytes: '{}…'", bytes.len(), readable(start))
        }
        _ => format!("'{}'", readable(bytes)),
    }
}

/// Entries kept at each end of a conversation.
const ENDS: usize = 40;

/// Bytes kept of an entry.
const BYTES: usize = 64;
