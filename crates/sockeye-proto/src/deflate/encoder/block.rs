//! One block: its symbols, and the shortest of its three forms (RFC 1951 section 3.2.3).

use std::sync::LazyLock;

use super::bits::{BitWriter, Bits};
use super::header::Header;
use super::matches::Match;
use super::prefix::Prefix;
use crate::deflate::huffman::{DISTANCE_BASES, LENGTHS};
use crate::memory::NoMemory;

/// The symbols of the block that is being gathered, and how often each occurs.
pub(super) struct Block {
    tokens: [Token; TOKENS],
    len: usize,
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
    literal_code: Prefix<LITERALS>,
    distance_code: Prefix<DISTANCES>,
    header: Header,
}

/// A literal, or a match.
///
/// Bits 0 to 8 are the literal or the symbol of the length, 9 to 13 the extra bits of the length,
/// 14 to 18 the symbol of the distance, 19 to 31 the extra bits of the distance.
#[derive(Clone, Copy)]
struct Token(u32);

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
            tokens: [Token(0); TOKENS],
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
        self.literals[END] = 1;
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        // A match that was put off for a better one still has its place.
        self.len >= TOKENS - 1
    }

    #[inline(always)]
    pub(super) fn push_literal(&mut self, byte: u8) {
        count(&mut self.literals, byte.into());
        self.push(Token(byte.into()));
    }

    #[inline(always)]
    pub(super) fn push_match(&mut self, found: Match) {
        let (length, length_extra) = length_symbol(found.length);
        let (distance, distance_extra) = distance_symbol(found.distance);
        count(&mut self.literals, length);
        count(&mut self.distances, distance);
        let token = length | length_extra << 9 | distance << 14 | distance_extra << 19;
        self.push(Token(u32::try_from(token & 0xffff_ffff).unwrap_or_default()));
    }

    #[inline(always)]
    fn push(&mut self, token: Token) {
        if let Some(slot) = self.tokens.get_mut(self.len) {
            *slot = token;
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Returns the shortest form of the block, which takes so many bits `stored`, and the bits of
    /// the form, without the three that start each.
    pub(super) fn choose(&mut self, stored: usize) -> (Form, usize) {
        self.literal_code.build(&self.literals, 15);
        self.distance_code.build(&self.distances, 15);
        self.header.make(self.literal_code.used_lengths(257), self.distance_code.used_lengths(1));
        let extra = self.extra_bits();
        let codes = self.literal_code.cost() + self.distance_code.cost();
        let dynamic = self.header.cost() + codes + extra;
        let fixed = self.fixed_cost() + extra;
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
        writer.write(3 + bits, |bits| {
            if form == Form::Fixed {
                bits.put(0b010, 3);
                let (literals, distances) = &*FIXED;
                self.write_tokens(literals, distances, bits);
            } else {
                bits.put(0b100, 3);
                self.header.write(bits);
                self.write_tokens(&self.literal_code, &self.distance_code, bits);
            }
        })
    }

    #[inline(always)]
    fn write_tokens(
        &self,
        literals: &Prefix<LITERALS>,
        distances: &Prefix<DISTANCES>,
        bits: &mut Bits<'_>,
    ) {
        for &Token(token) in self.tokens.get(..self.len).unwrap_or_default() {
            bits.flush();
            let symbol = (token & 0x1ff) as usize;
            let (code, count) = literals.code(symbol);
            bits.put(code, count);
            if symbol < END {
                continue;
            }
            // 48 bits at most.
            let extra = LENGTHS.get(symbol - END - 1).map_or(0, |&(_, extra)| extra);
            bits.put((token >> 9 & 0x1f).into(), extra.into());
            let symbol = (token >> 14 & 0x1f) as usize;
            let (code, count) = distances.code(symbol);
            bits.put(code, count);
            let extra = DISTANCE_BASES.get(symbol).map_or(0, |&(_, extra)| extra);
            bits.put((token >> 19).into(), extra.into());
        }
        bits.flush();
        let (code, count) = literals.code(END);
        bits.put(code, count);
    }

    /// Returns the extra bits of all matches.
    fn extra_bits(&self) -> usize {
        let lengths = self.literals.iter().skip(END + 1).zip(&LENGTHS);
        let distances = self.distances.iter().zip(&DISTANCE_BASES);
        let all = lengths.chain(distances);
        all.fold(0, |sum: u32, (&n, &(_, extra))| sum.wrapping_add(u32::from(n) * u32::from(extra)))
            as usize
    }

    /// Returns the bits of all symbols in the fixed codes.
    fn fixed_cost(&self) -> usize {
        let sum = |symbols: &[u16]| symbols.iter().fold(0u32, |sum, &n| sum.wrapping_add(n.into()));
        let longer = self.literals.get(144..256).map_or(0, sum);
        let shorter = self.literals.get(256..280).map_or(0, sum);
        (8 * sum(&self.literals) + longer - shorter + 5 * sum(&self.distances)) as usize
    }
}

#[inline(always)]
fn count(frequencies: &mut [u16], symbol: usize) {
    if let Some(frequency) = frequencies.get_mut(symbol) {
        *frequency = frequency.wrapping_add(1);
    }
}

/// Returns the symbol of a length, and its extra bits (RFC 1951 section 3.2.5).
#[inline(always)]
fn length_symbol(length: usize) -> (usize, usize) {
    let more = length.wrapping_sub(3) & 0xff;
    match more {
        0..8 => (END + 1 + more, 0),
        // It has a symbol of its own.
        255 => (285, 0),
        _ => {
            let extra = more.ilog2() - 2;
            let (high, low) = halves(more, extra);
            (END + 1 + 4 * extra as usize + high, low)
        }
    }
}

/// Returns the symbol of a distance, and its extra bits.
#[inline(always)]
fn distance_symbol(distance: usize) -> (usize, usize) {
    let more = distance.wrapping_sub(1) & 0x7fff;
    if more < 4 {
        return (more, 0);
    }
    let extra = more.ilog2() - 1;
    let (high, low) = halves(more, extra);
    (2 * extra as usize + high, low)
}

/// Parts a value into its lowest `bits` and what is above them.
#[inline(always)]
fn halves(value: usize, bits: u32) -> (usize, usize) {
    let high = value.wrapping_shr(bits);
    (high, value ^ high.wrapping_shl(bits))
}

/// The fixed codes (RFC 1951 section 3.2.6).
static FIXED: LazyLock<(Prefix<LITERALS>, Prefix<DISTANCES>)> = LazyLock::new(|| {
    let mut lengths = [8; LITERALS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    (Prefix::of_lengths(lengths), Prefix::of_lengths([5; DISTANCES]))
});

/// Symbols of both alphabets, those that mean nothing included.
const LITERALS: usize = 288;
const DISTANCES: usize = 32;
/// The symbol that ends a block.
const END: usize = 256;
/// Symbols in a block: more make its codes fit worse, fewer its header count more.
const TOKENS: usize = 4096;
