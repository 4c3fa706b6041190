//! Runs every committed input again, so that a crash that was fixed stays fixed where there is no
//! fuzzer too.

use std::fs;
use std::path::Path;

use sockeye_fuzz::TARGETS;

#[test]
fn the_committed_corpora_run_without_a_panic() {
    for target in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let inputs = fs::read_dir(&directory).expect("every target has a corpus");
        let mut count = 0;
        for input in inputs {
            let path = input.expect("a directory that can be read").path();
            println!("{}", path.display());
            (target.run)(&fs::read(path).expect("a file"));
            count += 1;
        }
        assert!(count > 0, "the corpus of {} is empty", target.name);
    }
}

#[test]
fn every_target_runs_without_a_byte() {
    TARGETS.iter().for_each(|target| (target.run)(&[]));
}
