//! Huffman codes of DEFLATE as look-up tables (RFC 1951 section 3.2).
//!
//! A table is a power of two of entries, indexed by the next bits of the stream: as many as its
//! longest code has, up to the root; longer codes go on in a second table behind it. Everything a stream may declare fits: the
//! worst cases, 1,332 entries for lengths at 10 root bits and 592 for distances at 9, are zlib's.

use std::sync::LazyLock;

/// The codes of one block.
pub(super) struct Codes {
    literals: Table<LITERALS>,
    distances: Table<DISTANCES>,
}

/// The look-up table of a code.
struct Table<const N: usize> {
    entries: [Entry; N],
    /// How many bits index the first entries.
    root: u32,
}

/// One look-up: the bits of its code, what they mean, and the value.
///
/// Bits 0 to 3 are the length of the code, 4 to 7 the [`Kind`], 8 to 15 the count of extra bits,
/// 16 to 31 the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(u32);

/// What an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No code starts like this.
    Invalid,
    /// The value is a byte, or a symbol of the code length code.
    Literal,
    /// The value is the base of a length or distance, to which extra bits are added.
    Base,
    /// The block ends.
    End,
    /// The code is longer than the root: the value is where its table starts.
    Link,
}

/// The code lengths that a stream declared are no prefix code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadCode;

impl Entry {
    const INVALID: Self = Self::new(Kind::Invalid, 0, 0, 1);

    const fn new(kind: Kind, value: u16, extra: u8, bits: u8) -> Self {
        let kind = kind as u32;
        Self((value as u32) << 16 | (extra as u32) << 8 | kind << 4 | bits as u32)
    }

    fn with_bits(self, bits: u8) -> Self {
        Self(self.0 & !0xf | u32::from(bits))
    }

    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xf
    }

    #[inline]
    pub(super) fn extra(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    #[inline]
    pub(super) fn value(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Returns the value as the byte that a literal stands for.
    #[inline]
    pub(super) fn byte(self) -> u8 {
        (self.0 >> 16 & 0xff) as u8
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & 0xf0 == (Kind::Literal as u32) << 4
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.0 >> 4 & 0xf {
            1 => Kind::Literal,
            2 => Kind::Base,
            3 => Kind::End,
            4 => Kind::Link,
            _ => Kind::Invalid,
        }
    }
}

impl Codes {
    /// Returns tables in which no code is valid.
    pub(super) const fn empty() -> Self {
        Self { literals: Table::empty(), distances: Table::empty() }
    }

    /// Returns the fixed codes (RFC 1951 section 3.2.6).
    pub(super) fn fixed() -> &'static Self {
        &FIXED
    }

    /// Builds the literal and length code.
    pub(super) fn set_literals(&mut self, lengths: &[u8]) -> Result<(), BadCode> {
        self.literals.build(lengths, ROOT_LITERALS, LONGEST_LONE_CODE, literal)
    }

    /// Builds the distance code.
    pub(super) fn set_distances(&mut self, lengths: &[u8]) -> Result<(), BadCode> {
        let meaning = |symbol| base(&DISTANCE_BASES, symbol);
        self.distances.build(lengths, ROOT_DISTANCES, LONGEST_LONE_CODE, meaning)
    }

    /// Builds the code for code lengths in the place of the literals, which follow it.
    pub(super) fn set_code_lengths(&mut self, lengths: &[u8]) -> Result<(), BadCode> {
        let meaning = |symbol| Entry::new(Kind::Literal, symbol, 0, 0);
        self.literals.build(lengths, ROOT_CODE_LENGTHS, 0, meaning)
    }

    /// Looks up the literal or length at the front of `bits`.
    #[inline]
    pub(super) fn literal(&self, bits: u64) -> Entry {
        self.literals.look_up(bits)
    }

    /// Looks up the code length symbol at the front of `bits`.
    #[inline]
    pub(super) fn code_length(&self, bits: u64) -> Entry {
        self.literals.look_up(bits)
    }

    /// Looks up the distance at the front of `bits`.
    #[inline]
    pub(super) fn distance(&self, bits: u64) -> Entry {
        self.distances.look_up(bits)
    }
}

