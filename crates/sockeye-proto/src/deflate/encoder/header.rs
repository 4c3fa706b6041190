//! The start of a dynamic block: the lengths of its codes, themselves run-length and prefix coded
//! (RFC 1951 section 3.2.7).

use super::bits::{Bits, low16};
use super::prefix::Prefix;
use crate::deflate::decoder::ORDER;

/// The lengths of both codes of a block as they go out.
pub(super) struct Header {
    /// Symbols of the code length code, with the value of their extra bits from bit 8 on.
    items: [u16; LENGTHS],
    len: usize,
    frequencies: [u16; 19],
    code: Prefix<19>,
    literals: usize,
    distances: usize,
}

impl Header {
    pub(super) const fn new() -> Self {
        Self {
            items: [0; LENGTHS],
            len: 0,
            frequencies: [0; 19],
            code: Prefix::new(),
            literals: 0,
            distances: 0,
        }
    }

    /// Makes the header for codes of these lengths: at least 257 and one.
    pub(super) fn make(&mut self, literals: &[u8], distances: &[u8]) {
        self.len = 0;
        self.frequencies.fill(0);
        (self.literals, self.distances) = (literals.len(), distances.len());
        let mut all = [0; LENGTHS];
        for (start, lengths) in [(0, literals), (literals.len(), distances)] {
            if let Some(slots) = all.get_mut(start..start + lengths.len()) {
                slots.copy_from_slice(lengths);
            }
        }
        // A run may go on from one code to the other.
        let mut rest = all.get(..literals.len() + distances.len()).unwrap_or_default();
        while let Some(&length) = rest.first() {
            let run = rest.iter().take_while(|&&other| other == length).count();
            self.push_run(length, run);
            rest = rest.get(run..).unwrap_or_default();
        }
        self.code.build(&self.frequencies, 7);
    }

    /// Returns the bits of the header.
    pub(super) fn cost(&self) -> usize {
        let extra: usize = self
            .frequencies
            .iter()
            .zip(EXTRA)
            .map(|(&n, bits)| usize::from(n) * bits as usize)
            .sum();
        14 + 3 * self.code_lengths() + self.code.cost() + extra
    }

    pub(super) fn write(&self, bits: &mut Bits<'_>) {
        let code_lengths = self.code_lengths();
        let counts = (self.literals - 257) | (self.distances - 1) << 5 | (code_lengths - 4) << 10;
        bits.put(counts as u64, 14);
        for &symbol in ORDER.iter().take(code_lengths) {
            bits.flush();
            bits.put(self.code.length(symbol).into(), 3);
        }
        for item in self.items.get(..self.len).unwrap_or_default() {
            bits.flush();
            let symbol = usize::from(item & 0xff);
            let (code, count) = self.code.code(symbol);
            bits.put(code, count);
            bits.put(u64::from(item >> 8), EXTRA.get(symbol).copied().unwrap_or_default());
        }
    }

    /// Returns how many lengths of the code length code go out: the last zeros are left out.
    fn code_lengths(&self) -> usize {
        ORDER
            .iter()
            .rposition(|&symbol| self.code.length(symbol) > 0)
            .map_or(4, |last| (last + 1).max(4))
    }

    fn push_run(&mut self, length: u8, mut run: usize) {
        if length == 0 {
            while run >= 11 {
                let count = run.min(138);
                self.push(18, count - 11);
                run -= count;
            }
            if run >= 3 {
                self.push(17, run - 3);
                run = 0;
            }
        } else {
            self.push(length, 0);
            run -= 1;
            while run >= 3 {
                let count = run.min(6);
                self.push(16, count - 3);
                run -= count;
            }
        }
        for _ in 0..run {
            self.push(length, 0);
        }
    }

    fn push(&mut self, symbol: u8, extra: usize) {
        if let Some(item) = self.items.get_mut(self.len) {
            *item = u16::from(symbol) | low16(extra) << 8;
            self.len += 1;
        }
        if let Some(frequency) = self.frequencies.get_mut(usize::from(symbol)) {
            *frequency += 1;
        }
    }
}

/// Extra bits of the code length symbols.
const EXTRA: [u32; 19] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
/// Code lengths of both alphabets: 286 and 30 at most.
const LENGTHS: usize = 316;
