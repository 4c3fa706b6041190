//! The moment now, as the reactor's connections count it.

use std::sync::OnceLock;
use std::time::Instant;

use sockeye_proto::Time;

/// Returns the moment now, counted from the first call in this process.
pub fn now() -> Time {
    static START: OnceLock<Instant> = OnceLock::new();
    Time::after_start(START.get_or_init(Instant::now).elapsed())
}
