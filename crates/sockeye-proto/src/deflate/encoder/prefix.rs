//! Prefix codes of bounded length from how often symbols occur (RFC 1951 section 3.2).
//!
//! Huffman's algorithm gives the count of codes of each length. Where it makes some longer than is
//! allowed, they are cut to the longest length and shorter ones give up their places until the code
//! is complete again: not always the best code of that length, but never off by much, and always
//! a code.

use super::bits::low16;

/// The code of each symbol of an alphabet.
pub(super) struct Prefix<const N: usize> {
    /// Bits 0 to 15 are the code, its first bit lowest; from 16 on stands its length.
    codes: [u32; N],
    /// The length of each code; zero for a symbol that does not occur.
    lengths: [u8; N],
    /// The bits that all symbols take together, without extra bits.
    cost: usize,
    /// Symbols that occur, in their order: frequency in the upper half, symbol in the lower.
    used: [u32; N],
    used_len: usize,
    /// The same with the rarest first.
    sorted: [u32; N],
    /// What joins two symbols or nodes: its weight first, then its depth; and its parent.
    weights: [u32; N],
    parents: [u16; N],
}

impl<const N: usize> Prefix<N> {
    pub(super) const fn new() -> Self {
        Self {
            codes: [0; N],
            lengths: [0; N],
            cost: 0,
            used: [0; N],
            used_len: 0,
            sorted: [0; N],
            weights: [0; N],
            parents: [0; N],
        }
    }

    /// Returns the canonical code with these lengths, none of which is zero.
    pub(super) fn of_lengths(lengths: [u8; N]) -> Self {
        let mut prefix = Self::new();
        prefix.find_used(&[1; N]);
        let mut counts = [0; 16];
        for length in lengths {
            if let Some(count) = counts.get_mut(usize::from(length)) {
                *count += 1;
            }
        }
        prefix.lengths = lengths;
        prefix.assign_codes(&counts);
        prefix
    }

    /// Makes the code for symbols that occur so often, with no length above `limit`.
    ///
    /// At least two symbols get a code, since some decoders take no incomplete one.
    pub(super) fn build(&mut self, frequencies: &[u16; N], limit: usize) {
        self.find_used(frequencies);
        self.add_unused();
        if let (Some(sorted), Some(used)) =
            (self.sorted.get_mut(..self.used_len), self.used.get(..self.used_len))
        {
            sorted.copy_from_slice(used);
            sorted.sort_unstable();
        }
        self.merge();
        let counts = self.count_lengths(limit);
        self.assign_lengths(&counts);
        self.assign_codes(&counts);
    }

    /// Returns the code of a symbol, and its length.
    #[inline(always)]
    pub(super) fn code(&self, symbol: usize) -> (u64, u32) {
        let code = self.codes.get(symbol).copied().unwrap_or_default();
        (u64::from(code & 0xffff), code >> 16)
    }

    /// Returns the length of a symbol's code; zero if it has none.
    pub(super) fn length(&self, symbol: usize) -> u8 {
        self.lengths.get(symbol).copied().unwrap_or_default()
    }

    /// Returns the bits that all symbols take together, without extra bits.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Returns the lengths up to the last that is not zero, and at least so many.
    pub(super) fn used_lengths(&self, least: usize) -> &[u8] {
        let last = self.used_len.checked_sub(1).and_then(|last| self.used.get(last));
        let end = last.map_or(0, |&last| symbol(last) + 1);
        self.lengths.get(..end.max(least)).unwrap_or_default()
    }

    fn find_used(&mut self, frequencies: &[u16; N]) {
        let mut found = 0;
        let mut first = 0;
        for some in frequencies.chunks(8) {
            if some.iter().fold(0, |all, frequency| all | frequency) != 0 {
                for (symbol, &frequency) in (first..).zip(some) {
                    // Written in any case, and kept if it counts: a jump would often be guessed
                    // wrong.
                    if let Some(slot) = self.used.get_mut(found) {
                        *slot = u32::from(frequency) << 16 | symbol;
                    }
                    found += usize::from(frequency != 0);
                }
            }
            first += 8;
        }
        self.used_len = found;
    }

    /// Adds symbols that do not occur to fewer than two that do.
    fn add_unused(&mut self) {
        if let (0 | 1, [one, two, ..]) = (self.used_len, &mut self.used[..]) {
            (*one, *two) = match (self.used_len, *one) {
                (0, _) => (0, 1),
                (_, only) if symbol(only) == 0 => (only, 1),
                (_, only) => (0, only),
            };
            self.used_len = 2;
        }
    }

