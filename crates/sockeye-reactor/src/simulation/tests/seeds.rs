//! Simulations from seeds, each another.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::play_seed;

/// Runs seeds from 0 on, or the one that failed before.
#[test]
fn whatever_happens_all_is_delivered_once_in_order_and_nothing_is_left() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SOCKEYE_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SOCKEYE_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    // The thread catches what panics in a connection's turn.
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        tell(panicked);
    }));
    for seed in seeds {
        let played = play_seed(seed);
        let panics = PANICS.load(Ordering::Relaxed);
        let why = played.err().or_else(|| (panics > 0).then(|| format!("{panics} panics")));
        if let Some(why) = why {
            panic!("{why}\nto run it again: SOCKEYE_SIMULATION_SEED={seed}");
        }
    }
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How many seeds are run each time.
const SEEDS: u64 = 1_200;
