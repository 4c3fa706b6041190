//! What the codec never passes: the agreed window, the room it is given, the memory of a pool.
#![cfg(feature = "deflate")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests fail by panicking")]

use sockeye_proto::Position;
use sockeye_proto::deflate::{Context, Deflater, InflateError, InflateStatus, Inflater, Pool};

/// Writes bits as DEFLATE packs them, to make blocks that no compressor makes.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// Writes a number, low bit first.
    fn number(&mut self, value: usize, bits: usize) {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> bit & 1 == 1) << (self.count % 8);
            self.count += 1;
        }
    }

    /// Writes a Huffman code, high bit first.
    fn code(&mut self, value: usize, bits: usize) {
        for bit in (0..bits).rev() {
            self.number(value >> bit & 1, 1);
        }
    }
}

const DISTANCES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const LENGTHS: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];

/// Makes a message that looks back once, by three bytes at `distance`, with the fixed codes.
fn look_back(distance: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(0b010, 3);
    bits.code(1, 7);
    let symbol = DISTANCES.partition_point(|&base| base <= distance) - 1;
    bits.code(symbol, 5);
    bits.number(distance - DISTANCES[symbol], (symbol / 2).saturating_sub(1));
    bits.code(0, 7);
    bits.number(0, 3);
    bits.bytes
}

/// Makes a message of stored blocks, but for the tail.
fn store(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in payload.chunks(65_535) {
        let length = u16::try_from(block.len()).unwrap();
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.push(0);
    out
}

fn inflate(inflater: &mut Inflater, payload: &[u8]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    inflater.inflate(payload, &mut out, usize::MAX)?;
    inflater.finish_message()?;
    Ok(out)
}

// DFL-016
#[test]
fn a_distance_beyond_the_agreed_window_is_corrupt() {
    for bits in 8..=15u8 {
        let window = 1usize << bits;
        let text: Vec<u8> = (0..window + 1000).map(|i| (i % 251) as u8).collect();
        for (distance, allowed) in [(window, true), (window + 1, false), (window + 40, false)] {
            if distance > 32_768 {
                continue; // No code can say it.
            }
            let expected = &text[text.len() - distance..][..3];
            // In one message, with the text made by the same call, and in two.
            let mut together = store(&text);
            together.pop();
            together.extend(look_back(distance));
            let mut inflater = Inflater::new(bits, Context::Forget, &Pool::default());
            let out = inflate(&mut inflater, &together);
            assert_eq!(out.is_ok(), allowed, "window {window}, distance {distance}");
            assert!(out.is_err() || out.unwrap().ends_with(expected));

            let mut inflater = Inflater::new(bits, Context::Keep, &Pool::default());
            assert_eq!(inflate(&mut inflater, &store(&text)).unwrap(), text);
            let out = inflate(&mut inflater, &look_back(distance));
            let verdict = if allowed { Ok(expected.to_vec()) } else { Err(InflateError::Corrupt) };
            assert_eq!(out, verdict, "window {window}, distance {distance}");
        }
    }
}

/// Reads the bits of a stream.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self, bits: usize) -> usize {
        (0..bits).fold(0, |value, bit| {
            let byte = self.bytes[self.at / 8];
            let read = usize::from(byte >> (self.at % 8) & 1);
            self.at += 1;
            value | read << bit
        })
    }

    /// Reads one symbol of a canonical code, bit by bit.
    fn symbol(&mut self, lengths: &[usize]) -> usize {
        let (mut code, mut first) = (0, 0);
        for length in 1..=15 {
            code |= self.number(1);
            let count = lengths.iter().filter(|&&l| l == length).count();
            if code < first + count {
                let mut of_length = (0..lengths.len()).filter(|&s| lengths[s] == length);
                return of_length.nth(code - first).unwrap();
            }
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// Walks a message without the tail, by the letter of RFC 1951, and returns its longest distance.
fn longest_distance(payload: &[u8]) -> usize {
    let bytes = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut reader = Reader { bytes: &bytes, at: 0 };
    let mut longest = 0;
    while reader.at < bytes.len() * 8 {
        assert_eq!(reader.number(1), 0, "no final block");
        let (literals, distances) = match reader.number(2) {
            0 => {
                reader.at = reader.at.next_multiple_of(8);
                let length = reader.number(16);
                assert_eq!(reader.number(16), !length & 0xffff);
                reader.at += length * 8;
                continue;
            }
            1 => {
                let literals = (0..288u32).map(|s| match s {
                    0..144 | 280.. => 8,
                    144..256 => 9,
                    256..280 => 7,
                });
                (literals.collect(), vec![5; 30])
            }
            _ => dynamic_lengths(&mut reader),
        };
        loop {
            match reader.symbol(&literals) {
                0..256 => {}
                256 => break,
                symbol => {
                    let extra = if symbol == 285 { 0 } else { ((symbol - 257) / 4).max(1) - 1 };
                    assert!(LENGTHS[symbol - 257] + reader.number(extra) <= 258);
                    let symbol = reader.symbol(&distances);
                    let extra = (symbol / 2).max(1) - 1;
                    longest = longest.max(DISTANCES[symbol] + reader.number(extra));
                }
            }
        }
    }
    longest
}

fn dynamic_lengths(reader: &mut Reader<'_>) -> (Vec<usize>, Vec<usize>) {
    let (literals, distances) = (reader.number(5) + 257, reader.number(5) + 1);
    let count = reader.number(4) + 4;
    let mut order = [0; 19];
    for at in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].iter().take(count)
    {
        order[*at] = reader.number(3);
    }
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match reader.symbol(&order) {
            16 => (*lengths.last().unwrap(), 3 + reader.number(2)),
            17 => (0, 3 + reader.number(3)),
            18 => (0, 11 + reader.number(7)),
            length => (length, 1),
        };
        lengths.extend(vec![length; times]);
    }
    let distances = lengths.split_off(literals);
    (lengths, distances)
}