    /// Joins the two lightest of what is left, until one is left: notes the parent of each node.
    ///
    /// Symbols are sorted and nodes come by weight, so that the lightest is the next of either.
    fn merge(&mut self) {
        let end = self.used_len;
        if let Some(weights) = self.weights.get_mut(..end) {
            weights.fill(u32::MAX);
        }
        let (mut leaf, mut node) = (0, 0);
        for joined in 0..low16(end - 1) {
            let mut weight = 0u32;
            for _ in 0..2 {
                let light = self.sorted.get(leaf).map_or(u32::MAX, |entry| entry >> 16);
                let heavy = self.weights.get(node).copied().unwrap_or(u32::MAX);
                // A jump, which is guessed right more often than not: to choose without one would
                // have each turn wait for the loads of the one before.
                if leaf < end && light <= heavy {
                    weight = weight.wrapping_add(light);
                    leaf += 1;
                } else {
                    weight = weight.wrapping_add(heavy);
                    if let Some(parent) = self.parents.get_mut(node) {
                        *parent = joined;
                    }
                    node += 1;
                }
            }
            if let Some(slot) = self.weights.get_mut(usize::from(joined)) {
                *slot = weight;
            }
        }
    }

    /// Returns how many codes there are of each length.
    fn count_lengths(&mut self, limit: usize) -> [u16; 16] {
        let mut nodes = [0u16; 16];
        let root = self.used_len - 2;
        // From the root down, as deep as is allowed at most: what is deeper takes a place there.
        for node in (0..=root).rev() {
            let parent = self.parents.get(node).copied().unwrap_or_default();
            let above = self.weights.get(usize::from(parent)).copied().unwrap_or_default();
            let depth = if node == root { 0 } else { above.wrapping_add(1) };
            if let Some(slot) = self.weights.get_mut(node) {
                *slot = depth;
            }
            if let Some(count) = nodes.get_mut((depth as usize).min(limit)) {
                *count = count.wrapping_add(1);
            }
        }
        // Each node gives two places below it. All but the root take one of their parent's; those
        // too deep give one more of the longest each.
        let mut counts = [0u16; 16];
        let mut given = 0u16;
        for (count, &nodes) in counts.iter_mut().zip(&nodes).take(limit) {
            *count = given.wrapping_sub(nodes);
            given = nodes.wrapping_mul(2);
        }
        counts[0] = 0;
        if let (Some(longest), Some(&nodes)) = (counts.get_mut(limit), nodes.get(limit)) {
            *longest = given.wrapping_add(nodes);
        }
        shorten(&mut counts, limit);
        counts
    }

    /// Gives the rarest symbols the longest codes.
    fn assign_lengths(&mut self, counts: &[u16; 16]) {
        self.lengths.fill(0);
        self.cost = 0;
        let mut rest = self.sorted.get(..self.used_len).unwrap_or_default();
        for (length, &count) in (0u8..16).zip(counts).rev() {
            let (rarest, others) = rest.split_at(rest.len().min(count.into()));
            let mut occurrences = 0u32;
            for &entry in rarest {
                occurrences = occurrences.wrapping_add(entry >> 16);
                if let Some(slot) = self.lengths.get_mut(symbol(entry)) {
                    *slot = length;
                }
            }
            self.cost += usize::from(length) * occurrences as usize;
            rest = others;
        }
    }

    /// Numbers the codes by length, and those of one length in the order of their symbols.
    fn assign_codes(&mut self, counts: &[u16; 16]) {
        let mut next = [0u16; 16];
        let mut code = 0u16;
        for (first, &count) in next.iter_mut().zip(counts) {
            code <<= 1;
            *first = code;
            code = code.wrapping_add(count);
        }
        for &entry in self.used.get(..self.used_len).unwrap_or_default() {
            let length = self.length(symbol(entry)) & 15;
            let Some(next) = next.get_mut(usize::from(length)) else { continue };
            let reversed = next.reverse_bits().wrapping_shr(16 - u32::from(length));
            *next = next.wrapping_add(1);
            if let Some(code) = self.codes.get_mut(symbol(entry)) {
                *code = u32::from(reversed) | u32::from(length) << 16;
            }
        }
    }
}

#[inline(always)]
fn symbol(entry: u32) -> usize {
    (entry & 0xffff) as usize
}

/// Makes a complete code of one that has too many codes of the longest length.
fn shorten(counts: &mut [u16; 16], limit: usize) {
    let taken = |counts: &[u16; 16]| -> u32 {
        (1..=limit).zip(&counts[1..]).map(|(length, &n)| u32::from(n) << (limit - length)).sum()
    };
    for _ in 1u32 << limit..taken(counts) {
        // One of the longest takes a place beside a shorter one, which gets a bit longer for it.
        let is_used = |&length: &usize| counts.get(length).is_some_and(|&count| count > 0);
        let Some(shorter) = (1..limit).rev().find(is_used) else { return };
        for (length, change) in [(shorter, u16::MAX), (shorter + 1, 2), (limit, u16::MAX)] {
            if let Some(count) = counts.get_mut(length) {
                *count = count.wrapping_add(change);
            }
        }
    }
}

#[cfg(test)]
mod tests;
