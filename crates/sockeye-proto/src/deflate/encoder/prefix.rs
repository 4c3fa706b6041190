//! Prefix codes of bounded length from how often symbols occur (RFC 1951 section 3.2).
//!
//! Huffman's algorithm gives the count of codes of each length. Where it makes some longer than is
//! allowed, they are cut to the longest length and shorter ones give up their places until the code
//! is complete again: not always the best code of that length, but never off by much, and always
//! a code.

/// The code of each symbol of an alphabet.
pub(super) struct Prefix<const N: usize> {
    /// Bits 0 to 15 are the code, its first bit lowest; from 16 on stands its length.
    codes: [u32; N],
    /// The length of each code; zero for a symbol that does not occur.
    pub(super) lengths: [u8; N],
    /// Symbols that occur, in their order.
    used: [u16; N],
    used_len: usize,
    /// Symbols that occur, the rarest first: frequency in the upper half, symbol in the lower.
    sorted: [u32; N],
    /// What stands above two symbols or nodes: weight, then parent, then depth.
    weights: [u32; N],
    parents: [u16; N],
}

impl<const N: usize> Prefix<N> {
    pub(super) const fn new() -> Self {
        Self {
            codes: [0; N],
            lengths: [0; N],
            used: [0; N],
            used_len: 0,
            sorted: [0; N],
            weights: [0; N],
            parents: [0; N],
        }
    }

    /// Returns the canonical code with these lengths, of which there are at most 16 different ones.
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
        let sorted = self.sorted.get_mut(..self.used_len).unwrap_or_default();
        sorted.sort_unstable();
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

    /// Returns the bits that all symbols take together, without extra bits.
    pub(super) fn cost(&self) -> usize {
        let used = self.sorted.get(..self.used_len).unwrap_or_default();
        used.iter().map(|entry| (entry >> 16) as usize * self.length((entry & 0xffff) as usize)).sum()
    }

    /// Returns the bits that symbols take which occur so often.
    pub(super) fn cost_of(&self, frequencies: &[u16; N]) -> usize {
        let costs = frequencies.iter().zip(&self.lengths);
        costs.map(|(&frequency, &length)| usize::from(frequency) * usize::from(length)).sum()
    }

    /// Returns the lengths up to the last that is not zero, and at least so many.
    pub(super) fn used_lengths(&self, least: usize) -> &[u8] {
        let last = self.used_len.checked_sub(1).and_then(|last| self.used.get(last));
        let end = last.map_or(0, |&last| usize::from(last) + 1);
        self.lengths.get(..end.max(least)).unwrap_or_default()
    }

    fn length(&self, symbol: usize) -> usize {
        self.lengths.get(symbol).copied().unwrap_or_default().into()
    }

    fn find_used(&mut self, frequencies: &[u16; N]) {
        let mut found = 0;
        for (symbol, &frequency) in (0u16..).zip(frequencies) {
            // Written in any case, and kept if it counts: a jump would often be guessed wrong.
            if let (Some(used), Some(sorted)) =
                (self.used.get_mut(found), self.sorted.get_mut(found))
            {
                *used = symbol;
                *sorted = u32::from(frequency) << 16 | u32::from(symbol);
            }
            found += usize::from(frequency != 0);
        }
        self.used_len = found;
    }

    /// Adds symbols that do not occur to fewer than two that do.
    fn add_unused(&mut self) {
        let only = self.used.first().copied().filter(|_| self.used_len == 1);
        let (first, second) = (0, only.unwrap_or_default().max(1));
        if let (true, [one, two, ..], [light, heavy, ..]) =
            (self.used_len < 2, &mut self.used[..], &mut self.sorted[..])
        {
            let weight = *light & 0xffff_0000;
            (*one, *two) = (first, second);
            // Whichever occurs, if one does, is the heavier.
            (*light, *heavy) = match only {
                None => (0, 1),
                Some(0) => (1, weight),
                Some(_) => (0, weight | u32::from(second)),
            };
            self.used_len = 2;
        }
    }

