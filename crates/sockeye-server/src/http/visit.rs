//! A stream or a poll that waits, as one of the server's clients.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use sockeye_hub::{Gap, GapReason, Hub, Message, TopicName};
use tokio::sync::oneshot;

use super::admit::Admitted;
use crate::clients::{Clients, Entry, Link, Parting, Stay, Topics};
use crate::metrics::{Metrics, Transport};

/// A client's visit, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    stay: Stay,
    transport: Transport,
    /// Tells why it has to leave; `None` once it has told.
    parting: Option<oneshot::Receiver<Parting>>,
}

impl Visit {
    /// Begins one.
    pub(super) fn begin(
        clients: &Arc<Clients>,
        admitted: &Admitted,
        transport: Transport,
        topics: &[TopicName],
    ) -> Self {
        let (tell, parting) = oneshot::channel();
        let mut stay = Stay::new(clients.clone());
        let who = (admitted.ip(), admitted.subject());
        let topics = Topics::Fixed(topics.into());
        stay.enter(admitted.number(), Entry::new(Link::Task(Some(tell)), transport, who, topics));
        Self { stay, transport, parting: Some(parting) }
    }

    /// Waits until it has to leave; this is ready once.
    pub(super) fn poll_parting(&mut self, context: &mut Context<'_>) -> Poll<Parting> {
        let Some(parting) = &mut self.parting else { return Poll::Pending };
        let told = ready!(std::pin::Pin::new(parting).poll(context));
        self.parting = None;
        // Nobody drops the other end before this is dropped.
        told.map_or(Poll::Pending, Poll::Ready)
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
