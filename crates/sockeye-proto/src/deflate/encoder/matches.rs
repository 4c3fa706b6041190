//! Finding what came before: a hash of four bytes, and a chain of the places that share it.
//!
//! Nothing is cleared between messages, nor when the numbers of places wrap: what the tables hold
//! are hints, and bytes are compared before a hint is believed. As every place of a message is
//! entered, those of its own come first along a chain, so an old hint never leads to a match and
//! what is found depends on the message alone.

use super::Effort;
use super::bits::low16;
use crate::memory::NoMemory;

/// Where each run of four bytes was last, and where before that.
pub(super) struct Finder {
    /// The number of the latest place with each hash.
    heads: [u16; HEADS],
    /// The number that stood in its head before each place, in a ring.
    chain: Vec<u16>,
    /// The number of the message's first place.
    base: u16,
    /// The furthest that a match may look back.
    window: usize,
}

/// The tables in hand while the symbols of a block are gathered.
///
/// As references and numbers of their own they stay in registers.
pub(super) struct Places<'f> {
    heads: &'f mut [u16; HEADS],
    chain: &'f mut [u16],
    base: u16,
    window: usize,
}

/// Bytes that came before; none while the distance is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) distance: usize,
}

impl Finder {
    pub(super) const fn new() -> Self {
        Self { heads: [0; HEADS], chain: Vec::new(), base: 0, window: 0 }
    }

    /// Starts a message of `len` bytes.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn start(&mut self, len: usize, window_bits: u8) -> Result<(), NoMemory> {
        self.window = 1 << window_bits;
        let ring = len.min(self.window).next_power_of_two();
        if let Some(more) = ring.checked_sub(self.chain.len()) {
            self.chain.try_reserve_exact(more).map_err(|_| NoMemory(2 * ring))?;
            self.chain.resize(ring, 0);
        }
        Ok(())
    }

    /// Ends a message of `len` bytes: the next one's places are numbered on.
    pub(super) fn end(&mut self, len: usize) {
        self.base = self.base.wrapping_add(low16(len));
    }

    #[cfg(test)]
    pub(super) fn chain_memory(&self) -> usize {
        2 * self.chain.capacity()
    }

    pub(super) fn places(&mut self) -> Places<'_> {
        Places {
            heads: &mut self.heads,
            chain: &mut self.chain,
            base: self.base,
            window: self.window,
        }
    }
}

impl Places<'_> {
    /// Enters the places from `at` to before `end`, at which no match is wanted.
    #[inline(always)]
    pub(super) fn enter(&mut self, input: &[u8], at: usize, end: usize) {
        let words = input.get(at..).unwrap_or_default().windows(4);
        for (at, word) in (at..end).zip(words) {
            if let Some(&word) = word.first_chunk() {
                self.turn(at, u32::from_le_bytes(word));
            }
        }
    }

    /// Enters the place `at` and returns the longest match there, if it is longer than `least`.
    #[inline(always)]
    pub(super) fn find(&mut self, input: &[u8], at: usize, least: usize, effort: &Effort) -> Match {
        let Some(&word) = input.get(at..).and_then(<[u8]>::first_chunk) else {
            return Match::default();
        };
        let word = u64::from_le_bytes(word);
        let distance = self.turn(at, (word & 0xffff_ffff) as u32);
        let reach = at.min(self.window);
        // Zero is a whole turn of the numbers, and so out of reach as well.
        if distance.wrapping_sub(1) >= reach {
            return Match::default();
        }
        let search = Search { at, word, reach, number: self.number(at) };
        search.longest(input, self.chain, distance, least, effort)
    }

    /// Enters a place and returns how far back the one before with its hash is.
    #[inline(always)]
    fn turn(&mut self, at: usize, word: u32) -> usize {
        let hash = word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HEADS.ilog2());
        let number = self.number(at);
        let Some(head) = self.heads.get_mut(hash as usize & (HEADS - 1)) else { return 0 };
        let before = *head;
        *head = number;
        let ring = self.chain.len().wrapping_sub(1);
        if let Some(slot) = self.chain.get_mut(at & ring) {
            *slot = before;
        }
        number.wrapping_sub(before).into()
    }

    #[inline(always)]
    fn number(&self, at: usize) -> u16 {
        self.base.wrapping_add(low16(at))
    }
}

/// The place for which a match is looked for, and the eight bytes there.
struct Search {
    at: usize,
    word: u64,
    reach: usize,
    number: u16,
}

impl Search {
    /// Follows the chain from the place that is `distance` back.
    ///
    /// A function of its own, since most places have none to follow: without it the loop over the
    /// message runs out of registers.
    #[inline(never)]
    fn longest(
        &self,
        input: &[u8],
        chain: &[u16],
        mut distance: usize,
        least: usize,
        effort: &Effort,
    ) -> Match {
        let at = self.at;
        let mut best = Match { length: least, distance: 0 };
        for _ in 0..effort.chain {
            let from = at.wrapping_sub(distance);
            let Some(&other) = input.get(from..).and_then(<[u8]>::first_chunk) else { break };
            let differs = u64::from_le_bytes(other) ^ self.word;
            let mut length = (differs.trailing_zeros() / 8) as usize;
            // All of the eight bytes: worth a closer look if the one that would make it longer is
            // the same too.
            let more = best.length.max(8);
            if length == 8 && input.get(from.wrapping_add(more)) == input.get(at.wrapping_add(more))
            {
                length = common(input, from, at);
            }
            if length > best.length {
                best = Match { length, distance };
                if length >= effort.nice {
                    break;
                }
            }
            let before = chain.get(from & chain.len().wrapping_sub(1)).copied().unwrap_or_default();
            let next = usize::from(self.number.wrapping_sub(before));
            // Not further back if the ring holds another place there by now.
            if next <= distance || next > self.reach {
                break;
            }
            distance = next;
        }
        best
    }
}

/// Returns how many bytes from `at` on are those from `from` on, which has eight in common.
#[inline]
fn common(input: &[u8], from: usize, at: usize) -> usize {
    let here = input.get(at..).unwrap_or_default();
    let here = here.get(..LONGEST_MATCH).unwrap_or(here);
    let there = input.get(from..).unwrap_or_default();
    let (words, _) = here.as_chunks::<8>();
    let (others, _) = there.as_chunks::<8>();
    let mut length = 0;
    for (word, other) in words.iter().zip(others) {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return length + (differs.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = here.iter().zip(there).skip(length);
    length + rest.take_while(|(one, other)| one == other).count()
}

/// Matches of three bytes seldom take fewer bits than the bytes do, and to look for them takes time:
/// without them 16 KiB of JSON get a tenth shorter at the same speed (2026-11-21).
pub(super) const LEAST_MATCH: usize = 4;
/// The longest match of DEFLATE.
const LONGEST_MATCH: usize = 258;
/// 8 KiB, so that all of it stays in the cache between messages.
const HEADS: usize = 4096;
