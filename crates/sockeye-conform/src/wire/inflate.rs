//! An inflater that holds to a window to the byte, by the shortest way and slowly.
//!
//! zlib-rs keeps 32 KiB of history whatever window it is told, so it cannot tell whether a peer
//! keeps to a smaller one; and it stops at a final block, behind which a message may go on.

/// Appends what a compressed message holds to `history`, which holds the messages before it.
/// The payload is given with the four bytes that stay off the wire.
pub(crate) fn inflate(payload: &[u8], history: &mut Vec<u8>, window: usize) -> Result<(), String> {
    let mut bits = Bits { bytes: payload, at: 0 };
    while bits.at / 8 < payload.len() {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, history)?,
            1 => {
                let lengths = [(8, 144), (9, 112), (7, 24), (8, 8)];
                let lengths = lengths.iter().flat_map(|(length, n)| vec![*length; *n]);
                let lengths: Vec<usize> = lengths.collect();
                codes(
                    &mut bits,
                    history,
                    window,
                    &Huffman::new(&lengths),
                    &Huffman::new(&[5; 30]),
                )?;
            }
            2 => {
                let (literals, distances) = tables(&mut bits)?;
                codes(&mut bits, history, window, &literals, &distances)?;
            }
            _ => return Err("a block of the reserved type".into()),
        }
        if is_final {
            // What follows begins at the next byte (RFC 7692, section 7.2.3.4).
            bits.at = bits.at.next_multiple_of(8);
        }
    }
    Ok(())
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// The position in bits.
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, String> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("the payload stops inside a block")?;
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(value)
    }
}

/// A canonical code: how many symbols each length has, and the symbols in order.
struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|at| lengths[*at] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        symbols.iter().for_each(|symbol| counts[lengths[*symbol]] += 1);
        Self { counts, symbols }
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<usize, String> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a code that is not in the table".into())
    }
}

fn stored(bits: &mut Bits<'_>, history: &mut Vec<u8>) -> Result<(), String> {
    bits.at = bits.at.next_multiple_of(8);
    let (length, check) = (bits.take(16)?, bits.take(16)?);
    if length != !check & 0xffff {
        return Err("a stored block whose lengths differ".into());
    }
    let start = bits.at / 8;
    let block = bits.bytes.get(start..start + length).ok_or("a stored block cut short")?;
    history.extend_from_slice(block);
    bits.at += length * 8;
    Ok(())
}

fn tables(bits: &mut Bits<'_>) -> Result<(Huffman, Huffman), String> {
    let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
    let count = bits.take(4)? + 4;
    let mut lengths = [0; 19];
    for place in &ORDER[..count] {
        lengths[*place] = bits.take(3)?;
    }
    let code = Huffman::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.decode(bits)? {
            16 => (*lengths.last().ok_or("nothing to repeat")?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length, 1),
        };
        lengths.extend(vec![length; times]);
    }
    let (first, second) = lengths.split_at(literals);
    Ok((Huffman::new(first), Huffman::new(second)))
}

fn codes(
    bits: &mut Bits<'_>,
    history: &mut Vec<u8>,
    window: usize,
    literals: &Huffman,
    distances: &Huffman,
) -> Result<(), String> {
    loop {
        let symbol = literals.decode(bits)?;
        if let Ok(literal) = u8::try_from(symbol) {
            history.push(literal);
            continue;
        }
        if symbol == 256 {
            return Ok(());
        }
        let length = match symbol - 257 {
            28 => 258,
            code => 3 + extended(bits, code, 4)?,
        };
        let code = distances.decode(bits)?;
        let distance = 1 + extended(bits, code, 2)?;
        if distance > window || distance > history.len() {
            return Err(format!("a distance of {distance} in a window of {window}"));
        }
        for _ in 0..length {
            history.push(history[history.len() - distance]);
        }
    }
}

/// Reads the value of a length or distance code: `group` codes share a number of extra bits.
fn extended(bits: &mut Bits<'_>, code: usize, group: usize) -> Result<usize, String> {
    if code < group * 2 {
        return Ok(code);
    }
    let extra = code / group - 1;
    Ok(((group + code % group) << extra) + bits.take(extra)?)
}

/// The order in which the lengths of the lengths' code stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
