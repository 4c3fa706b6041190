//! DEFLATE blocks into bytes (RFC 1951), in pieces of any size.
//!
//! This decoder is our own for what WebSocket needs and zlib's does not give: a distance beyond
//! the agreed window is refused exactly, the window takes no more memory than was agreed, and the
//! end of a message tells whether it fell between two blocks. It knows nothing of messages.

use super::huffman::{BadCode, Codes, Kind, low_bits};
use crate::memory::NoMemory;

/// The state of one stream between two calls.
pub(super) struct Decoder {
    history: History,
    bits: u64,
    bit_count: u32,
    state: State,
    /// The block being read is the last of its stream.
    last: bool,
    codes: Codes,
    lengths: [u8; LENGTHS],
}

/// Where in a block the stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the three bits that start a block.
    Header,
    /// Before the length of a stored block, on a byte boundary.
    StoredLength,
    /// Inside a stored block with so many bytes to come.
    Stored(usize),
    /// Before the three counts of a dynamic block.
    Counts,
    /// Reading the lengths of the code for code lengths.
    CodeLengths { counts: Counts, at: usize },
    /// Reading the code lengths of literals and distances.
    Lengths { counts: Counts, at: usize },
    /// Between two symbols of a compressed block.
    Symbols(Source),
    /// Inside a match.
    Match { source: Source, length: usize, distance: usize },
    /// After the last block.
    End,
}

/// Which codes a block uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Dynamic,
    Fixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    literals: usize,
    distances: usize,
    code_lengths: usize,
}

/// Why decoding paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The input is used up.
    Input,
    /// A byte is due and the output has no place for it.
    Output,
}

/// The stream is not DEFLATE, or looks back too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

impl From<BadCode> for Corrupt {
    fn from(_: BadCode) -> Self {
        Self
    }
}

/// The bytes in hand: what comes in, and what this call has made so far.
struct Hands<'i, 'o> {
    input: &'i [u8],
    output: &'o mut [u8],
    made: usize,
}

impl Decoder {
    /// Makes a decoder for a window of `1 << window_bits` bytes, none of which is taken yet.
    pub(super) fn new(window_bits: u8) -> Self {
        Self {
            history: History::new(window_bits),
            bits: 0,
            bit_count: 0,
            state: State::Header,
            last: false,
            codes: Codes::empty(),
            lengths: [0; LENGTHS],
        }
    }

    /// Forgets everything and starts with another window.
    pub(super) fn reset(&mut self, window_bits: u8) {
        self.history.reset(window_bits);
        self.restart();
    }

    /// Starts a new stream that may still look back at this one.
    pub(super) fn restart(&mut self) {
        self.bits = 0;
        self.bit_count = 0;
        self.state = State::Header;
        self.last = false;
    }

