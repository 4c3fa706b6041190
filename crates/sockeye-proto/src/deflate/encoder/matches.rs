//! Finding what came before: a hash of three bytes, and a chain of the places that share it.

use super::Effort;
use crate::memory::NoMemory;

/// Where each run of three bytes was last, and where before that.
///
/// Nothing is cleared between messages. Places are numbered on from one message to the next, so
/// that a place of an earlier message is further back than the current one has bytes.
pub(super) struct Finder {
    /// The number of the latest place with this hash.
    heads: [u32; HEADS],
    /// How far back the next place with the same hash is; zero ends the chain. A ring.
    chain: Vec<u16>,
    /// The number of the place before the message.
    base: u32,
    /// The furthest a match may look back.
    window: usize,
    /// How much of a hash is thrown away.
    shift: u32,
}

/// Bytes that came before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) distance: usize,
}

impl Finder {
    pub(super) const fn new() -> Self {
        Self { heads: [0; HEADS], chain: Vec::new(), base: 0, window: 0, shift: 0 }
    }

    /// Starts a message of `len` bytes, at most [`LONGEST_PART`](super::LONGEST_PART).
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn start(&mut self, len: usize, window_bits: u8) -> Result<(), NoMemory> {
        self.window = 1 << window_bits;
        let ring = len.next_power_of_two().min(self.window);
        if self.chain.len() < ring {
            let more = ring - self.chain.len();
            self.chain.try_reserve_exact(more).map_err(|_| NoMemory(2 * more))?;
            self.chain.resize(ring, 0);
        }
        // A short message keeps to a small part of the table, which the cache holds.
        let bits = len.max(1).ilog2().clamp(8, HEADS.ilog2());
        self.shift = u32::BITS - bits;
        Ok(())
    }

    /// Ends a message of `len` bytes: none of its places may be found any more.
    pub(super) fn end(&mut self, len: usize) {
        match u32::try_from(len).ok().and_then(|len| self.base.checked_add(len)) {
            // The next message, too, must be numbered without a wrap.
            Some(base) if base < u32::MAX / 2 => self.base = base,
            _ => {
                self.heads.fill(0);
                self.base = 0;
            }
        }
    }

    /// Notes a place and returns how far back the latest with the same hash is, or more than the
    /// message has.
    #[inline(always)]
    fn enter(&mut self, at: usize, word: u32) -> usize {
        let hash = (word << 8).wrapping_mul(0x9e37_79b1) >> self.shift;
        let number = self.base.wrapping_add((at & 0xffff_ffff) as u32).wrapping_add(1);
        let Some(head) = self.heads.get_mut(hash as usize & (HEADS - 1)) else { return usize::MAX };
        let distance = number.wrapping_sub(*head) as usize;
        *head = number;
        let reach = at.min(self.window);
        let link = if distance <= reach { (distance & 0xffff) as u16 } else { 0 };
        let ring = self.chain.len().wrapping_sub(1);
        if let Some(slot) = self.chain.get_mut(at & ring) {
            *slot = link;
        }
        distance
    }

    /// Notes the places from `at` to before `end`, of which no match is wanted.
    #[inline(always)]
    pub(super) fn pass(&mut self, input: &[u8], at: usize, end: usize) {
        let words = input.get(at..).unwrap_or_default().windows(4);
        for (at, word) in (at..end).zip(words) {
            if let Some(&word) = word.first_chunk() {
                self.enter(at, u32::from_le_bytes(word));
            }
        }
    }

    /// Notes the place `at` and returns the best match there that is longer than `best`.
    #[inline(always)]
    pub(super) fn find(&mut self, input: &[u8], at: usize, least: usize, effort: &Effort) -> Match {
        let Some(here) = input.get(at..) else { return Match::default() };
        let Some(&word) = here.first_chunk() else { return Match::default() };
        let word = u32::from_le_bytes(word);
        let mut distance = self.enter(at, word);
        let reach = at.min(self.window);
        let mut best = Match { length: least, distance: 0 };
        let ring = self.chain.len().wrapping_sub(1);
        let here = here.get(..LONGEST_MATCH).unwrap_or(here);
        for _ in 0..effort.chain {
            if distance > reach {
                break;
            }
            let from = at.wrapping_sub(distance);
            let there = input.get(from..).unwrap_or_default();
            let Some(&other) = there.first_chunk() else { break };
            if (u32::from_le_bytes(other) ^ word) << 8 == 0
                && there.get(best.length) == here.get(best.length)
            {
                let length = common(here, there);
                if length > best.length {
                    best = Match { length, distance };
                    if length >= effort.nice {
                        break;
                    }
                }
            }
            let step = self.chain.get(from & ring).copied().unwrap_or_default();
            if step == 0 {
                break;
            }
            distance += usize::from(step);
        }
        best
    }
}

/// Returns how many bytes two slices have in common at their start.
#[inline(always)]
fn common(here: &[u8], there: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(&one), Some(&other)) = (
        here.get(length..).and_then(<[u8]>::first_chunk),
        there.get(length..).and_then(<[u8]>::first_chunk),
    ) {
        let differs = u64::from_le_bytes(one) ^ u64::from_le_bytes(other);
        if differs != 0 {
            return length + (differs.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while let (Some(one), Some(other)) = (here.get(length), there.get(length))
        && one == other
    {
        length += 1;
    }
    length
}

/// The longest match of DEFLATE.
pub(super) const LONGEST_MATCH: usize = 258;

/// The shortest.
pub(super) const LEAST_MATCH: usize = 3;
const HEADS: usize = 4096;
