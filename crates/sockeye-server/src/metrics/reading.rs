//! One look at everything that is told: what a scrape reads.

use std::time::Duration;

use sockeye_hub::Stats;
use sockeye_reactor::Traffic;

use super::{Metrics, Transport};
use crate::app::App;

/// What a scrape reads, at one moment as far as that goes.
pub(crate) struct Reading<'a> {
    pub(super) app: &'a App,
    pub(super) metrics: &'a Metrics,
    pub(super) hub: Stats,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(app: &'a App) -> Self {
        Self { app, metrics: app.metrics(), hub: app.hub.stats() }
    }

    /// Returns what has gone over a transport, whoever counts it.
    pub(super) fn traffic(&self, transport: Transport) -> [u64; 4] {
        if let Some(class) = transport.class() {
            let Traffic { messages_in, messages_out, bytes_in, bytes_out, .. } =
                self.app.plane.traffic(class);
            return [messages_in, messages_out, bytes_in, bytes_out];
        }
        let flow = transport.of(&self.metrics.flows);
        [&flow.messages_in, &flow.messages_out, &flow.bytes_in, &flow.bytes_out]
            .map(super::Count::get)
    }

    /// Returns when the server started, since 1970.
    pub(super) fn started(&self) -> Duration {
        self.app.clock.now().saturating_sub(self.app.clients.uptime())
    }
}

/// Returns the bytes of memory that the process has in use, as the system counts them; 0 where it
/// does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}
