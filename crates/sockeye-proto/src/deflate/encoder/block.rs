//! One block: its symbols, and the shortest of its three forms (RFC 1951 section 3.2.3).

use std::sync::LazyLock;

use super::bits::BitWriter;
use super::header::Header;
use super::matches::Match;
use super::prefix::Prefix;
use crate::deflate::huffman::{DISTANCE_BASES, LENGTHS};
use crate::memory::NoMemory;

/// The symbols of the block that is being gathered, and how often each occurs.
pub(super) struct Block {
    /// A literal is its byte; a match has its length less 3 in bits 16 to 23, and its distance, at
    /// most 32,768, below.
    tokens: [u32; TOKENS],
    len: usize,
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
    literal_code: Prefix<LITERALS>,
    distance_code: Prefix<DISTANCES>,
    header: Header,
}

/// The form in which a block is shortest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Stored,
    Fixed,
    Dynamic,
}

impl Block {
    pub(super) const fn new() -> Self {
        Self {
            tokens: [0; TOKENS],
            len: 0,
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
            literal_code: Prefix::new(),
            distance_code: Prefix::new(),
            header: Header::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.literals.fill(0);
        self.distances.fill(0);
        // The end of the block.
        self.literals[END] = 1;
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        // A match that was put off for a better one still has its place.
        self.len + 1 >= TOKENS
    }

    #[inline(always)]
    pub(super) fn push_literal(&mut self, byte: u8) {
        self.push(u32::from(byte) << 16);
        count(&mut self.literals, usize::from(byte));
    }

    #[inline(always)]
    pub(super) fn push_match(&mut self, found: Match) {
        let length = found.length.wrapping_sub(3) & 0xff;
        let distance = found.distance & 0xffff;
        self.push((length << 16 | distance) as u32);
        count(&mut self.literals, length_symbol(length));
        count(&mut self.distances, distance_symbol(distance));
    }

    #[inline(always)]
    fn push(&mut self, token: u32) {
        if let Some(slot) = self.tokens.get_mut(self.len) {
            *slot = token;
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Returns the shortest form of the block, which stands for `raw` bytes, and its bits but for
    /// the three that start it. The padding of a stored one, up to seven bits, is left out.
    pub(super) fn choose(&mut self, raw: usize) -> (Form, usize) {
        self.literal_code.build(&self.literals, 15);
        self.distance_code.build(&self.distances, 15);
        self.header.make(self.literal_code.used_lengths(257), self.distance_code.used_lengths(1));
        let extra = self.extra_bits();
        let codes = self.literal_code.cost() + self.distance_code.cost();
        let dynamic = self.header.cost() + codes + extra;
        let fixed = self.fixed_cost() + extra;
        let stored = 32 + 8 * raw;
        if stored <= dynamic.min(fixed) {
            (Form::Stored, stored)
        } else if fixed <= dynamic {
            (Form::Fixed, fixed)
        } else {
            (Form::Dynamic, dynamic)
        }
    }

    /// Appends the block in a form that has codes.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn write(
        &self,
        form: Form,
        bits: usize,
        writer: &mut BitWriter<'_>,
    ) -> Result<(), NoMemory> {
        writer.make_room(3 + bits)?;
        if form == Form::Fixed {
            writer.put(0b010, 3);
            let (literals, distances) = &*FIXED;
            self.write_tokens(literals, distances, writer);
        } else {
            writer.put(0b100, 3);
            self.header.write(writer);
            self.write_tokens(&self.literal_code, &self.distance_code, writer);
        }
        Ok(())
    }

    fn write_tokens(
        &self,
        literals: &Prefix<LITERALS>,
        distances: &Prefix<DISTANCES>,
        writer: &mut BitWriter<'_>,
    ) {
        for &token in self.tokens.iter().take(self.len) {
            writer.flush();
            let (distance, length) = ((token & 0xffff) as usize, (token >> 16 & 0xff) as usize);
            if distance == 0 {
                let (code, bits) = literals.code(length);
                writer.put(code, bits);
                continue;
            }
            // 48 bits at most.
            let symbol = length_symbol(length);
            let (code, bits) = literals.code(symbol);
            writer.put(code, bits);
            put_extra(LENGTHS.get(symbol - 257), length + 3, writer);
            let symbol = distance_symbol(distance);
            let (code, bits) = distances.code(symbol);
            writer.put(code, bits);
            put_extra(DISTANCE_BASES.get(symbol), distance, writer);
        }
        writer.flush();
        let (code, bits) = literals.code(END);
        writer.put(code, bits);
        writer.flush();
    }

    /// Returns the extra bits of all matches.
    fn extra_bits(&self) -> usize {
        let lengths = self.literals.iter().skip(END + 1).zip(&LENGTHS);
        let distances = self.distances.iter().zip(&DISTANCE_BASES);
        lengths.chain(distances).map(|(&n, &(_, extra))| usize::from(n) * usize::from(extra)).sum()
    }

    fn fixed_cost(&self) -> usize {
        let (literals, distances) = &*FIXED;
        literals.cost_of(&self.literals) + distances.cost_of(&self.distances)
    }
}

#[inline(always)]
fn count(frequencies: &mut [u16], symbol: usize) {
    if let Some(frequency) = frequencies.get_mut(symbol) {
        *frequency = frequency.wrapping_add(1);
    }
}

#[inline(always)]
fn put_extra(base: Option<&(u16, u8)>, value: usize, writer: &mut BitWriter<'_>) {
    if let Some(&(base, extra)) = base {
        writer.put(value.wrapping_sub(base.into()) as u64, extra.into());
    }
}

/// Returns the symbol of a match that is so much longer than 3.
#[inline(always)]
fn length_symbol(length: usize) -> usize {
    END + 1
        + match length {
            0..4 => length,
            // A symbol of its own, without extra bits.
            255 => 28,
            _ => {
                let log = length.ilog2() as usize;
                4 * (log - 1) + (length >> (log - 2) & 3)
            }
        }
}

/// Returns the symbol of a distance from 1 on.
#[inline(always)]
fn distance_symbol(distance: usize) -> usize {
    let less = distance.wrapping_sub(1);
    match less.checked_ilog2() {
        None | Some(0) => less,
        Some(log) => 2 * log as usize + (less >> (log - 1) & 1),
    }
}

/// The fixed codes (RFC 1951 section 3.2.6).
static FIXED: LazyLock<(Prefix<LITERALS>, Prefix<DISTANCES>)> = LazyLock::new(|| {
    let mut lengths = [8; LITERALS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    (Prefix::of_lengths(lengths), Prefix::of_lengths([5; DISTANCES]))
});

/// Symbols of both alphabets, those of the fixed code that mean nothing included.
const LITERALS: usize = 288;
const DISTANCES: usize = 30;
/// The symbol that ends a block.
const END: usize = 256;
/// Symbols in a block: more make its codes fit worse, fewer its header count more.
const TOKENS: usize = 4096;
