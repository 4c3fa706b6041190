//! How fast bytes are unmasked and checked, beside the plain loop, the standard library and `simdutf8`:
//! prints one JSON object, in bytes per nanosecond, the median of 31 runs each.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};
use sockeye_proto::deflate::{Context, Deflater, Inflater, Pool};
use sockeye_proto::{Validator, mask};

const SIZES: [(&str, usize); 3] = [("16 B", 16), ("1 KiB", 1 << 10), ("1 MiB", 1 << 20)];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const RUNS: usize = 31;

fn main() {
    let mut results = Map::new();
    for (name, size) in SIZES {
        let ascii: Vec<u8> = (0..size).map(|i| b' ' + (i % 90) as u8).collect();
        let mixed: Vec<u8> = "Lachs: лосось, 鮭, سلمون, 🐟. ".bytes().cycle().take(size).collect();
        let mixed = String::from_utf8_lossy(&mixed).replace('\u{fffd}', "").into_bytes();
        let mut data = ascii.clone();
        let mut size_results = Map::new();
        let mut record = |what: &str, bytes: usize, run: &mut dyn FnMut()| {
            let speed = bytes_per_ns(bytes, run);
            size_results.insert(what.to_owned(), json!(speed));
        };
        record("unmask, plain loop", size, &mut || plain(black_box(&mut data), KEY));
        record("unmask", size, &mut || mask::apply(black_box(&mut data), KEY));
        for (kind, text) in [("ASCII", &ascii), ("mixed", &mixed)] {
            record(&format!("check {kind}, std"), text.len(), &mut || {
                assert!(std::str::from_utf8(black_box(text)).is_ok());
            });
            record(&format!("check {kind}, simdutf8"), text.len(), &mut || {
                assert!(simdutf8::basic::from_utf8(black_box(text)).is_ok());
            });
            record(&format!("check {kind}, streaming"), text.len(), &mut || {
                let mut validator = Validator::default();
                assert!(validator.push(black_box(text)).is_ok());
            });
        }
        results.insert(name.to_owned(), Value::Object(size_results));
    }
    results.insert("inflate, 1 KiB of JSON at level 1".to_owned(), inflate());
    println!("{:#}", Value::Object(results));
}

/// Inflates messages that keep no context, by our decoder and by zlib-rs.
fn inflate() -> Value {
    let pool = Pool::default();
    let json: Vec<u8> = (0..)
        .flat_map(|i: u64| {
            let id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                "{{\"id\":\"{id:016x}\",\"seq\":{i},\"name\":\"river {}\",\"ok\":true}},",
                id % 97
            )
            .into_bytes()
        })
        .take(1 << 10)
        .collect();
    let mut payload = Vec::new();
    Deflater::new(12, Context::Forget, 1, &pool).compress(&json, &mut payload).expect("memory");
    let mut ours = Inflater::new(12, Context::Forget, &pool);
    let mut out = Vec::with_capacity(2 << 10);
    let our_speed = bytes_per_ns(json.len(), &mut || {
        out.clear();
        ours.inflate(black_box(&payload), &mut out, 1 << 20).expect("a good message");
        ours.finish_message().expect("a whole message");
        assert_eq!(out.len(), json.len());
    });
    payload.extend([0, 0, 0xff, 0xff]);
    let mut zlib = zlib_rs::Inflate::new(false, 15);
    let mut buffer = vec![0; 2 << 10];
    let zlib_speed = bytes_per_ns(json.len(), &mut || {
        zlib.reset(false);
        zlib.decompress(black_box(&payload), &mut buffer, zlib_rs::InflateFlush::SyncFlush)
            .expect("a good message");
        assert_eq!(zlib.total_out() as usize, json.len());
    });
    json!({ "ours": our_speed, "zlib-rs": zlib_speed })
}

/// The loop of RFC 6455 section 5.3, kept from being vectorised as a reference.
fn plain(data: &mut [u8], key: [u8; 4]) {
    for (i, byte) in data.iter_mut().enumerate() {
        *byte ^= black_box(key)[i % 4];
    }
}

/// Runs `run` often enough to be measured, many times, and returns the median speed.
fn bytes_per_ns(bytes: usize, run: &mut dyn FnMut()) -> f64 {
    let times = (1 << 22) / bytes.max(64) + 1;
    let mut speeds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..times {
                run();
            }
            (bytes * times) as f64 / start.elapsed().as_nanos() as f64
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    (speeds[RUNS / 2] * 100.0).round() / 100.0
}
