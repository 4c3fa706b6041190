//! Clients that do what `docs/protocol.md` says, against a plain list of everything that was ever
//! published, in simulated time.
//!
//! They subscribe, add topics with and without cursors, leave them, read slowly, lose connections
//! with frames unread and come back; the server drops what histories don't hold, cuts bursts short
//! and starts anew. At every frame that a client reads, all that its cursor stands for must have
//! come, once and in order, or have been told as a gap.
//!
//! `SOCKEYE_JSON_SEEDS` sets how many seeds are tried; `SOCKEYE_JSON_SEED` tries one.

mod client;
mod ledger;
mod random;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{SIGHTS, World};

/// Steps in the world of one seed.
const STEPS: usize = 300;

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
fn cursor_of_every_client_stands_for_what_it_got_or_was_told_of() {
    if let Some(seed) = number("SOCKEYE_JSON_SEED") {
        run(seed);
        return;
    }
    let met: BTreeSet<_> =
        (0..number("SOCKEYE_JSON_SEEDS").unwrap_or(5_000)).flat_map(run).collect();
    assert!(met.iter().copied().eq(SIGHTS), "the worlds have become too small: {met:?}");
}
