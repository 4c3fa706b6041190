//! How much has gone over the connections of a reactor, by class.
//!
//! Each thread counts for itself and shows the sums now and then, so that counting a message costs an
//! addition and nothing that threads share.

use std::sync::atomic::{AtomicU64, Ordering};

use sockeye_proto::{MessageRef, PreparedMessage};

/// Messages, and the bytes of their payloads as the applications see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages that came.
    pub messages_in: u64,
    /// Messages that were sent, waiting or gone.
    pub messages_out: u64,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
}

/// What a thread counts, by class.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    classes: [Traffic; CLASSES],
    has_changed: bool,
}

/// What a thread shows of its ledger.
#[derive(Debug, Default)]
pub(crate) struct Board([Shown; CLASSES]);

#[derive(Debug, Default)]
struct Shown {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    /// Returns the sum of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            messages_in: self.messages_in.wrapping_add(other.messages_in),
            messages_out: self.messages_out.wrapping_add(other.messages_out),
            bytes_in: self.bytes_in.wrapping_add(other.bytes_in),
            bytes_out: self.bytes_out.wrapping_add(other.bytes_out),
        }
    }
}

impl Ledger {
    /// Counts a message that came.
    pub(crate) fn received(&mut self, class: u8, message: MessageRef<'_>) {
        self.note(class, |of| {
            of.messages_in = of.messages_in.wrapping_add(1);
            of.bytes_in = of.bytes_in.wrapping_add(in_u64(message.as_bytes().len()));
        });
    }

    /// Counts a message that was sent.
    pub(crate) fn sent(&mut self, class: u8, message: MessageRef<'_>) {
        self.sent_bytes(class, in_u64(message.as_bytes().len()));
    }

    /// Counts a message that was sent, and others may have got as well.
    pub(crate) fn sent_prepared(&mut self, class: u8, message: &PreparedMessage) {
        self.sent_bytes(class, in_u64(message.payload().len()));
    }

    /// Shows the sums, if there are new ones.
    pub(crate) fn show(&mut self, board: &Board) {
        if !std::mem::take(&mut self.has_changed) {
            return;
        }
        for (of, shown) in self.classes.iter().zip(&board.0) {
            shown.messages_in.store(of.messages_in, Ordering::Relaxed);
            shown.messages_out.store(of.messages_out, Ordering::Relaxed);
            shown.bytes_in.store(of.bytes_in, Ordering::Relaxed);
            shown.bytes_out.store(of.bytes_out, Ordering::Relaxed);
        }
    }

    fn sent_bytes(&mut self, class: u8, bytes: u64) {
        self.note(class, |of| {
            of.messages_out = of.messages_out.wrapping_add(1);
            of.bytes_out = of.bytes_out.wrapping_add(bytes);
        });
    }

    fn note(&mut self, class: u8, change: impl FnOnce(&mut Traffic)) {
        if let Some(of) = self.classes.get_mut(usize::from(class)) {
            change(of);
            self.has_changed = true;
        }
    }
}

impl Board {
    /// Returns what was shown last of a class.
    pub(crate) fn of(&self, class: u8) -> Traffic {
        let Some(shown) = self.0.get(usize::from(class)) else { return Traffic::default() };
        Traffic {
            messages_in: shown.messages_in.load(Ordering::Relaxed),
            messages_out: shown.messages_out.load(Ordering::Relaxed),
            bytes_in: shown.bytes_in.load(Ordering::Relaxed),
            bytes_out: shown.bytes_out.load(Ordering::Relaxed),
        }
    }
}

fn in_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// How many classes there are; what is of a higher one is not counted.
const CLASSES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_apart_and_shown_when_they_are_told_to() {
        let (mut ledger, board) = (Ledger::default(), Board::default());
        ledger.received(1, "four".into());
        ledger.sent(1, (&[0_u8; 3][..]).into());
        ledger.sent_prepared(2, &PreparedMessage::new("12"));
        ledger.sent(200, "nobody's".into());
        assert_eq!(board.of(1), Traffic::default());
        ledger.show(&board);
        let one = Traffic { messages_in: 1, messages_out: 1, bytes_in: 4, bytes_out: 3 };
        let two = Traffic { messages_out: 1, bytes_out: 2, ..Traffic::default() };
        assert_eq!([board.of(0), board.of(1), board.of(2)], [Traffic::default(), one, two]);
        assert_eq!(board.of(200), Traffic::default());
        assert_eq!(one.and(two), Traffic { messages_out: 2, bytes_out: 5, ..one });
    }
}