    /// Decodes from the front of `input` into `output[*made..]`, where `output[..*made]` is what
    /// was made since the last [`remember`](Self::remember). Advances both.
    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        output: &mut [u8],
        made: &mut usize,
    ) -> Result<Pause, Corrupt> {
        let mut hands = Hands { input, output, made: *made };
        let pause = loop {
            if let Some(pause) = self.step(&mut hands).transpose() {
                break pause;
            }
        };
        *made = hands.made;
        *input = hands.input;
        pause
    }

    /// Takes what the last calls made into the window.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn remember(&mut self, made: &[u8]) -> Result<(), NoMemory> {
        self.history.push(made)
    }

    /// Returns whether a message may end here: before the length of the empty stored block whose
    /// four last bytes the peer left out (RFC 7692 section 7.2.1), between two blocks for a peer
    /// that sent them all the same, or anywhere after a final block.
    pub(super) fn at_message_end(&self) -> bool {
        match self.state {
            State::End => true,
            State::Header => self.bits == 0,
            State::StoredLength => self.bit_count == 0,
            _ => false,
        }
    }

    #[cfg(test)]
    pub(super) fn window_memory(&self) -> usize {
        self.history.ring.capacity()
    }

    /// Goes on to the next state; `Some` if it cannot.
    fn step(&mut self, hands: &mut Hands<'_, '_>) -> Result<Option<Pause>, Corrupt> {
        match self.state {
            State::Header => self.header(hands),
            State::StoredLength => self.stored_length(hands),
            State::Stored(left) => Ok(self.stored(left, hands)),
            State::Counts => self.counts(hands),
            State::CodeLengths { counts, at } => self.code_lengths(counts, at, hands),
            State::Lengths { counts, at } => self.lengths(counts, at, hands),
            State::Symbols(source) => self.symbols(source, hands),
            State::Match { source, length, distance } => {
                Ok(self.copy_match(source, length, distance, hands))
            }
            State::End => {
                hands.input = &[];
                Ok(Some(Pause::Input))
            }
        }
    }

    fn header(&mut self, hands: &mut Hands<'_, '_>) -> Result<Option<Pause>, Corrupt> {
        let Some(header) = self.take(3, hands) else {
            return Ok(Some(Pause::Input));
        };
        self.last = header & 1 == 1;
        self.state = match header >> 1 {
            0 => {
                let odd = self.bit_count % 8;
                self.drop_bits(odd);
                State::StoredLength
            }
            1 => State::Symbols(Source::Fixed),
            2 => State::Counts,
            _ => return Err(Corrupt),
        };
        Ok(None)
    }

    fn stored_length(&mut self, hands: &mut Hands<'_, '_>) -> Result<Option<Pause>, Corrupt> {
        let Some(both) = self.take(32, hands) else {
            return Ok(Some(Pause::Input));
        };
        let (length, complement) = (both & 0xffff, both >> 16);
        if length ^ complement != 0xffff {
            return Err(Corrupt);
        }
        self.state = State::Stored(length);
        Ok(None)
    }

    fn stored(&mut self, mut left: usize, hands: &mut Hands<'_, '_>) -> Option<Pause> {
        while left > 0 {
            match self.stored_bytes(left, hands) {
                Ok(count) => {
                    hands.made += count;
                    left -= count;
                }
                Err(pause) => {
                    self.state = State::Stored(left);
                    return Some(pause);
                }
            }
        }
        self.end_block();
        None
    }

    /// Copies stored bytes, at most `left`: one that the bit buffer holds, or what the input has in
    /// a piece. Returns how many.
    fn stored_bytes(&mut self, left: usize, hands: &mut Hands<'_, '_>) -> Result<usize, Pause> {
        let space = hands.output.get_mut(hands.made..).unwrap_or_default();
        if self.bit_count > 0 {
            *space.first_mut().ok_or(Pause::Output)? = (self.bits & 0xff) as u8;
            self.drop_bits(8);
            return Ok(1);
        }
        if hands.input.is_empty() {
            return Err(Pause::Input);
        }
        if space.is_empty() {
            return Err(Pause::Output);
        }
        let count = left.min(space.len()).min(hands.input.len());
        let (now, later) = hands.input.split_at(count);
        copy_to(space, 0, now);
        hands.input = later;
        Ok(count)
    }

    fn counts(&mut self, hands: &mut Hands<'_, '_>) -> Result<Option<Pause>, Corrupt> {
        let Some(bits) = self.take(14, hands) else {
            return Ok(Some(Pause::Input));
        };
        let counts = Counts {
            literals: (bits & 31) + 257,
            distances: (bits >> 5 & 31) + 1,
            code_lengths: (bits >> 10) + 4,
        };
        // Symbols that no code may use (RFC 1951 section 3.2.6).
        if counts.literals > 286 || counts.distances > 30 {
            return Err(Corrupt);
        }
        self.lengths = [0; LENGTHS];
        self.state = State::CodeLengths { counts, at: 0 };
        Ok(None)
    }

    fn code_lengths(
        &mut self,
        counts: Counts,
        from: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Result<Option<Pause>, Corrupt> {
        for (at, &symbol) in ORDER.iter().enumerate().take(counts.code_lengths).skip(from) {
            let Some(length) = self.take(3, hands) else {
                self.state = State::CodeLengths { counts, at };
                return Ok(Some(Pause::Input));
            };
            if let Some(slot) = self.lengths.get_mut(symbol) {
                *slot = u8::try_from(length).map_err(|_| Corrupt)?;
            }
        }
        self.codes.set_code_lengths(self.lengths.get(..ORDER.len()).ok_or(Corrupt)?)?;
        self.state = State::Lengths { counts, at: 0 };
        Ok(None)
    }

    fn lengths(
        &mut self,
        counts: Counts,
        from: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Result<Option<Pause>, Corrupt> {
        let total = counts.literals + counts.distances;
        let mut at = from;
        while at < total {
            if self.bit_count < 7 + 7 {
                self.fill(hands);
            }
            let entry = self.codes.code_length(self.bits);
            let used = entry.bits();
            if used > self.bit_count {
                self.state = State::Lengths { counts, at };
                return Ok(Some(Pause::Input));
            }
            if entry.kind() != Kind::Literal {
                return Err(Corrupt);
            }
            if entry.value() < 16 {
                *self.lengths.get_mut(at).ok_or(Corrupt)? = entry.byte();
                at += 1;
                self.drop_bits(used);
                continue;
            }
            let (extra, least) = match entry.value() {
                16 => (2, 3),
                17 => (3, 3),
                _ => (7, 11),
            };
            if used + extra > self.bit_count {
                self.state = State::Lengths { counts, at };
                return Ok(Some(Pause::Input));
            }
            let end = at + least + low_bits(self.bits >> used, extra);
            let length = match entry.value() {
                16 => {
                    let last = at.checked_sub(1).ok_or(Corrupt)?;
                    *self.lengths.get(last).ok_or(Corrupt)?
                }
                _ => 0,
            };
            self.drop_bits(used + extra);
            if end > total {
                return Err(Corrupt);
            }
            self.lengths.get_mut(at..end).ok_or(Corrupt)?.fill(length);
            at = end;
        }
        // A block without an end could not be left.
        if self.lengths[256] == 0 {
            return Err(Corrupt);
        }
        let both = self.lengths.get(..total).ok_or(Corrupt)?;
        let (literals, distances) = both.split_at_checked(counts.literals).ok_or(Corrupt)?;
        self.codes.set_literals(literals)?;
        self.codes.set_distances(distances)?;
        self.state = State::Symbols(Source::Dynamic);
        Ok(None)
    }

    /// Decodes symbols until the block ends or a hand is empty.
    ///
    /// A length and its distance take at most 48 bits, so the bit buffer holds them whole and
    /// they are taken together or not at all.
    fn symbols(
        &mut self,
        source: Source,
        hands: &mut Hands<'_, '_>,
    ) -> Result<Option<Pause>, Corrupt> {
        loop {
            if hands.input.len() >= 8 && hands.output.len() - hands.made >= PLENTY {
                self.symbols_in_plenty(source, hands);
            }
            if self.bit_count < 48 {
                self.fill(hands);
            }
            let codes = match source {
                Source::Dynamic => &self.codes,
                Source::Fixed => Codes::fixed(),
            };
            let entry = codes.literal(self.bits);
            let mut used = entry.bits();
            if used > self.bit_count {
                return Ok(Some(Pause::Input));
            }
            if entry.is_literal() {
                let Some(slot) = hands.output.get_mut(hands.made) else {
                    return Ok(Some(Pause::Output));
                };
                *slot = entry.byte();
                hands.made += 1;
                self.drop_bits(used);
                continue;
            }
            match entry.kind() {
                Kind::Base => {}
                Kind::End => {
                    self.drop_bits(used);
                    self.end_block();
                    return Ok(None);
                }
                _ => return Err(Corrupt),
            }
            let length = usize::from(entry.value()) + low_bits(self.bits >> used, entry.extra());
            used += entry.extra();
            let entry = codes.distance(self.bits >> used);
            if used + entry.bits() + entry.extra() > self.bit_count {
                return Ok(Some(Pause::Input));
            }
            if entry.kind() != Kind::Base {
                return Err(Corrupt);
            }
            used += entry.bits();
            let distance = usize::from(entry.value()) + low_bits(self.bits >> used, entry.extra());
            self.drop_bits(used + entry.extra());
            if !self.history.reaches(distance, hands.made) {
                return Err(Corrupt);
            }
            if let Some(pause) = self.copy_match(source, length, distance, hands) {
                return Ok(Some(pause));
            }
        }
    }

    /// Decodes symbols as [`symbols`](Self::symbols) does while there is plenty of both input and
    /// space, and leaves whatever is not a literal or a good match to it.
    ///
    /// Keeping the bit buffer in locals takes a tenth off the time for 16 KiB of JSON, and being a
    /// function of its own, which leaves them in registers, 3 % off the instructions (x86-64,
    /// 2026-11-21).
    #[inline(never)]
    fn symbols_in_plenty(&mut self, source: Source, hands: &mut Hands<'_, '_>) {
        let codes = match source {
            Source::Dynamic => &self.codes,
            Source::Fixed => Codes::fixed(),
        };
        let (input, mut made) = (hands.input, hands.made);
        let output = &mut *hands.output;
        let (mut bits, mut count, mut at) = (self.bits, self.bit_count, 0);
        while let Some(&word) = input.get(at..).and_then(<[u8]>::first_chunk)
            && output.len().wrapping_sub(made) >= PLENTY
        {
            at = top_up(&mut bits, &mut count, word, at);
            // At most 15 bits each: of 56, enough stays for another look.
            let mut entry = codes.literal(bits);
            let mut literals = 0;
            while entry.is_literal() && literals < 3 {
                if let Some(slot) = output.get_mut(made) {
                    *slot = entry.byte();
                }
                made = made.wrapping_add(1);
                bits >>= entry.bits();
                count = count.wrapping_sub(entry.bits());
                literals += 1;
                entry = codes.literal(bits);
            }
            if count < 48 {
                if literals == 3 {
                    continue;
                }
                let Some(&word) = input.get(at..).and_then(<[u8]>::first_chunk) else {
                    break;
                };
                at = top_up(&mut bits, &mut count, word, at);
                entry = codes.literal(bits);
            }
            if entry.is_literal() {
                continue;
            }
            if entry.kind() != Kind::Base {
                break;
            }
            let mut used = entry.bits();
            let length = usize::from(entry.value()) + low_bits(bits >> used, entry.extra());
            used = used.wrapping_add(entry.extra());
            let entry = codes.distance(bits.wrapping_shr(used));
            used = used.wrapping_add(entry.bits());
            let distance =
                usize::from(entry.value()) + low_bits(bits.wrapping_shr(used), entry.extra());
            used = used.wrapping_add(entry.extra());
            if entry.kind() != Kind::Base || !self.history.reaches(distance, made) {
                break;
            }
            bits = bits.wrapping_shr(used);
            count = count.wrapping_sub(used);
            made = self.history.copy(output, made, length, distance);
        }
        // Bits that are not counted must be zero again.
        (self.bits, self.bit_count) = (bits & !(u64::MAX << count), count);
        hands.input = input.get(at..).unwrap_or_default();
        hands.made = made;
    }

    /// Repeats earlier bytes; `Some` if there is no space for all of them.
    fn copy_match(
        &mut self,
        source: Source,
        length: usize,
        distance: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Option<Pause> {
        let made = self.history.copy(hands.output, hands.made, length, distance);
        let left = length - (made - hands.made);
        hands.made = made;
        if left == 0 {
            self.state = State::Symbols(source);
            return None;
        }
        self.state = State::Match { source, length: left, distance };
        Some(Pause::Output)
    }

    fn end_block(&mut self) {
        self.state = if self.last { State::End } else { State::Header };
    }

    /// Takes `count` bits, at most 32, if that many are there.
    fn take(&mut self, count: u32, hands: &mut Hands<'_, '_>) -> Option<usize> {
        self.fill(hands);
        if self.bit_count < count {
            return None;
        }
        let taken = low_bits(self.bits, count);
        self.drop_bits(count);
        Some(taken)
    }

    #[inline]
    fn drop_bits(&mut self, count: u32) {
        self.bits >>= count;
        self.bit_count -= count;
    }

    /// Fills the bit buffer to at least 56 bits, or with all there is.
    #[inline]
    fn fill(&mut self, hands: &mut Hands<'_, '_>) {
        if let Some(word) = hands.input.first_chunk::<8>() {
            refill(&mut self.bits, &mut self.bit_count, word, &mut hands.input);
            return;
        }
        while let (true, Some((&byte, rest))) = (self.bit_count < 56, hands.input.split_first()) {
            self.bits |= u64::from(byte) << self.bit_count;
            self.bit_count += 8;
            hands.input = rest;
        }
    }
}

/// The last bytes of the stream, as many as the agreed window, in a ring.
struct History {
    ring: Vec<u8>,
    /// Where the next byte goes; the end of the ring until it is full.
    at: usize,
    window: usize,
}

impl History {
    fn new(window_bits: u8) -> Self {
        Self { ring: Vec::new(), at: 0, window: 1 << window_bits }
    }

    fn reset(&mut self, window_bits: u8) {
        self.ring.clear();
        self.at = 0;
        self.window = 1 << window_bits;
    }

    /// Returns whether a distance stays inside the window and the stream, of which `made` bytes
    /// are not in the ring yet.
    #[inline]
    fn reaches(&self, distance: usize, made: usize) -> bool {
        distance <= self.window && distance <= self.ring.len() + made
    }

    fn push(&mut self, made: &[u8]) -> Result<(), NoMemory> {
        let old = made.len().saturating_sub(self.window);
        let tail = made.get(old..).unwrap_or_default();
        let grow = tail.len().min(self.window - self.ring.len());
        let (first, rest) = tail.split_at(grow);
        if self.ring.capacity() < self.ring.len() + grow {
            // In powers of two and never beyond the window, which doubling could pass.
            let target = (self.ring.len() + grow).next_power_of_two().min(self.window);
            let more = target - self.ring.len();
            self.ring.try_reserve_exact(more).map_err(|_| NoMemory(more))?;
        }
        self.ring.extend_from_slice(first);
        self.at = (self.at + grow) % self.window;
        let (second, third) = rest.split_at(rest.len().min(self.window - self.at));
        copy_to(&mut self.ring, self.at, second);
        copy_to(&mut self.ring, 0, third);
        self.at = (self.at + rest.len()) % self.window;
        Ok(())
    }

    /// Repeats `length` bytes from `distance` back behind `output[..made]`, as far as there is
    /// space; returns how much is made then. The distance must have been checked.
    ///
    /// A call instead of this would take a tenth more instructions for 16 KiB of JSON (x86-64,
    /// 2026-11-21).
    #[inline(always)]
    fn copy(&self, output: &mut [u8], made: usize, length: usize, distance: usize) -> usize {
        // Most matches are short: sixteen bytes in one go, of which the next bytes overwrite
        // what is too much.
        if length <= 16
            && distance >= 16
            && let Some(from) = made.checked_sub(distance)
            && let Some(&bytes) = output.get(from..).and_then(<[u8]>::first_chunk::<16>)
            && let Some(space) = output.get_mut(made..).and_then(<[u8]>::first_chunk_mut)
        {
            *space = bytes;
            return made + length;
        }
        self.copy_any(output, made, length, distance)
    }

    fn copy_any(
        &self,
        output: &mut [u8],
        mut made: usize,
        length: usize,
        distance: usize,
    ) -> usize {
        let end = output.len().min(made + length);
        // First what lies in the ring, in up to two pieces,
        let mut from = made.wrapping_sub(distance);
        while made < end && distance > made {
            let back = distance - made;
            let at =
                if back <= self.at { self.at - back } else { self.at + self.ring.len() - back };
            let count = (end - made).min(back).min(self.ring.len() - at);
            copy_to(output, made, self.ring.get(at..at + count).unwrap_or_default());
            made += count;
            from = made.wrapping_sub(distance);
        }
        // then what this call made, where a match may run into the bytes it makes itself.
        while made < end {
            let count = (end - made).min(made - from);
            output.copy_within(from..from + count, made);
            made += count;
        }
        made
    }
}

/// Fills the bit buffer to at least 56 bits from the next eight bytes.
#[inline]
fn refill(bits: &mut u64, count: &mut u32, word: &[u8; 8], input: &mut &[u8]) {
    let bytes = (63 - *count) / 8;
    // Bits that are not counted must stay zero.
    let fresh = u64::from_le_bytes(*word) & ((1 << (8 * bytes)) - 1);
    *bits |= fresh << *count;
    *count += 8 * bytes;
    *input = input.get(bytes as usize..).unwrap_or_default();
}

/// Fills the bit buffer to at least 56 bits from the eight bytes at `at`, and returns where the
/// bytes go on that are counted. What is not counted stays behind the bits, and is the same when
/// it comes again.
#[inline(always)]
fn top_up(bits: &mut u64, count: &mut u32, word: [u8; 8], at: usize) -> usize {
    *bits |= u64::from_le_bytes(word).wrapping_shl(*count);
    let bytes = 63u32.wrapping_sub(*count) / 8;
    *count |= 56;
    at.wrapping_add(bytes as usize)
}

/// Copies `bytes` to `space[at..]`, which must have room for them.
#[inline]
fn copy_to(space: &mut [u8], at: usize, bytes: &[u8]) {
    match space.get_mut(at..).and_then(|space| space.get_mut(..bytes.len())) {
        Some(space) => space.copy_from_slice(bytes),
        None => debug_assert!(false, "the caller has made room"),
    }
}

/// The order in which the lengths of the code length code come (RFC 1951 section 3.2.7).
pub(super) const ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Code lengths of both alphabets: 286 and 30 at most, rounded up.
const LENGTHS: usize = 320;
/// Space for the most that one turn of the fast loop makes: three literals and a match.
const PLENTY: usize = 3 + 258;
