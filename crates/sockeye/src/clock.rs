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