/// `N` is a power of two, so that masking keeps every index inside.
impl<const N: usize> Table<N> {
    const fn empty() -> Self {
        Self { entries: [Entry::INVALID; N], root: 0 }
    }

    #[inline]
    fn look_up(&self, bits: u64) -> Entry {
        let entry = self.at(low_bits(bits, self.root));
        if entry.0 & 0xf0 != (Kind::Link as u32) << 4 {
            return entry;
        }
        self.at(usize::from(entry.value()) + low_bits(bits.wrapping_shr(self.root), entry.extra()))
    }

    #[inline]
    fn at(&self, index: usize) -> Entry {
        self.entries.get(index & (N - 1)).copied().unwrap_or(Entry::INVALID)
    }

    /// Builds the table of a canonical code from its lengths, as zlib does: a code must be complete,
    /// but one without a symbol longer than `lone` bits is let pass until what is missing is used.
    #[inline]
    fn build(
        &mut self,
        lengths: &[u8],
        root: u32,
        lone: u32,
        meaning: impl Fn(u16) -> Entry,
    ) -> Result<(), BadCode> {
        let mut count = count_lengths(lengths)?;
        let max = (1..16).zip(&count[1..]).rfind(|(_, codes)| **codes != 0);
        let max = max.map_or(0, |(length, _)| length);
        let root = max.min(root);
        self.root = root;
        let root_size = 1usize << root;
        let table = &mut self.entries[..];
        if !is_complete(&count[1..])? {
            if max > lone {
                return Err(BadCode);
            }
            table.get_mut(..root_size).ok_or(BadCode)?.fill(Entry::INVALID);
        }

        let sorted = in_order_of_codes(lengths, &count)?;
        let mut rest = &sorted[..];
        let mut code = 0u32;
        let mut end = root_size;
        let mut sub = SubTable { prefix: usize::MAX, start: 0, width: 0 };
        for bits in 1..=max {
            let codes = count.get(bits as usize).copied().ok_or(BadCode)?;
            let (now, later) = rest.split_at_checked(codes.into()).ok_or(BadCode)?;
            rest = later;
            code <<= 1;
            // Codes come by length, so the table doubles as they get longer: shorter codes repeat.
            if bits <= root {
                table.copy_within(..1 << (bits - 1), 1 << (bits - 1));
            }
            for &symbol in now {
                let reversed = (code.reverse_bits() >> (32 - bits)) as usize;
                code += 1;
                let spread = meaning(symbol).with_bits((bits & 0xf) as u8);
                if bits <= root {
                    *table.get_mut(reversed).ok_or(BadCode)? = spread;
                    continue;
                }
                let prefix = reversed & (root_size - 1);
                if sub.prefix != prefix {
                    let width = sub_table_bits(&count, bits, root, max);
                    sub = SubTable { prefix, start: end, width };
                    end += 1 << sub.width;
                    *table.get_mut(prefix).ok_or(BadCode)? = sub.link()?;
                }
                *count.get_mut(bits as usize).ok_or(BadCode)? -= 1;
                let slots = table.get_mut(sub.start + (reversed >> root)..end).ok_or(BadCode)?;
                slots.iter_mut().step_by(1 << (bits - root)).for_each(|slot| *slot = spread);
            }
        }
        Ok(())
    }
}

/// Returns the lowest `count` bits, at most 32.
#[inline]
pub(super) fn low_bits(bits: u64, count: u32) -> usize {
    (bits & !u64::MAX.wrapping_shl(count) & 0xffff_ffff) as usize
}

/// A table behind the root, for the codes that start with the same `prefix`.
struct SubTable {
    prefix: usize,
    start: usize,
    width: u32,
}

impl SubTable {
    fn link(&self) -> Result<Entry, BadCode> {
        let start = u16::try_from(self.start).map_err(|_| BadCode)?;
        Ok(Entry::new(Kind::Link, start, (self.width & 0xf) as u8, 0))
    }
}

/// Counts the codes of each length, but for the length zero of symbols without a code.
fn count_lengths(lengths: &[u8]) -> Result<[u16; 16], BadCode> {
    let mut count = [0; 16];
    for some in some_with_code(lengths) {
        for &length in some.1 {
            *count.get_mut(usize::from(length)).ok_or(BadCode)? += 1;
        }
    }
    count[0] = 0;
    Ok(count)
}

