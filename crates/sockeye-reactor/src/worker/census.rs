//! What a thread keeps, counted: for the simulation, which sees to it that nothing is left.

use sockeye_proto::Time;
use sockeye_proto::handler::Handler;

use super::Worker;
use crate::system::System;

/// A thread's holdings.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) connections: usize,
    pub(crate) guests: usize,
    pub(crate) timers: bool,
    pub(crate) topics: usize,
    pub(crate) again: usize,
    /// What is gathered or published and was not handed out.
    pub(crate) pending: usize,
    /// The most that a connection's core counts as queued, and the most that one keeps unsent.
    pub(crate) queued: usize,
    pub(crate) unsent: usize,
    /// The first deadline of a connection.
    pub(crate) due: Option<Time>,
}

impl Census {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { connections, guests, timers, topics, again, pending, .. } = *self;
        !timers && connections + guests + topics + again + pending == 0
    }
}

impl<H: Handler, S: System> Worker<H, S> {
    pub(crate) fn census(&mut self) -> Census {
        let mut census = Census {
            guests: self.hall.guests(),
            timers: self.wheel.next().is_some(),
            topics: self.local.topics.len(),
            again: self.again.len(),
            pending: self.out.len() + self.local.moved.len(),
            ..Census::default()
        };
        for index in 0..self.connections.bound() {
            let Some(connection) = self.connections.at(index) else { continue };
            census.connections += 1;
            census.queued = census.queued.max(connection.core.queued());
            census.unsent = census.unsent.max(connection.unsent());
            let due = connection.core.poll_timeout();
            census.due = census.due.into_iter().chain(due).min();
        }
        census
    }
}
