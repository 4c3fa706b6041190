//! An inflater that keeps to a window smaller than zlib-rs ever does (RFC 1951).

use super::{Failure, LIMIT};

/// Inflates a stream up to its last block; `window` is what came before, at most `size` bytes back
/// may it refer.
pub(crate) fn inflate(input: &[u8], window: &[u8], size: usize) -> Result<Vec<u8>, Failure> {
    let mut stream = Stream { input, at: 0, out: window.to_vec(), size };
    loop {
        let last = stream.bits(1)? == 1;
        match stream.bits(2)? {
            0 => stream.stored()?,
            1 => {
                let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
                stream.block(&Code::new(&lengths), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = stream.codes()?;
                stream.block(&literals, &distances)?;
            }
            _ => return Err(Failure::CORRUPT),
        }
        if last {
            return Ok(stream.out.split_off(window.len()));
        }
    }
}

/// A canonical Huffman code.
struct Code {
    /// How many symbols there are of each length.
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let of_length = |wanted: usize| {
            let pairs = lengths.iter().enumerate().filter(move |(_, length)| **length == wanted);
            pairs.map(|(symbol, _)| symbol)
        };
        Self { counts, symbols: (1..16).flat_map(of_length).collect() }
    }

    /// Tells whether there are just as many symbols as the lengths have room for.
    fn is_complete(&self) -> bool {
        let room = (1..16).try_fold(1_usize, |room, n| (room * 2).checked_sub(self.counts[n]));
        room == Some(0)
    }
}

struct Stream<'a> {
    input: &'a [u8],
    /// The position in bits.
    at: usize,
    out: Vec<u8>,
    size: usize,
}

impl Stream<'_> {
    fn bits(&mut self, count: usize) -> Result<usize, Failure> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.input.get(self.at / 8).ok_or(Failure::CORRUPT)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(value)
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, Failure> {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.bits(1)?;
            if value < first + count {
                return code.symbols.get(index + value - first).copied().ok_or(Failure::CORRUPT);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(Failure::CORRUPT)
    }

    fn stored(&mut self) -> Result<(), Failure> {
        self.at = self.at.next_multiple_of(8);
        let (length, check) = (self.bits(16)?, self.bits(16)?);
        let start = self.at / 8;
        let bytes = self.input.get(start..start + length);
        let bytes = bytes.filter(|_| length ^ check == 0xffff).ok_or(Failure::CORRUPT)?;
        self.out.extend_from_slice(bytes);
        self.at += 8 * length;
        Ok(())
    }

    /// Reads the codes of a block that brings its own.
    fn codes(&mut self) -> Result<(Code, Code), Failure> {
        let (literals, distances) = (self.bits(5)? + 257, self.bits(5)? + 1);
        let count = self.bits(4)? + 4;
        let mut lengths = [0; 19];
        for place in &ORDER[..count] {
            lengths[*place] = self.bits(3)?;
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match self.symbol(&code)? {
                16 => (*lengths.last().ok_or(Failure::CORRUPT)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        let (first, second) = lengths.split_at(literals);
        let (literals, distances) = (Code::new(first), Code::new(second));
        let one = distances.symbols.len() <= 1;
        let right = lengths.len() == first.len() + second.len()
            && code.is_complete()
            && literals.is_complete()
            && first[256] > 0
            && (distances.is_complete() || one);
        if right { Ok((literals, distances)) } else { Err(Failure::CORRUPT) }
    }

    fn block(&mut self, literals: &Code, distances: &Code) -> Result<(), Failure> {
        loop {
            match self.symbol(literals)? {
                byte @ 0..256 => self.out.push(u8::try_from(byte).unwrap_or_default()),
                256 => return Ok(()),
                symbol => {
                    let length = self.extended(&LENGTHS, symbol - 257)?;
                    let symbol = self.symbol(distances)?;
                    let distance = self.extended(&DISTANCES, symbol)?;
                    self.copy(length, distance)?;
                }
            }
            if self.out.len() > LIMIT + self.size {
                return Err(Failure::TOO_BIG);
            }
        }
    }

    /// Reads the bits that a symbol asks for.
    fn extended(&mut self, table: &[(usize, usize)], symbol: usize) -> Result<usize, Failure> {
        let (base, bits) = table.get(symbol).ok_or(Failure::CORRUPT)?;
        Ok(base + self.bits(*bits)?)
    }

    fn copy(&mut self, length: usize, distance: usize) -> Result<(), Failure> {
        let start = self.out.len().checked_sub(distance).filter(|_| distance <= self.size);
        let start = start.ok_or(Failure::CORRUPT)?;
        for at in start..start + length {
            self.out.push(self.out[at]);
        }
        Ok(())
    }
}

/// The order in which the lengths of the first code stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Lengths of copies: the least of a symbol, and its bits.
const LENGTHS: [(usize, usize); 29] = {
    let mut table = [(0, 0); 29];
    let (mut base, mut at) = (3, 0);
    while at < 28 {
        let bits = if at < 8 { 0 } else { at / 4 - 1 };
        table[at] = (base, bits);
        base += 1 << bits;
        at += 1;
    }
    table[28] = (258, 0);
    table
};

/// Distances of copies: the least of a symbol, and its bits.
const DISTANCES: [(usize, usize); 30] = {
    let mut table = [(0, 0); 30];
    let (mut base, mut at) = (1, 0);
    while at < 30 {
        let bits = if at < 4 { 0 } else { at / 2 - 1 };
        table[at] = (base, bits);
        base += 1 << bits;
        at += 1;
    }
    table
};
