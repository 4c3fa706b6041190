//! A stream or a poll that waits, as one of the server's clients.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use sockeye_hub::{Gap, GapReason, Hub, Message, TopicName};
use tokio::sync::oneshot;

use super::admit::Admitted;
use crate::clients::{Clients, Entry, Link, Stay, Topics};
use crate::metrics::{Metrics, Transport};

/// A client's visit, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    stay: Stay,
    transport: Transport,
    /// Tells that it has to leave; `None` once it has told.
    dismissed: Option<oneshot::Receiver<()>>,
}

impl Visit {
    /// Begins one.
    pub(super) fn begin(
        clients: &Arc<Clients>,
        admitted: &Admitted,
        transport: Transport,
        topics: &[TopicName],
    ) -> Self {
        let (tell, dismissed) = oneshot::channel();
        let mut stay = Stay::new(clients.clone());
        let who = (admitted.ip(), admitted.subject());
        let topics = Topics::Fixed(topics.into());
        stay.enter(admitted.number(), Entry::new(Link::Task(Some(tell)), transport, who, topics));
        Self { stay, transport, dismissed: Some(dismissed) }
    }

    /// Waits until it has to leave; this is ready once.
    pub(super) fn poll_dismissed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(dismissed) = &mut self.dismissed else { return Poll::Pending };
        let told = ready!(std::pin::Pin::new(dismissed).poll(context));
        self.dismissed = None;
        // Nobody drops the other end before this is dropped.
        if told.is_ok() { Poll::Ready(()) } else { Poll::Pending }
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
