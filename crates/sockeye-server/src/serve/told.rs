//! What the log is told of the server's life: its start, what makes it less safe, its end, and how
//! many read too slowly meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::Slow;

use super::Site;
use crate::app::App;

/// Tells that the server has started, where, and what an operator should know of it.
pub(super) fn started(app: &App, site: Site, urls: &[String], admin: Option<SocketAddr>) {
    let (version, listen) = (env!("CARGO_PKG_VERSION"), urls.join(", "));
    let mode = match site {
        Site::Echo => "echo",
        Site::Topics => "topics",
    };
    let admin = admin.map(|address| format!("http://{address}"));
    tracing::info!(version, mode, listen, admin, "server.started");
    // An echo is there for everybody.
    for warning in app.config().warnings().into_iter().filter(|_| site == Site::Topics) {
        tracing::warn!(setting = warning, "server.insecure");
    }
}

/// Tells that the server begins to take leave.
pub(super) fn drain_began(app: &App, over: Duration, deadline: Duration) {
    let connections = app.clients.len();
    tracing::info!(connections, ?over, ?deadline, "drain.begin");
}

/// Tells that `n` connections were still there when the time was over, and were not waited for.
pub(super) fn drain_forced(n: usize) {
    if n > 0 {
        tracing::warn!(n, "drain.forced");
    }
}

/// Tells that the server has taken leave.
pub(super) fn drain_ended(app: &App) {
    let metrics = app.metrics();
    let (opened, panics) = (metrics.handshakes.get(), metrics.panics.get());
    tracing::info!(opened, panics, "drain.end");
}

/// Tells each second how many read too slowly in it, if anybody did, for as long as it is awaited: one
/// line, however many they were.
pub(super) async fn slow_readers(app: Arc<App>) {
    let mut ticks = tokio::time::interval(TICK);
    let mut before = [0; 3];
    loop {
        ticks.tick().await;
        let count = |policy| app.metrics().slow(policy).get();
        let now = [Slow::Disconnect, Slow::DropOldest, Slow::Latest].map(count);
        if now != before {
            let [disconnect, drop_oldest, latest] = now;
            let [disconnect_before, drop_oldest_before, latest_before] = before;
            tracing::warn!(
                disconnect = disconnect.saturating_sub(disconnect_before),
                drop_oldest = drop_oldest.saturating_sub(drop_oldest_before),
                latest = latest.saturating_sub(latest_before),
                "readers.slow"
            );
        }
        before = now;
    }
}

const TICK: Duration = Duration::from_secs(1);
