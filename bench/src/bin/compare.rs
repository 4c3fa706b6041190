//! Compares whole servers: `cargo run --release --bin compare -- --uws PROGRAM`, and of the rest what is not as below.
//!
//! `--points quick|full|others --only TEXT --runs 3 --seconds 2 --servers NAME,NAME --sockeye PROGRAM --out FILE`, where
//! `--only` takes the points whose names hold the text. Prints tables, and writes every run to `results-load.json`.
//! `cargo build --release` of the project and of the programs here comes first.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use sockeye_bench::compare::Comparison;
use sockeye_bench::flags::Flags;
use sockeye_bench::load::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let comparison = Comparison::parse(Flags::parse(std::env::args().skip(1))?)?;
    print!("{}", comparison.run()?);
    Ok(())
}
