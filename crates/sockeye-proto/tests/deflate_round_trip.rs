//! The codec against other implementations, over random messages and random damage.
#![cfg(feature = "deflate")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail by panicking")]

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;
use sockeye_proto::Position;
use sockeye_proto::deflate::{Context, Deflater, InflateError, InflateStatus, Inflater, Pool};
use zlib_rs::{Inflate, InflateFlush};

/// Inflates a message fed in pieces of `piece` bytes with room for `room` at a time.
fn inflate(
    inflater: &mut Inflater,
    payload: &[u8],
    piece: usize,
    room: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    for mut input in payload.chunks(piece) {
        loop {
            let before = out.len();
            let step = inflater.inflate(input, &mut out, room)?;
            assert!(out.len() - before <= room);
            input = &input[step.consumed..];
            match step.status {
                InflateStatus::NeedInput => break assert!(input.is_empty()),
                InflateStatus::OutputFull => assert_eq!(out.len() - before, room),
            }
        }
    }
    inflater.finish_message()?;
    Ok(out)
}

/// Bytes that compress well, badly or not at all.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3000),
        proptest::collection::vec(0u8..4, 0..6000),
        (proptest::collection::vec(any::<u8>(), 1..600), 1usize..80).prop_map(|(b, n)| b.repeat(n)),
        proptest::collection::vec("[a-z]{1,6}|\\{\"id\":[0-9]{1,4}\\}", 0..500)
            .prop_map(|words| words.join(" ").into_bytes()),
    ]
}

fn context() -> impl Strategy<Value = Context> {
    prop_oneof![Just(Context::Keep), Just(Context::Forget)]
}

/// Compresses a message as another implementation would, without the tail.
fn foreign_compress(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 1000);
    compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    if payload.is_empty() {
        return vec![0];
    }
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// Decompresses a message as another implementation would.
fn foreign_decompress(decompress: &mut Decompress, payload: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 100);
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    decompress.decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // DFL-017
    #[test]
    fn what_is_compressed_comes_back_at_every_setting(
        messages in proptest::collection::vec(message(), 1..4),
        context in context(),
        bits in 8u8..=15,
        level in 1u8..=9,
        cut in 1usize..2000,
        piece in 1usize..700,
        room in 1usize..5000,
    ) {
        let pool = Pool::default();
        let mut deflater = Deflater::new(bits, context, level, &pool);
        let mut inflater = Inflater::new(bits, context, &pool);
        let mut foreign = Decompress::new(false);
        for message in &messages {
            let mut payload = Vec::new();
            let (first, rest) = message.split_at(cut.min(message.len()));
            deflater.compress_part(first, Position::More, &mut payload);
            deflater.compress_part(rest, Position::Last, &mut payload);
            if context == Context::Forget {
                foreign.reset(false);
            }
            prop_assert_eq!(&foreign_decompress(&mut foreign, &payload, message.len()), message);
            prop_assert_eq!(&inflate(&mut inflater, &payload, piece, room).unwrap(), message);
            prop_assert_eq!(inflater.holds_state(), context == Context::Keep);
        }
    }

    // DFL-017
    #[test]
    fn what_others_compress_comes_back(
        messages in proptest::collection::vec(message(), 1..4),
        context in context(),
        level in 0u32..=9,
        piece in 1usize..700,
        room in 1usize..5000,
    ) {
        let mut inflater = Inflater::new(15, context, &Pool::default());
        let mut foreign = Compress::new(Compression::new(level), false);
        for message in &messages {
            if context == Context::Forget {
                foreign.reset();
            }
            let payload = foreign_compress(&mut foreign, message);
            prop_assert_eq!(&inflate(&mut inflater, &payload, piece, room).unwrap(), message);
        }
    }

    // DFL-018
    #[test]
    fn random_payloads_never_panic_or_pass_the_room(
        payload in proptest::collection::vec(any::<u8>(), 0..600),
        bits in 8u8..=15,
        context in context(),
        piece in 1usize..100,
        room in 1usize..3000,
    ) {
        let mut inflater = Inflater::new(bits, context, &Pool::default());
        let _ = inflate(&mut inflater, &payload, piece, room);
    }

    // DFL-010, DFL-018
    #[test]
    fn damaged_payloads_are_judged_as_zlib_judges_them(
        message in message(),
        level in 1u32..=9,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        piece in 1usize..700,
    ) {
        let mut compress = Compress::new(Compression::new(level), false);
        let mut payload = foreign_compress(&mut compress, &message);
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] ^= byte;
        }
        let mut zlib = Inflate::new(false, 15);
        let mut expected = vec![0; 2 << 20];
        let verdict = zlib.decompress(&payload, &mut expected, InflateFlush::SyncFlush);
        expected.truncate(usize::try_from(zlib.total_out()).unwrap());

        let mut inflater = Inflater::new(15, Context::Forget, &Pool::default());
        let mut out = Vec::new();
        let mut result = Ok(());
        for input in payload.chunks(piece) {
            result = inflater.inflate(input, &mut out, 2 << 20).map(|_| ());
            if result.is_err() {
                break;
            }
        }
        if verdict.is_ok() {
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(out, expected);
        } else {
            prop_assert_eq!(result, Err(InflateError::Corrupt));
            prop_assert!(expected.starts_with(&out));
        }
    }
}
