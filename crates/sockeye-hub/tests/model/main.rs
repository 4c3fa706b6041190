//! The hub against a plain list of everything that was ever published, in simulated time.
//!
//! Publishers, subscribers that poll one message at a time, that fetch batches, and that keep
//! connections through the mailboxes of threads and bounded queues; lost connections, slow
//! readers, restarts, histories cut by count, bytes and age under rules that change, topics left and joined again. What
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

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{SIGHTS, World};

/// Steps in the world of one seed.
const STEPS: usize = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Lives through one world. Returns what was seen there.
fn run(seed: u64) -> BTreeSet<&'static str> {
    let run = || {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.finish()
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        eprintln!("seed {seed} fails");
        resume_unwind(panic)
    })
}

// PUB-023, PUB-024, REC-009, REC-010, REC-011
#[test]
fn every_subscriber_gets_everything_in_order_once_or_is_told_what_is_missing() {
    if let Some(seed) = number("SOCKEYE_HUB_SEED") {
        run(seed);
        return;
    }
    let met: BTreeSet<_> =
        (0..number("SOCKEYE_HUB_SEEDS").unwrap_or(8_000)).flat_map(run).collect();
    assert!(met.into_iter().eq(SIGHTS), "the worlds have become too small");
}
