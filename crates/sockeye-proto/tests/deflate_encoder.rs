//! Messages compressed without context, over every window and level: what comes back, from our
//! decompressor and from zlib's, how far matches look back, and how long the result may be.
#![cfg(feature = "deflate")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail by panicking")]

use proptest::prelude::*;
use sockeye_proto::deflate::{Context, Deflater, Inflater, Pool};
use zlib_rs::{Inflate, InflateFlush};

fn compress(message: &[u8], bits: u8, level: u8, pool: &Pool) -> Vec<u8> {
    let mut payload = b"before".to_vec();
    Deflater::new(bits, Context::Forget, level, pool).compress(message, &mut payload).unwrap();
    assert!(payload.starts_with(b"before"));
    payload.split_off(6)
}

/// Compresses and checks that the message comes back. Our decompressor refuses a distance beyond
/// its window exactly.
fn round_trip(message: &[u8], bits: u8, level: u8, pool: &Pool) -> Vec<u8> {
    let payload = compress(message, bits, level, pool);
    let stored = message.len() + 5 * message.len().div_ceil(0xffff) + 1;
    assert!(payload.len() <= stored, "{} bytes of {}", payload.len(), message.len());
    let mut out = Vec::new();
    let mut inflater = Inflater::new(bits, Context::Forget, pool);
    inflater.inflate(&payload, &mut out, message.len()).unwrap();
    inflater.finish_message().unwrap();
    assert!(out == message, "ours, {bits} bits, level {level}");
    assert!(by_zlib(&payload, message.len()) == message, "zlib's, {bits} bits, level {level}");
    payload
}

fn by_zlib(payload: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len + 1];
    let mut zlib = Inflate::new(false, 15);
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    zlib.decompress(&input, &mut out, InflateFlush::SyncFlush).unwrap();
    out.truncate(usize::try_from(zlib.total_out()).unwrap());
    out
}

/// The same numbers in every run.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn json(len: usize) -> Vec<u8> {
    let values = noise(len, 9);
    let items =
        values.chunks(3).map(|it| format!("{{\"id\":{},\"river\":\"{}\"}},", it[0], it.len()));
    items.collect::<String>().into_bytes()[..len].to_vec()
}

/// Bytes whose frequencies are Fibonacci's numbers: the best code would pass 15 bits.
fn skewed() -> Vec<u8> {
    let (mut one, mut other) = (1, 1);
    let mut message = Vec::new();
    for byte in 0..16u8 {
        message.extend(std::iter::repeat_n(byte.wrapping_mul(37), one));
        (one, other) = (other, one + other);
    }
    // Shuffled, so that there is little to repeat.
    let order = noise(4 * message.len(), 5);
    for (at, random) in order.chunks(4).enumerate() {
        let with = u32::from_le_bytes(random.try_into().unwrap()) as usize % message.len();
        message.swap(at, with);
    }
    message
}

/// Levels that differ in what they do: the default, the one behind, and the two ends of the rest.
const LEVELS: [u8; 4] = [1, 3, 6, 9];

// DFL-017
#[test]
fn adversarial_messages_come_back_over_every_window_and_level() {
    let pool = Pool::default();
    for bits in 8..=15u8 {
        let window = 1usize << bits;
        let at_the_window = |more: usize| noise(window + more, 3).repeat(4);
        let mut messages = vec![vec![0; 100_000], noise(70_000, 1), skewed(), json(40_000)];
        messages.extend([at_the_window(0), at_the_window(1), noise(window - 1, 3).repeat(4)]);
        messages.push([noise(300, 2), vec![b'x'; 5_000], noise(300, 2)].concat());
        // Matches of exactly the longest and one more.
        messages.push(
            (0..40u32).flat_map(|i| [&noise(258 + i as usize % 2, 7)[..], b"-"].concat()).collect(),
        );
        for (message, level) in messages.iter().flat_map(|it| LEVELS.map(|level| (it, level))) {
            round_trip(message, bits, level, &pool);
        }
    }
}

// DFL-017
#[test]
fn every_length_comes_back_up_to_where_tables_and_blocks_end() {
    let pool = Pool::default();
    let (json, noise) = (json(9_000), noise(9_000, 4));
    for len in (0..300).chain(4_090..4_100).chain(8_190..8_200) {
        for message in [&json[..len], &noise[..len], &[b'a'; 9_000][..len]] {
            round_trip(message, 12, 1, &pool);
            round_trip(message, 8, 9, &pool);
        }
    }
}

// DFL-017
#[test]
fn a_mebibyte_comes_back_at_every_level() {
    let pool = Pool::default();
    let message = [json(1 << 19), noise(1 << 18, 6), vec![0; 1 << 18]].concat();
    for level in 1..=9 {
        for bits in [8, 12, 15] {
            round_trip(&message, bits, level, &pool);
        }
    }
}

// DFL-005
#[test]
fn what_other_messages_left_in_a_compressor_changes_no_byte() {
    let pool = Pool::default();
    let message = json(3_000);
    for level in LEVELS {
        let alone = compress(&message, 12, level, &Pool::default());
        // The numbers of places wrap on the way.
        for turn in 0..60 {
            let other = [&noise(turn * 61, 8)[..], &message[turn..], &json(2_500)].concat();
            compress(&other, 8 + turn as u8 % 8, level, &pool);
            assert_eq!(compress(&message, 12, level, &pool), alone, "turn {turn}");
        }
    }
}

#[test]
fn short_json_is_as_short_as_zlib_makes_it_at_its_default_level() {
    let pool = Pool::default();
    for len in [500, 1_024, 4_096] {
        let message = json(len);
        let mut zlib = zlib_rs::Deflate::new(6, false, 15);
        let mut out = vec![0; len + 100];
        zlib.compress(&message, &mut out, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        let (theirs, ours) = (
            usize::try_from(zlib.total_out()).unwrap() - 4,
            compress(&message, 12, 1, &pool).len(),
        );
        assert!(ours <= theirs + theirs / 33, "{ours} bytes and not {theirs} of {len}");
    }
}

#[test]
fn a_higher_level_is_hardly_ever_longer() {
    let pool = Pool::default();
    let message = [json(30_000), skewed(), json(30_000)].concat();
    let lengths: Vec<usize> =
        (1..=9).map(|level| compress(&message, 15, level, &pool).len()).collect();
    assert!(lengths.windows(2).all(|two| two[1] <= two[0] + two[0] / 50), "{lengths:?}");
}

/// Pieces that repeat, at any distance, in any order.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..400),
        proptest::collection::vec(0u8..4, 1..2_000),
        (any::<u8>(), 1usize..3_000).prop_map(|(byte, len)| vec![byte; len]),
        (1usize..20_000).prop_map(json),
    ];
    (
        proptest::collection::vec(piece, 1..5),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    )
        .prop_map(|(pieces, order)| order.iter().flat_map(|at| at.get(&pieces).clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // DFL-003, DFL-017
    #[test]
    fn what_is_compressed_without_context_comes_back_within_its_window(
        messages in proptest::collection::vec(message(), 1..3),
        bits in 8u8..=15,
        level in 1u8..=9,
    ) {
        let pool = Pool::default();
        for message in &messages {
            round_trip(message, bits, level, &pool);
        }
    }
}