/// Returns the runs of eight symbols of which one at least has a code, with the first symbol: most
/// of a text's alphabet has none.
fn some_with_code(lengths: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let runs = (0u16..).step_by(8).zip(lengths.chunks(8));
    runs.filter(|(_, run)| run.iter().fold(0, |all, length| all | length) != 0)
}

/// Tells whether codes of these lengths, of which there are `used[length - 1]`, leave no bits over
/// that start none of them; more than fit are no code.
fn is_complete(used: &[u16]) -> Result<bool, BadCode> {
    let mut left = 1i32;
    for &codes in used {
        left = (left << 1) - i32::from(codes);
        if left < 0 {
            return Err(BadCode);
        }
    }
    Ok(left == 0)
}

/// Returns the symbols that have a code in the order of their codes, and others behind them.
fn in_order_of_codes(lengths: &[u8], count: &[u16; 16]) -> Result<[u16; SYMBOLS], BadCode> {
    let mut places = [0u16; 16];
    let mut total = 0;
    for (place, codes) in places.iter_mut().zip(count).skip(1) {
        *place = total;
        total += codes;
    }
    // Symbols without a code go where they are in nobody's way, without a jump that would often
    // be guessed wrong.
    places[0] = total;
    let mut sorted = [0u16; SYMBOLS];
    for (first, some) in some_with_code(lengths) {
        for (symbol, &length) in (first..).zip(some) {
            let place = places.get_mut(usize::from(length)).ok_or(BadCode)?;
            *sorted.get_mut(usize::from(*place)).ok_or(BadCode)? = symbol;
            *place += 1;
        }
    }
    Ok(sorted)
}

/// Returns the width of a second table whose first code has this many bits: just enough that the
/// codes still to place fill it. `count` holds the codes not yet placed.
fn sub_table_bits(count: &[u16; 16], bits: u32, root: u32, max: u32) -> u32 {
    let mut longest = bits;
    let mut left = 1i32 << (bits - root);
    while longest < max {
        left -= count.get(longest as usize).map_or(0, |&codes| i32::from(codes));
        if left <= 0 {
            break;
        }
        longest += 1;
        left <<= 1;
    }
    longest - root
}

/// Returns what a symbol of the literal and length code means, without the length of its code.
#[inline]
fn literal(symbol: u16) -> Entry {
    match symbol {
        0..256 => Entry::new(Kind::Literal, symbol, 0, 0),
        256 => Entry::new(Kind::End, 0, 0, 0),
        _ => base(&LENGTHS, symbol - 257),
    }
}

fn base(bases: &[(u16, u8)], symbol: u16) -> Entry {
    match bases.get(usize::from(symbol)) {
        Some(&(value, extra)) => Entry::new(Kind::Base, value, extra, 0),
        None => Entry::INVALID,
    }
}

static FIXED: LazyLock<Codes> = LazyLock::new(|| {
    let mut lengths = [8u8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    let mut codes = Codes::empty();
    let built = codes.set_literals(&lengths).and(codes.set_distances(&[5; 32]));
    debug_assert_eq!(built, Ok(()), "the fixed codes are complete");
    codes
});

/// RFC 1951 section 3.2.5: base and extra bits of the length symbols from 257.
#[rustfmt::skip]
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0),
    (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2), (27, 2), (31, 2),
    (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4),
    (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
];
/// The same for the distance symbols.
#[rustfmt::skip]
pub(super) const DISTANCE_BASES: [(u16, u8); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3),
    (33, 4), (49, 4), (65, 5), (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8),
    (1025, 9), (1537, 9), (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12),
    (16385, 13), (24577, 13),
];

/// The most symbols of an alphabet, rounded up.
const SYMBOLS: usize = 320;
/// A code of one symbol need not be complete.
const LONGEST_LONE_CODE: u32 = 1;
/// No code length symbol has more bits.
const ROOT_CODE_LENGTHS: u32 = 7;
const ROOT_LITERALS: u32 = 10;
const ROOT_DISTANCES: u32 = 9;
/// 1,332 entries at most, rounded up so that a mask replaces the bounds check.
const LITERALS: usize = 2048;
/// 592 entries at most, rounded up likewise.
const DISTANCES: usize = 1024;
