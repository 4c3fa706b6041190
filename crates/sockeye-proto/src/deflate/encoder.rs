//! Whole messages into DEFLATE blocks (RFC 1951), with no memory of the message before.
//!
//! zlib clears 64 to 128 KiB of tables before a message and so spends most of a short one's time on
//! getting ready. Here nothing is cleared, and a block is not ended by a change of the data but by
//! its count of symbols. Owns the choice of matches and blocks; a context that is kept is zlib's.

mod bits;
mod block;
mod header;
mod matches;
mod prefix;

use self::bits::BitWriter;
use self::block::{Block, Form};
use self::matches::{Finder, LEAST_MATCH};
use crate::memory::NoMemory;

/// What turns one message after the other into its compressed form.
pub(super) struct Encoder {
    finder: Finder,
    block: Block,
}

/// How hard to look for matches.
struct Effort {
    /// Places looked at for one match.
    chain: u32,
    /// The length from which a match is good enough to look no further.
    nice: usize,
    /// The length below which a match is only taken if the next byte starts no better one.
    lazy: usize,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Self { finder: Finder::new(), block: Block::new() }
    }

    /// Appends the compressed form of a message, as RFC 7692 section 7.2.1 wants it: it ends with
    /// an empty stored block of which the last four bytes are left out.
    ///
    /// # Errors
    /// The allocator's refusal. What was appended is then of no use, nor is the encoder.
    pub(super) fn encode(
        &mut self,
        message: &[u8],
        window_bits: u8,
        level: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        let effort = Effort::of_level(level);
        let mut writer = BitWriter::new(out);
        self.finder.start(message.len(), window_bits)?;
        self.write_blocks(message, &effort, &mut writer)?;
        self.finder.end(message.len());
        writer.write(3, |bits| {
            bits.put(STORED, 3);
            bits.align();
        })?;
        writer.finish();
        Ok(())
    }

    fn write_blocks(
        &mut self,
        message: &[u8],
        effort: &Effort,
        writer: &mut BitWriter<'_>,
    ) -> Result<(), NoMemory> {
        let (mut at, mut stored) = (0, 0..0);
        while at < message.len() {
            let start = at;
            at = self.gather(message, start, effort);
            let raw = 8 * (at - start);
            // What is stored already goes on without a header, and might have to start again with
            // one: so the whole is never longer than if all of it were stored.
            let cost = if stored.is_empty() { raw + 32 } else { raw.saturating_sub(STORED_HEADER) };
            let (form, bits) = self.block.choose(cost);
            if form == Form::Stored {
                // What is stored in a row shares its headers.
                stored = if stored.is_empty() { start..at } else { stored.start..at };
                continue;
            }
            store(message.get(stored).unwrap_or_default(), writer)?;
            stored = 0..0;
            self.block.write(form, bits, writer)?;
        }
        store(message.get(stored).unwrap_or_default(), writer)
    }

    /// Gathers the symbols of a block from `at` on and returns where it ends.
    #[inline(never)]
    fn gather(&mut self, message: &[u8], mut at: usize, effort: &Effort) -> usize {
        self.block.clear();
        let mut places = self.finder.places();
        while let Some(&byte) = message.get(at)
            && !self.block.is_full()
        {
            let mut found = places.find(message, at, LEAST_MATCH - 1, effort);
            if found.distance == 0 {
                self.block.push_literal(byte);
                at += 1;
                continue;
            }
            let mut entered = at + 1;
            while found.length < effort.lazy
                && !self.block.is_full()
                && let Some(&byte) = message.get(at)
            {
                let next = places.find(message, at + 1, found.length, effort);
                entered = at + 2;
                if next.distance == 0 {
                    break;
                }
                self.block.push_literal(byte);
                at += 1;
                found = next;
            }
            self.block.push_match(found);
            at += found.length;
            places.enter(message, entered, at);
        }
        at
    }
}

impl Effort {
    fn of_level(level: u8) -> Self {
        let (chain, nice, lazy) = match level {
            0 | 1 => (3, 32, 8),
            2 => (6, 32, 16),
            3 => (8, 64, 16),
            4 => (16, 64, 16),
            5 => (24, 128, 32),
            6 => (32, 128, 32),
            7 => (64, 258, 32),
            8 => (256, 258, 128),
            _ => (1024, 258, 258),
        };
        Self { chain, nice, lazy }
    }
}

/// Appends stored blocks, as long as they may be.
fn store(bytes: &[u8], writer: &mut BitWriter<'_>) -> Result<(), NoMemory> {
    for piece in bytes.chunks(0xffff) {
        let len = piece.len() as u64;
        writer.write(STORED_HEADER + 8 * piece.len(), |bits| {
            bits.put(STORED, 3);
            bits.align();
            bits.put(len | (len ^ 0xffff) << 16, 32);
            bits.bytes(piece);
        })?;
    }
    Ok(())
}

/// The three bits that start a stored block which is not the last.
const STORED: u64 = 0b000;
/// The most bits before what is stored: three, padding, and the length twice.
const STORED_HEADER: usize = 3 + 7 + 32;

#[cfg(test)]
mod tests {
    use super::*;

    // DFL-021
    #[test]
    fn an_encoder_takes_34_kib_and_two_bytes_for_each_that_it_may_look_back_at() {
        assert!(size_of::<Encoder>() <= 34 << 10, "{}", size_of::<Encoder>());
        for (bits, len, chain) in
            [(8, 1 << 20, 256), (12, 1000, 1024), (12, 1 << 20, 4096), (15, 1 << 20, 32 << 10)]
        {
            let mut encoder = Encoder::new();
            encoder.encode(&vec![7; len], bits, 1, &mut Vec::new()).unwrap();
            assert_eq!(encoder.finder.chain_memory(), 2 * chain);
        }
    }
}
