//! A stream or a poll that waits, as one of the server's clients.

use std::sync::Arc;

use sockeye_hub::{Gap, GapReason, Hub, Message};

use super::admit::Admitted;
use crate::clients::{Clients, Entry, Link, Stay, Topics};
use crate::crowd::Ticket;
use crate::metrics::{Metrics, Transport};
use crate::subscriber::Subscriber;

/// A client's visit, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    stay: Stay,
    transport: Transport,
    _ticket: Ticket,
}

impl Visit {
    /// Begins one.
    pub(super) fn begin(
        clients: &Arc<Clients>,
        (admitted, ticket): (&Admitted, Ticket),
        transport: Transport,
        subscriber: &Subscriber,
    ) -> Self {
        let mut stay = Stay::new(clients.clone());
        let who = (admitted.ip(), admitted.subject());
        let topics = Topics::Fixed(subscriber.topics().into());
        let link = Link::Task(subscriber.mailbox().clone());
        stay.enter(admitted.number(), Entry::new(link, transport, who, topics));
        Self { stay, transport, _ticket: ticket }
    }

    /// Counts a message that is given out.
    pub(super) fn sent(&self, message: &Message) {
        self.metrics().sent(self.transport, message.payload.bytes().len());
    }

    pub(super) fn metrics(&self) -> &Metrics {
        self.stay.metrics()
    }
}

/// Counts a gap that is told because its reader was too slow.
pub(super) fn count_gap(metrics: &Metrics, hub: &Hub, gap: &Gap) {
    if matches!(gap.reason, GapReason::Slow { .. }) {
        metrics.slow(hub.slow(&gap.topic)).add(1);
    }
}
