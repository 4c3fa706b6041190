//! Bits into bytes, the lowest first (RFC 1951 section 3.1.1).

use crate::memory::{NoMemory, reserve};

/// Writes behind what a vector holds.
///
/// Room is made by the count of bits that are to come, which a block knows, so that no single
/// value has to ask for it.
pub(super) struct BitWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the next whole byte goes; zeros follow, up to the room that was made.
    at: usize,
    bits: u64,
    /// At most 7 after a flush.
    count: u32,
}

impl<'o> BitWriter<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { at: out.len(), out, bits: 0, count: 0 }
    }

    /// Makes room for so many bits more.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn make_room(&mut self, bits: usize) -> Result<(), NoMemory> {
        let end = self.at + bits / 8 + SLACK;
        if let Some(more) = end.checked_sub(self.out.len()) {
            reserve(self.out, more)?;
            self.out.resize(end, 0);
        }
        Ok(())
    }

    /// Appends the lowest `count` bits of `value`, which has no others, and of which not more than
    /// 56 may come between two flushes.
    #[inline(always)]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.bits |= value << self.count;
        self.count += count;
    }

    /// Moves the whole bytes among the bits to the output.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        if let Some(space) = self.out.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *space = self.bits.to_le_bytes();
        } else {
            debug_assert!(false, "room was made for all bits");
        }
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }

    /// Fills the last byte up with zeros.
    pub(super) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Appends whole bytes, which must start on a byte boundary.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0, "the writer is aligned");
        let end = self.at + bytes.len();
        match self.out.get_mut(self.at..end) {
            Some(space) => space.copy_from_slice(bytes),
            None => debug_assert!(false, "room was made for all bytes"),
        }
        self.at = end;
    }

    /// Ends the output with the last whole byte.
    pub(super) fn finish(self) {
        self.out.truncate(self.at);
    }
}

/// Every flush writes eight bytes, whatever counts of them.
const SLACK: usize = 16;
