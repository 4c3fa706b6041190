//! Compares whole servers: `cargo run --release --bin compare -- --uws PROGRAM`, and of the rest what is not as below.
//!
//! `--points quick|must --only TEXT --runs 3 --seconds 2 --servers NAME,NAME --sockeye PROGRAM --out FILE --docs DIR`, where
//! `--only` takes the points whose names hold the text. Every run goes to `results-load.json`; the tables in
//! `docs/performance.md` and the charts in `docs/charts` are made of it. With `--add`, points that are not measured now
//! stay as they were; with `--render`, nothing is measured at all. With an `--out` of its own and no `--docs`, the
//! tables are printed. `cargo build --release` of the project and of the programs here comes first.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use sockeye_bench::compare::compare;
use sockeye_bench::flags::Flags;

fn main() -> ExitCode {
    let flags = Flags::parse(std::env::args().skip(1), &["add", "render"]);
    match flags.map_err(Into::into).and_then(compare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}
