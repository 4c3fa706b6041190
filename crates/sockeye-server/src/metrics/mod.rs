//! What the server counts, and how it is told: `/metrics` in the text format of Prometheus.
//!
//! ```text
//!   doors, streams, polls ──► Metrics ──┐
//!   reactor: traffic by class ──────────┼─► Reading ──► series ──► text
//!   hub: stats ─────────────────────────┘
//! ```
//!
//! On the way of a message there are additions to atomics and nothing else; what takes a lock is
//! counted when connections come and go. All series stand in one table ([`series`]), which the page
//! of them is held against.

mod count;
mod reading;
mod series;
mod text;
mod transport;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sockeye_hub::{Hub, Limit, Publication, Published, Refused, Since, Slow};
use sockeye_proto::{CloseInfo, Side};
use sockeye_reactor::SLOW_CONSUMER;

use count::Tally;

pub use count::{Count, Gauge, Histogram};
pub(crate) use reading::{Reading, resident_bytes};
pub use series::{Kind, Series, series};
pub(crate) use text::{CONTENT_TYPE, render};
pub use transport::Transport;

/// Counts since the start, and what there is now.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: [Gauge; Transport::ALL.len()],
    flows: [Flow; Transport::ALL.len()],
    closes: Tally<u16>,
    slow: [Count; POLICIES.len()],
    refused: Tally<&'static str>,
    publish_refused: Tally<&'static str>,
    publish_time: Histogram,
    /// Clients that came back and got all they had missed.
    complete: Count,
    /// Clients that came back and were told of a gap.
    with_gap: Count,
    /// WebSockets that were opened.
    pub(crate) handshakes: Count,
    /// Handlers that panicked.
    pub(crate) panics: Count,
    /// Configurations that were read anew and not taken on.
    pub(crate) reload_failures: Count,
    /// Lines of the log that were dropped, as whoever writes it counts them.
    log_dropped: OnceLock<Arc<Count>>,
}

/// Messages of a transport that the reactor does not serve, and the bytes of their payloads.
#[derive(Debug, Default)]
struct Flow {
    messages_in: Count,
    messages_out: Count,
    bytes_in: Count,
    bytes_out: Count,
}

impl Metrics {
    /// Returns the connections of a transport that there are.
    pub fn connections(&self, transport: Transport) -> &Gauge {
        transport.of(&self.connections)
    }

    /// Returns the messages that came over a transport which is not a WebSocket.
    pub fn messages_in(&self, transport: Transport) -> &Count {
        &transport.of(&self.flows).messages_in
    }

    /// Returns the messages that went out over a transport which is not a WebSocket.
    pub fn messages_out(&self, transport: Transport) -> &Count {
        &transport.of(&self.flows).messages_out
    }

    /// Returns how often a reader was too slow for topics of a policy.
    pub fn slow(&self, policy: Slow) -> &Count {
        let [disconnect, drop_oldest, latest] = &self.slow;
        match policy {
            Slow::Disconnect => disconnect,
            Slow::DropOldest => drop_oldest,
            Slow::Latest => latest,
        }
    }

    /// Counts a message with a payload of so many bytes that came.
    pub(crate) fn received(&self, transport: Transport, bytes: usize) {
        let flow = transport.of(&self.flows);
        flow.messages_in.add(1);
        flow.bytes_in.add(in_u64(bytes));
    }

    /// Counts a message with a payload of so many bytes that was given out.
    pub(crate) fn sent(&self, transport: Transport, bytes: usize) {
        let flow = transport.of(&self.flows);
        flow.messages_out.add(1);
        flow.bytes_out.add(in_u64(bytes));
    }

    /// Counts a request that was refused, by the name of the refusal, and tells the log.
    pub(crate) fn refused(&self, code: &'static str) {
        tracing::debug!(code, "client.refused");
        self.refused.add(code);
    }

    /// Tells what whoever writes the log counts.
    pub(crate) fn count_log_dropped(&self, count: Arc<Count>) {
        // There is one log.
        let _ = self.log_dropped.set(count);
    }

    /// Counts a client that came with a cursor, and was told of so many gaps.
    pub(crate) fn came_back(&self, since: Since, gaps: usize) {
        match since {
            Since::Now | Since::Oldest => {}
            _ if gaps == 0 => self.complete.add(1),
            _ => self.with_gap.add(1),
        }
    }

    /// Counts a WebSocket that ended. A peer may make up codes; those are counted together.
    pub(crate) fn closed(&self, info: &CloseInfo) {
        let code = info.code.get();
        let is_known = info.by == Side::Local || REGISTERED.contains(&code);
        self.closes.add(if is_known { code } else { OTHER });
        if info.by == Side::Local && info.reason == SLOW_CONSUMER {
            self.slow(Slow::Disconnect).add(1);
        }
    }

    /// Publishes a message, and counts how that went.
    ///
    /// # Errors
    /// As [`Hub::publish`].
    pub(crate) fn publish(
        &self,
        hub: &Hub,
        publication: Publication,
        now: Duration,
    ) -> Result<Published, Refused> {
        let (topic, started) = (publication.topic.clone(), Instant::now());
        let published = hub.publish(publication, now);
        self.publish_time.note(started.elapsed());
        if let Err(refused) = &published {
            self.publish_refused.add(reason(*refused));
            tracing::debug!(topic = topic.as_str(), %refused, "publish.refused");
        }
        published
    }
}

/// Names why a message is not published, for a label.
fn reason(refused: Refused) -> &'static str {
    match refused {
        Refused::Limit { limit: Limit::Payload, .. } => "payload",
        Refused::Limit { limit: Limit::Topics, .. } => "topics",
        Refused::Limit { .. } => "limit",
        Refused::SequenceEnded => "sequence",
        Refused::Version { .. } => "version",
        _ => "other",
    }
}

fn in_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The policies for slow readers, and what labels call them.
const POLICIES: [(Slow, &str); 3] =
    [(Slow::Disconnect, "disconnect"), (Slow::DropOldest, "drop_oldest"), (Slow::Latest, "latest")];

/// The codes that the protocol gives a meaning to (RFC 6455 section 7.4, and the IANA registry).
const REGISTERED: std::ops::RangeInclusive<u16> = 1000..=1015;

/// What codes that peers made up are counted under.
const OTHER: u16 = 0;

#[cfg(test)]
mod tests;
