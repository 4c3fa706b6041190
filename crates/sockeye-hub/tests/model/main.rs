//! The hub against a plain list of everything that was ever published, in simulated time.
//!
//! Publishers, subscribers that poll one message at a time, that fetch batches, and that keep
//! connections through the mailboxes of threads and bounded queues; lost connections, slow
//! readers, restarts, histories cut by count, bytes and age, topics left and joined again. What
//! every subscriber gets must be in order and never twice, and what it does not get must have been
//! told; and a gap must be told of nothing else.
//!
//! `SOCKEYE_HUB_SEEDS` sets how many seeds are tried; `SOCKEYE_HUB_SEED` tries one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod ledger;
mod log;
mod random;
mod stream;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::World;

/// Steps in the world of one seed.
const STEPS: usize = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64) {
    let run = || {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.finish();
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        eprintln!("seed {seed} fails");
        resume_unwind(panic);
    }
}

// PUB-023, PUB-024, REC-009, REC-010, REC-011
#[test]
fn every_subscriber_gets_everything_in_order_once_or_is_told_what_is_missing() {
    match number("SOCKEYE_HUB_SEED") {
        Some(seed) => run(seed),
        None => (0..number("SOCKEYE_HUB_SEEDS").unwrap_or(500)).for_each(run),
    }
}
