//! Commands that wait for a back end: bounded, and carried out in the order they came.

use std::collections::VecDeque;

use sockeye_hub::TopicName;

use super::command::{Command, Reference, Subscribe};
use super::host::Verdict;
use crate::auth::{Denied, Unavailable};

/// A command and what its answer is called.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) reference: Option<Reference>,
    pub(crate) command: Command,
}

impl Call {
    /// Makes one that its client has not sent.
    pub(crate) fn of(subscribe: Subscribe) -> Self {
        Self { reference: None, command: Command::Subscribe(subscribe) }
    }
}

/// The commands of one session that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    last: u64,
    list: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    call: Call,
    /// The topics asked for, none for a token.
    topics: Vec<TopicName>,
    verdict: Option<Verdict>,
}

/// What was found out about topics.
#[derive(Debug, Default)]
pub(crate) struct Permits(Vec<(TopicName, Result<(), Denied>)>);

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a command and returns the number of its question.
    pub(crate) fn add(&mut self, call: Call, topics: Vec<TopicName>) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.list.push_back(Entry { number: self.last, call, topics, verdict: None });
        self.last
    }

    /// Takes note of an answer. A number that is not known is passed over.
    pub(crate) fn answer(&mut self, number: u64, verdict: Verdict) {
        if let Some(entry) = self.list.iter_mut().find(|entry| entry.number == number) {
            entry.verdict = Some(verdict);
        }
    }

    /// Removes the first command if it waits no more.
    pub(crate) fn pop(&mut self) -> Option<(Call, Vec<TopicName>, Verdict)> {
        let verdict = self.list.front_mut()?.verdict.take()?;
        self.list.pop_front().map(|entry| (entry.call, entry.topics, verdict))
    }

    /// Takes a topic off the subscriptions that wait. Tells whether one was for it.
    pub(crate) fn cancel(&mut self, topic: &TopicName) -> bool {
        let mut found = false;
        for entry in &mut self.list {
            if let Command::Subscribe(subscribe) = &mut entry.call.command
                && let Some(place) = subscribe.topics.iter().position(|one| one == topic)
            {
                subscribe.cancelled.push(subscribe.topics.remove(place));
                found = true;
            }
        }
        found
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}

impl Permits {
    pub(crate) fn new(topics: Vec<TopicName>, results: Vec<Result<(), Denied>>) -> Self {
        Self(topics.into_iter().zip(results).collect())
    }

    /// Returns what was found out about a topic. What was not is refused for now.
    pub(crate) fn of(&self, topic: &TopicName) -> Result<(), Denied> {
        let found = self.0.iter().find(|(known, _)| known == topic);
        let unknown = Denied::Unavailable(Unavailable::Answer("does not name the topic"));
        found.map_or(Err(unknown), |(_, result)| result.clone())
    }
}
