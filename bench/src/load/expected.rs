//! What the server should send back, and whether it does: every byte of every message is compared, compressed ones
//! after inflating.

use zlib_rs::{Inflate, InflateFlush};

use super::Failure;
use super::message::{TAIL, WINDOW_BITS};

/// The payload that is expected over and over.
pub(super) struct Expected {
    payload: Vec<u8>,
    /// The compressed form that was last found to hold the payload. Without context takeover the same bytes always do.
    known: Vec<u8>,
    inflate: Inflate,
    inflated: Vec<u8>,
    /// How many payload bytes the complete messages had on the wire.
    wire: u64,
}

/// How far a message has come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    compressed: bool,
    /// How many bytes of it have come.
    length: usize,
    /// These bytes, of a compressed message.
    packed: Vec<u8>,
}

impl Partial {
    /// Begins a message.
    pub(super) fn begin(&mut self, compressed: bool) {
        self.compressed = compressed;
        self.length = 0;
        self.packed.clear();
    }
}

impl Expected {
    pub(super) fn new(payload: Vec<u8>) -> Self {
        // A byte more, so that a message that is too long is noticed.
        let inflated = vec![0; payload.len() + 1];
        let inflate = Inflate::new(false, WINDOW_BITS);
        Self { payload, known: Vec::new(), inflate, inflated, wire: 0 }
    }

    /// Returns how many payload bytes the complete messages had on the wire.
    pub(super) fn wire(&self) -> u64 {
        self.wire
    }

    /// Takes a piece of a message.
    pub(super) fn piece(&self, message: &mut Partial, piece: &[u8]) -> Result<(), Failure> {
        let end = message.length + piece.len();
        if message.compressed {
            if end > self.payload.len() + MARGIN {
                return Err("the server sent more than was sent to it".into());
            }
            message.packed.extend(piece);
        } else if self.payload.get(message.length..end) != Some(piece) {
            return Err("the server sent what was not sent to it".into());
        }
        message.length = end;
        Ok(())
    }

    /// Checks that a message is complete.
    pub(super) fn end(&mut self, message: &Partial) -> Result<(), Failure> {
        self.wire += message.length as u64;
        if !message.compressed {
            let whole = message.length == self.payload.len();
            return if whole { Ok(()) } else { Err("the server cut a message short".into()) };
        }
        if message.packed == self.known {
            return Ok(());
        }
        self.inflate(&message.packed)?;
        self.known.clone_from(&message.packed);
        Ok(())
    }

    /// Checks that a compressed message holds the payload.
    fn inflate(&mut self, packed: &[u8]) -> Result<(), Failure> {
        self.inflate.reset(false);
        let input = [packed, &TAIL].concat();
        self.inflate
            .decompress(&input, &mut self.inflated, InflateFlush::SyncFlush)
            .map_err(|error| format!("the server compresses badly: {}", error.as_str()))?;
        let length = usize::try_from(self.inflate.total_out())?;
        if self.inflated[..length] != self.payload {
            return Err("the server compressed what was not sent to it".into());
        }
        Ok(())
    }
}

/// What compressing may add to a message that does not compress.
const MARGIN: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::super::message::{Data, compress};
    use super::*;

    fn check(expected: &mut Expected, compressed: bool, pieces: &[&[u8]]) -> Result<(), Failure> {
        let mut message = Partial::default();
        message.begin(compressed);
        pieces.iter().try_for_each(|piece| expected.piece(&mut message, piece))?;
        expected.end(&message)
    }

    #[test]
    fn compressed_messages_are_inflated_and_compared() {
        let payload = Data::Deflated.payload(1_024);
        let packed = compress(&payload).unwrap();
        let mut expected = Expected::new(payload);
        let (start, end) = packed.split_at(100);
        for _ in 0..2 {
            check(&mut expected, true, &[start, end]).unwrap();
        }
        assert_eq!(expected.wire(), 2 * packed.len() as u64);
        assert!(check(&mut expected, true, &[start]).is_err());
    }

    #[test]
    fn another_text_longer_or_shorter_is_noticed_under_its_compression() {
        for wrong in [1_023, 1_025, 2_000] {
            let packed = compress(&Data::Deflated.payload(wrong)).unwrap();
            let mut expected = Expected::new(Data::Deflated.payload(1_024));
            assert!(check(&mut expected, true, &[&packed]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_that_are_not_compressed_are_compared_as_they_come() {
        let mut expected = Expected::new(b"abc".to_vec());
        check(&mut expected, false, &[b"a", b"bc"]).unwrap();
        for wrong in [&[&b"ab"[..]], &[&b"abx"[..]], &[&b"abcd"[..]]] {
            assert!(check(&mut expected, false, wrong).is_err());
        }
    }
}
