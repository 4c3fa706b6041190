//! The load generator: `load --port PORT --pid PID`, and of the rest what is not as below.
//!
//! `--mode echo|idle|handshake|broadcast --path / --connections 64 --size 16 --in-flight 1 --data binary|text|deflated
//! --seconds 2`. Prints JSON. Pin it with `taskset -c 1`, and the server with `taskset -c 0`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use sockeye_bench::flags::Flags;
use sockeye_bench::load::{Failure, Load};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let load = Load::parse(Flags::parse(std::env::args().skip(1), &[])?)?;
    println!("{}", load.run()?);
    Ok(())
}