/// Makes bytes whose repetitions lie at every distance up to some hundreds.
fn repetitive(length: usize, mut seed: u32) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    while out.len() < length {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let back = 1 + (seed >> 8) as usize % 700;
        if seed >> 28 < 4 || back > out.len() {
            out.push((seed >> 16) as u8);
        } else {
            let from = out.len() - back;
            out.extend_from_within(from..out.len().min(from + 3 + (seed >> 24) as usize % 20));
        }
    }
    out
}

// DFL-003
#[test]
fn with_a_window_of_8_bits_no_distance_passes_256() {
    let mut seen = 0;
    for level in 1..=9 {
        for context in [Context::Keep, Context::Forget] {
            let pool = Pool::default();
            let mut deflater = Deflater::new(8, context, level, &pool);
            let mut inflater = Inflater::new(8, context, &pool);
            for seed in 0..12 {
                let message = repetitive(3000, seed);
                let mut payload = Vec::new();
                deflater.compress(&message, &mut payload).unwrap();
                let longest = longest_distance(&payload);
                assert!(longest <= 256, "level {level}: {longest}");
                seen = seen.max(longest);
                assert_eq!(inflate(&mut inflater, &payload).unwrap(), message);
            }
        }
    }
    assert!(seen > 200, "the messages must tempt the compressor: {seen}");
    // The checker sees distances beyond the window where it should.
    let mut payload = Vec::new();
    Deflater::new(10, Context::Forget, 6, &Pool::default())
        .compress(&repetitive(3000, 1), &mut payload)
        .unwrap();
    assert!(longest_distance(&payload) > 256);
}

fn bomb(length: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut deflater = Deflater::new(15, Context::Forget, 9, &Pool::default());
    deflater.compress(&vec![0; length], &mut payload).unwrap();
    payload
}

// DFL-006
#[test]
fn a_bomb_of_ten_megabytes_stops_at_a_limit_of_one() {
    let (payload, limit) = (bomb(10 << 20), 1 << 20);
    assert!(payload.len() < 11_000);
    let mut inflater = Inflater::new(15, Context::Forget, &Pool::default());
    let mut out = Vec::new();
    let step = inflater.inflate(&payload, &mut out, limit).unwrap();
    assert_eq!(step.status, InflateStatus::OutputFull);
    assert_eq!(out.len(), limit);
    assert!(step.consumed < payload.len() / 9, "no work beyond the limit");
}

// DFL-007
#[test]
fn a_message_of_the_limit_fits_and_one_byte_more_is_told() {
    let limit = 100_000;
    for (factor, at_once) in [(0u8, 1000), (7, 1), (9, 13), (201, 100_000)] {
        for excess in 0..3 {
            let message: Vec<u8> =
                (0..limit + excess).map(|i| ((i % 97) as u8).wrapping_mul(factor)).collect();
            let mut payload = Vec::new();
            Deflater::new(15, Context::Forget, 6, &Pool::default())
                .compress(&message, &mut payload)
                .unwrap();
            let mut inflater = Inflater::new(15, Context::Forget, &Pool::default());
            let mut out = Vec::new();
            let mut full = false;
            for input in payload.chunks(at_once) {
                let room = limit - out.len();
                full |= inflater.inflate(input, &mut out, room).unwrap().status
                    == InflateStatus::OutputFull;
                if full {
                    break;
                }
            }
            assert_eq!(full, excess > 0);
            assert_eq!(out.len(), limit);
            if !full {
                assert_eq!(inflater.finish_message(), Ok(()));
                assert_eq!(out, message);
            }
        }
    }
}

