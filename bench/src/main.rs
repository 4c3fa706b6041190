//! Measures and records: `cargo run --release` here writes `results.json`.
//!
//! Speeds come from `kernels`; instructions from `codec` under callgrind, as the difference between a
//! long and a short run, so that start-up is not counted.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use sockeye_bench::compare::processor;

const IMPLEMENTATIONS: [&str; 3] = ["sockeye", "tungstenite", "fastwebsockets"];
const SIZES: [(&str, usize); 2] = [("16 B", 16), ("16 KiB", 16 << 10)];
const SHORT: u64 = 200;
const LONG: u64 = 1_200;

fn main() {
    let directory = std::env::current_exe().expect("a path");
    let directory = directory.parent().expect("a directory");
    let kernels = Command::new(directory.join("kernels")).output().expect("kernels run");
    let kernels: Value = serde_json::from_slice(&kernels.stdout).expect("kernels print JSON");
    let mut instructions = Map::new();
    for (name, size) in SIZES {
        let counts: Map<String, Value> = IMPLEMENTATIONS
            .iter()
            .map(|implementation| {
                let count = |times| count(directory, implementation, size, times);
                let per_message = (count(LONG) - count(SHORT)) / (LONG - SHORT);
                ((*implementation).to_owned(), json!(per_message))
            })
            .collect();
        instructions.insert(name.to_owned(), Value::Object(counts));
    }
    let results = json!({
        "kernels, bytes per ns": kernels,
        "echo of one message, instructions": instructions,
        "processor": processor(),
    });
    let text = format!("{results:#}\n");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results.json"), &text).expect("written");
    print!("{text}");
}

/// Counts the instructions of a run.
fn count(directory: &Path, implementation: &str, size: usize, times: u64) -> u64 {
    let output = Command::new("valgrind")
        // callgrind counts each byte of a `rep movsb` as an instruction; vector loops are counted fairly.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(directory.join("codec"))
        .args([implementation, &size.to_string(), &times.to_string()])
        .output()
        .expect("valgrind runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8_lossy(&output.stderr);
    let line = report.lines().find(|line| line.contains("Collected :")).expect("a count");
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}
