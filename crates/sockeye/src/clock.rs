//! The host's clock and randomness: what the core is given as arguments.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use sockeye_proto::Time;
use tokio::time::Instant;

/// Returns the moment now, counted from the first call in this process.
pub(crate) fn now() -> Time {
    Time::after_start(start().elapsed())
}

/// Returns tokio's instant for a moment of the core.
pub(crate) fn instant(time: Time) -> Instant {
    start() + Duration::from_micros(time.as_micros())
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Draws a masking key.
pub(crate) fn mask_key() -> [u8; 4] {
    BLOCK.with_borrow_mut(Block::draw)
}

/// Draws the 16 bytes of a handshake key.
#[cfg(feature = "client")]
pub(crate) fn handshake_key() -> [u8; 16] {
    let mut key = [0; 16];
    fill(&mut key);
    key
}

/// Draws a duration between zero and `longest`, to spread what would else happen all at once.
pub(crate) fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(f64::from(u32::from_ne_bytes(mask_key())) / f64::from(u32::MAX))
}

/// Random bytes of the operating system, drawn in blocks: one system call for 256 keys.
struct Block {
    bytes: [u8; 1024],
    used: usize,
}

impl Block {
    fn draw(&mut self) -> [u8; 4] {
        if self.used == self.bytes.len() {
            fill(&mut self.bytes);
            self.used = 0;
        }
        let drawn = self.bytes.get_mut(self.used..).and_then(|rest| rest.first_chunk_mut::<4>());
        self.used += 4;
        // A key is used once: it is wiped as it is drawn.
        drawn.map(std::mem::take).unwrap_or_default()
    }
}

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block { bytes: [0; 1024], used: 1024 }) };
}

fn fill(bytes: &mut [u8]) {
    #[expect(clippy::expect_used, reason = "without randomness nothing safe can be sent")]
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const DRAWN: usize = 1_000_000;

    /// Returns how far the counts lie from all being `expected`: as many as there are bins, give or
    /// take.
    fn chi_square(counts: &[usize], expected: f64) -> f64 {
        counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum()
    }

    // HSC-030
    #[test]
    fn a_million_handshake_keys_are_all_different() {
        let keys: HashSet<_> = (0..DRAWN).map(|_| handshake_key()).collect();
        assert_eq!(keys.len(), DRAWN);
    }

    // Thresholds are passed by chance once in a thousand million runs.
    // HSC-030
    #[test]
    fn a_million_masking_keys_are_spread_as_chance_spreads_them() {
        let masks: Vec<[u8; 4]> = (0..DRAWN).map(|_| mask_key()).collect();
        let mut values = vec![0; 4 * 256];
        let mut bits = vec![0; 2 * 32];
        let mut steps = vec![0; 256];
        for mask in &masks {
            let number = u32::from_be_bytes(*mask);
            (0..32).for_each(|bit| bits[2 * bit + (number >> bit & 1) as usize] += 1);
            for (place, byte) in mask.iter().enumerate() {
                values[256 * place + usize::from(*byte)] += 1;
            }
        }
        for pair in masks.windows(2) {
            steps[usize::from(pair[0][3] ^ pair[1][0])] += 1;
        }
        assert!(chi_square(&bits, DRAWN as f64 / 2.0) < 107.0);
        assert!(chi_square(&values, DRAWN as f64 / 256.0) < 1316.0);
        assert!(chi_square(&steps, (DRAWN - 1) as f64 / 256.0) < 411.0);
        // Of 2^32 keys a million draws repeat about 116.
        let distinct: HashSet<_> = masks.iter().collect();
        assert!((40..260).contains(&(DRAWN - distinct.len())), "{}", distinct.len());
    }

    #[test]
    fn threads_draw_masking_keys_of_their_own() {
        let draw = || (0..1000).map(|_| mask_key()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(draw)).collect();
        let drawn = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        assert!(drawn.collect::<HashSet<_>>().len() > 8 * 1000 - 5);
    }
}