// DFL-008
#[test]
fn a_bomb_in_tiny_fragments_stops_at_the_sum() {
    let (payload, limit) = (bomb(4 << 20), 1 << 20);
    let mut inflater = Inflater::new(15, Context::Forget, &Pool::default());
    let mut out = Vec::new();
    let stopped = payload.chunks(2).position(|fragment| {
        let room = limit - out.len();
        inflater.inflate(fragment, &mut out, room).unwrap().status == InflateStatus::OutputFull
    });
    assert!(stopped.unwrap() < payload.len() / 2 / 3);
    assert_eq!(out.len(), limit);
}

#[test]
fn a_mebibyte_of_zeros_comes_in_rooms_of_64_kib() {
    let payload = bomb(1 << 20);
    let mut inflater = Inflater::new(15, Context::Forget, &Pool::default());
    let (mut input, mut total) = (&payload[..], 0);
    loop {
        let mut out = Vec::new();
        let step = inflater.inflate(input, &mut out, 64 << 10).unwrap();
        input = &input[step.consumed..];
        total += out.len();
        if step.status == InflateStatus::NeedInput {
            break;
        }
        assert_eq!(out.len(), 64 << 10);
        assert!(total < 1 << 20);
    }
    assert_eq!(total, 1 << 20);
    assert_eq!(inflater.finish_message(), Ok(()));
}

// DFL-026
#[test]
fn a_decompressor_that_failed_never_reaches_the_pool() {
    let pool = Pool::default();
    let mut healthy = Inflater::new(15, Context::Forget, &pool);
    assert_eq!(inflate(&mut healthy, &store(b"fine")).unwrap(), b"fine");
    assert_eq!(pool.inflates_at_rest(), 1);
    for payload in [&[0x06][..], &look_back(1), &[0x00, 0x05]] {
        let mut failing = Inflater::new(15, Context::Forget, &pool);
        assert_eq!(inflate(&mut failing, payload), Err(InflateError::Corrupt));
        assert!(!failing.holds_state());
        assert_eq!(pool.inflates_at_rest(), 0, "the state it took is gone");
        assert_eq!(inflate(&mut healthy, &store(b"fine")).unwrap(), b"fine");
        assert_eq!(pool.inflates_at_rest(), 1);
    }
    // Nor does one whose connection ended inside a message.
    let mut cut = Inflater::new(15, Context::Forget, &pool);
    cut.inflate(&[0x00, 0x05, 0x00], &mut Vec::new(), 100).unwrap();
    assert!(cut.holds_state());
    drop(cut);
    assert_eq!(pool.inflates_at_rest(), 0);
}

// DFL-021
#[test]
fn an_idle_end_without_context_holds_nothing_after_a_big_message() {
    let pool = Pool::default();
    let mut deflater = Deflater::new(15, Context::Forget, 1, &pool);
    let mut inflater = Inflater::new(15, Context::Forget, &pool);
    let message = repetitive(4 << 20, 3);
    let mut payload = Vec::new();
    deflater.compress_part(&message[..1 << 20], Position::More, &mut payload);
    assert!(deflater.holds_state());
    deflater.compress_part(&message[1 << 20..], Position::Last, &mut payload);
    assert!(inflate(&mut inflater, &payload).unwrap() == message);
    assert!(!deflater.holds_state() && !inflater.holds_state());
    assert_eq!((pool.deflates_at_rest(), pool.inflates_at_rest()), (1, 1));
}

#[test]
fn a_pool_keeps_four_of_a_kind() {
    let pool = Pool::default();
    for bits in [12, 15] {
        let mut deflaters: Vec<_> =
            (0..9).map(|_| Deflater::new(bits, Context::Forget, 1, &pool)).collect();
        for last in [Position::More, Position::Last] {
            for deflater in &mut deflaters {
                deflater.compress_part(b"piece", last, &mut Vec::new());
            }
        }
    }
    assert_eq!(pool.deflates_at_rest(), 8);
    let mut inflaters: Vec<_> = (0..9).map(|_| Inflater::new(15, Context::Forget, &pool)).collect();
    for inflater in &mut inflaters {
        inflater.inflate(&[0x00], &mut Vec::new(), 0).unwrap();
    }
    for inflater in &mut inflaters {
        assert_eq!(inflater.finish_message(), Ok(()));
    }
    assert_eq!(pool.inflates_at_rest(), 4);
}
