//! Messages of any bytes through the core's compressor without context, and back: through its own
//! decompressor, which refuses what looks back beyond its window, and through zlib's.

use arbitrary::{Arbitrary, Unstructured};
use flate2::{Decompress, FlushDecompress};
use sockeye_proto::deflate::{Context, Deflater, InflateStatus, Inflater, Pool};

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    window: u8,
    level: u8,
    /// How often what comes behind the first bytes is repeated, and how many those are.
    times: u8,
    apart: u16,
}

/// Compresses a message twice, with another between, and inflates it.
pub fn encoder(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let (bits, level) = (8 + input.window % 8, 1 + input.level % 9);
    let bytes = data.take_rest();
    let (once, again) = bytes.split_at(bytes.len().min(input.apart.into()));
    let message = [once, &again.repeat(usize::from(input.times % 16) + 1)].concat();
    let pool = Pool::default();
    let payload = compress(&message, bits, level, &pool);
    let stored = message.len() + 5 * message.len().div_ceil(0xffff) + 1;
    assert!(payload.len() <= stored, "longer than if it were stored");
    compress(bytes, 8 + level % 8, input.window, &pool);
    assert!(compress(&message, bits, level, &pool) == payload, "something of a message stayed");
    check_ours(&message, &payload, bits, &pool);
    check_zlib(&message, payload);
}

fn compress(message: &[u8], bits: u8, level: u8, pool: &Pool) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut deflater = Deflater::new(bits, Context::Forget, level, pool);
    deflater.compress(message, &mut payload).expect("there is memory");
    payload
}

fn check_ours(message: &[u8], payload: &[u8], bits: u8, pool: &Pool) {
    let mut inflater = Inflater::new(bits, Context::Forget, pool);
    let mut out = Vec::new();
    let inflated = inflater.inflate(payload, &mut out, message.len()).expect("good for us");
    assert_eq!(inflated.status, InflateStatus::NeedInput);
    inflater.finish_message().expect("whole");
    assert!(out == message, "other bytes by our decompressor");
}

fn check_zlib(message: &[u8], mut payload: Vec<u8>) {
    payload.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(message.len() + 1);
    let mut zlib = Decompress::new(false);
    zlib.decompress_vec(&payload, &mut out, FlushDecompress::Sync).expect("good for zlib");
    assert!(out == message, "other bytes by zlib");
}
