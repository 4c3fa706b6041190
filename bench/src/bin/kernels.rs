//! How fast bytes are unmasked and checked, beside the plain loop, the standard library and `simdutf8`:
//! prints one JSON object, in bytes per nanosecond, the median of 31 runs each.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};
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
    println!("{:#}", Value::Object(results));
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
