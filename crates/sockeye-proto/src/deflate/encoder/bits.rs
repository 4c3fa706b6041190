//! Bits into bytes, the lowest first (RFC 1951 section 3.1.1).

use crate::memory::{NoMemory, reserve};

/// Writes behind what a vector holds.
///
/// Room is made for the bits that are to come, whose count a block knows, so that no single value
/// has to ask for it.
pub(super) struct BitWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the next whole byte goes; zeros follow, up to the room that was made.
    at: usize,
    bits: u64,
    /// At most 7.
    count: u32,
}

/// The room of a writer and its bits while many values are written.
///
/// By themselves they stay in registers.
pub(super) struct Bits<'o> {
    room: &'o mut [u8],
    bits: u64,
    count: u32,
    /// Bytes written so far.
    at: usize,
}

impl<'o> BitWriter<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { at: out.len(), out, bits: 0, count: 0 }
    }

    /// Makes room for so many bits and has them written.
    ///
    /// # Errors
    /// The allocator's refusal.
    #[inline(always)]
    pub(super) fn write(
        &mut self,
        bits: usize,
        work: impl FnOnce(&mut Bits<'_>),
    ) -> Result<(), NoMemory> {
        let end = self.at + bits / 8 + SLACK;
        if let Some(more) = end.checked_sub(self.out.len()) {
            // With what the end of a message takes, so that it needs no more.
            reserve(self.out, more + SLACK)?;
            self.out.resize(end, 0);
        }
        let room = self.out.get_mut(self.at..).unwrap_or_default();
        let mut values = Bits { room, bits: self.bits, count: self.count, at: 0 };
        work(&mut values);
        values.flush();
        self.at += values.at;
        (self.bits, self.count) = (values.bits, values.count);
        Ok(())
    }

    /// Ends the output with the last whole byte.
    pub(super) fn finish(self) {
        self.out.truncate(self.at);
    }
}

impl Bits<'_> {
    /// Appends the lowest `count` bits of `value`, which has no others. No more than 56 may come
    /// between two flushes.
    #[inline(always)]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.bits |= value.wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
    }

    /// Moves the whole bytes among the bits to the output.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        match self.room.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            Some(space) => *space = self.bits.to_le_bytes(),
            None => debug_assert!(false, "room was made for all bits"),
        }
        self.at = self.at.wrapping_add((self.count / 8) as usize);
        self.bits = self.bits.wrapping_shr(self.count & !7);
        self.count &= 7;
    }

    /// Fills the last byte up with zeros.
    pub(super) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Appends whole bytes, which must start on a byte boundary.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.flush();
        debug_assert_eq!(self.count, 0, "the writer is aligned");
        match self.room.get_mut(self.at..).and_then(|room| room.get_mut(..bytes.len())) {
            Some(room) => room.copy_from_slice(bytes),
            None => debug_assert!(false, "room was made for all bytes"),
        }
        self.at += bytes.len();
    }
}

/// Returns the lowest sixteen bits.
#[inline(always)]
pub(super) fn low16(value: usize) -> u16 {
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// A flush writes eight bytes, however few count.
const SLACK: usize = 16;