    /// Joins the two lightest of what is left, until one is left: notes the parent of each node.
    ///
    /// Symbols are sorted and nodes come by weight, so that the lightest is the next of either.
    fn merge(&mut self) {
        self.weights.fill(u32::MAX);
        let (mut leaf, mut node) = (0, 0);
        for joined in 0..self.used_len.saturating_sub(1) {
            let mut weight = 0;
            for _ in 0..2 {
                let light = if leaf < self.used_len {
                    self.sorted.get(leaf).map_or(u32::MAX, |entry| entry >> 16)
                } else {
                    u32::MAX
                };
                let heavy = self.weights.get(node).copied().unwrap_or(u32::MAX);
                if let Some(parent) = self.parents.get_mut(node) {
                    *parent = (joined & 0xffff) as u16;
                }
                weight += light.min(heavy);
                leaf += usize::from(light <= heavy);
                node += usize::from(light > heavy);
            }
            if let Some(slot) = self.weights.get_mut(joined) {
                *slot = weight;
            }
        }
    }

    /// Returns how many codes there are of each length.
    fn count_lengths(&mut self, limit: usize) -> [u16; 16] {
        let mut counts = [0u16; 16];
        let root = self.used_len.saturating_sub(2);
        // From the root down. A node that is one of its parent's two takes a place there, and gives
        // two below.
        for node in (0..=root).rev() {
            let depth = if node == root { 0 } else { self.depth_of_parent(node) + 1 };
            if let Some(slot) = self.weights.get_mut(node) {
                *slot = depth;
            }
            let at = |depth: u32| (depth as usize).min(limit);
            if let Some(count) = counts.get_mut(at(depth)) {
                *count = count.wrapping_sub(1);
            }
            if let Some(count) = counts.get_mut(at(depth + 1)) {
                *count = count.wrapping_add(2);
            }
        }
        counts[0] = 0;
        shorten(&mut counts, limit);
        counts
    }

    fn depth_of_parent(&self, node: usize) -> u32 {
        let parent = self.parents.get(node).copied().unwrap_or_default();
        self.weights.get(usize::from(parent)).copied().unwrap_or_default()
    }

    /// Gives the rarest symbols the longest codes.
    fn assign_lengths(&mut self, counts: &[u16; 16]) {
        self.lengths.fill(0);
        let mut rarest = self.sorted.iter().take(self.used_len);
        for (length, &count) in (0u8..16).zip(counts).rev() {
            for entry in rarest.by_ref().take(count.into()) {
                if let Some(slot) = self.lengths.get_mut((entry & 0xffff) as usize) {
                    *slot = length;
                }
            }
        }
    }

    /// Numbers the codes by length, and those of one length in the order of their symbols.
    fn assign_codes(&mut self, counts: &[u16; 16]) {
        let mut next = [0u32; 16];
        let mut code = 0;
        for (first, &count) in next.iter_mut().zip(counts) {
            code <<= 1;
            *first = code;
            code += u32::from(count);
        }
        for &symbol in self.used.iter().take(self.used_len) {
            let symbol = usize::from(symbol);
            let length = self.lengths.get(symbol).copied().unwrap_or_default() & 15;
            let Some(next) = next.get_mut(usize::from(length)) else { continue };
            let reversed = next.reverse_bits().unbounded_shr(32 - u32::from(length));
            *next += 1;
            if let Some(code) = self.codes.get_mut(symbol) {
                *code = reversed | u32::from(length) << 16;
            }
        }
    }
}

/// Makes a complete code of one that has too many codes of the longest length.
fn shorten(counts: &mut [u16; 16], limit: usize) {
    let space = 1u32 << limit;
    let mut taken: u32 = (1..=limit)
        .zip(counts.iter().skip(1))
        .map(|(length, &count)| u32::from(count) << (limit - length))
        .sum();
    while taken > space {
        // One of the longest goes below the next shorter code, which gets one bit longer itself.
        let Some(at) = (1..limit).rev().find(|&at| counts.get(at).is_some_and(|&count| count > 0))
        else {
            return;
        };
        for (length, change) in [(at, u16::MAX), (at + 1, 2), (limit, u16::MAX)] {
            if let Some(count) = counts.get_mut(length) {
                *count = count.wrapping_add(change);
            }
        }
        taken -= 1;
    }
}
