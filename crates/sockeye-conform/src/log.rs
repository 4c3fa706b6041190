//! The record of a connection: what went over the wire, by whom and when.
//!
//! Bounded: of a long conversation the first and the last entries are kept, of each entry the
//! first bytes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    pub last: VecDeque<Entry>,
}

impl Log {
    /// Appends what somebody did, with as many of the wire's and the payload's bytes as are kept.
    pub(crate) fn add(&mut self, at: Duration, by: By, what: String, wire: &[u8], payload: &[u8]) {
        if self.first.len() >= ENDS && self.last.len() >= ENDS {
            self.last.pop_front();
            self.left_out += 1;
        }
        let entry = Entry {
            at_ms: (at.as_secs_f64() * 1e6).round() / 1e3,
            by,
            what,
            hex: wire.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect(),
            payload: readable(payload),
        };
        if self.first.len() < ENDS {
            self.first.push(entry);
        } else {
            self.last.push_back(entry);
        }
    }
}

/// Returns the beginning of some bytes as a person reads them.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(BYTES)];
    let text = match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => start.escape_ascii().to_string(),
    };
    if start.len() < bytes.len() { text + "…" } else { text }
}

/// Entries kept at each end of a conversation.
const ENDS: usize = 40;

/// Bytes kept of an entry.
const BYTES: usize = 64;
