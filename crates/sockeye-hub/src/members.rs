//! Who is in a topic.
//!
//! Owns when a client counts as there. That it came or went is published by the hub.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::{Label, Payload};

/// The members of one topic, by client.
#[derive(Debug, Default)]
pub(crate) struct Members(BTreeMap<Label, State>);

#[derive(Debug)]
struct State {
    about: Payload,
    /// How often it is there: a client may hold several subscriptions, or overlapping polls.
    times: usize,
    /// When it will be gone, once it is there no more.
    gone: Option<Duration>,
}

/// A member as a list tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The client.
    pub client: Label,
    /// What it tells of itself.
    pub about: Payload,
}

/// How a client was there before it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Not at all.
    Absent,
    /// It had left, and would have been gone at this moment.
    Leaving(Duration),
    /// It was there.
    Present,
}

impl Members {
    /// Lets a client come.
    pub(crate) fn enter(&mut self, client: &Label, about: Payload) -> Before {
        let Some(state) = self.0.get_mut(client) else {
            self.0.insert(client.clone(), State { about, times: 1, gone: None });
            return Before::Absent;
        };
        state.about = about;
        state.times += 1;
        state.gone.take().map_or(Before::Present, Before::Leaving)
    }

    /// Lets a client leave, to be gone at the moment `gone`. Tells whether it is there no more.
    pub(crate) fn leave(&mut self, client: &Label, gone: Duration) -> Option<()> {
        let state = self.0.get_mut(client)?;
        state.times = state.times.checked_sub(1)?;
        if state.times > 0 {
            return None;
        }
        state.gone = Some(gone);
        Some(())
    }

    /// Removes a client.
    pub(crate) fn remove(&mut self, client: &Label) -> Option<Payload> {
        self.0.remove(client).map(|state| state.about)
    }

    pub(crate) fn contains(&self, client: &Label) -> bool {
        self.0.contains_key(client)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the members behind a client in the order of their names.
    pub(crate) fn after(&self, client: Option<&Label>) -> impl Iterator<Item = Member> {
        let from = client.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.0.range::<Label, _>((from, Bound::Unbounded));
        found.map(|(client, state)| Member { client: client.clone(), about: state.about.clone() })
    }
}
