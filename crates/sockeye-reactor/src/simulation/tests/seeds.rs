//! Simulations from seeds, each another.

use super::super::play_seed;

/// Runs seeds from 0 on, or the one that failed before.
#[test]
fn whatever_happens_all_is_delivered_once_in_order_and_nothing_is_left() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SOCKEYE_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SOCKEYE_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(why) = play_seed(seed) {
            panic!("{why}\nto run it again: SOCKEYE_SIMULATION_SEED={seed}");
        }
    }
}

/// How many seeds are run each time.
const SEEDS: u64 = 2_000;
