//! Subscribers that keep a connection: what they missed first, then live messages through the
//! mailbox of a thread and a bounded queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use sockeye_hub::{Item, Joined, Listener, Message, Queue, QueueLimits, TopicName};

/// A thread that serves some of the connections: one listener for all of them.
#[derive(Default)]
pub(crate) struct Thread {
    mailbox: Mutex<Vec<Arc<Message>>>,
}

impl Listener for Thread {
    fn deliver(&self, message: &Arc<Message>) {
        self.mailbox.lock().unwrap().push(message.clone());
    }
}

impl Thread {
    /// Takes what has arrived.
    pub(crate) fn take(&self) -> Vec<Arc<Message>> {
        let taken = std::mem::take(&mut *self.mailbox.lock().unwrap());
        assert!(taken.is_sorted_by(|a, b| a.id.seq < b.id.seq), "out of order");
        taken
    }
}

/// One connection.
pub(crate) struct Stream {
    pub(crate) thread: usize,
    /// The topics and the number at which each was joined.
    pub(crate) topics: BTreeMap<TopicName, u64>,
    /// What it got when it joined and has not read.
    inbox: VecDeque<Step>,
    queue: Queue,
}

/// What a connection reads next.
pub(crate) enum Step {
    /// A message or a gap.
    Item(Item),
    /// Everything it had missed has been read.
    Recovered(sockeye_hub::Id),
}

impl Stream {
    pub(crate) fn new(thread: usize, limits: QueueLimits) -> Self {
        let (topics, inbox) = (BTreeMap::new(), VecDeque::new());
        Self { thread, topics, inbox, queue: Queue::new(limits) }
    }

    pub(crate) fn joined(&mut self, topics: &[TopicName], joined: Joined) {
        self.topics.extend(topics.iter().map(|topic| (topic.clone(), joined.cursor.seq)));
        self.inbox.extend(joined.gaps.into_iter().map(|gap| Step::Item(Item::Gap(gap))));
        let recovered = joined.recovered.into_iter();
        self.inbox.extend(recovered.map(|message| Step::Item(Item::Message(message))));
        self.inbox.push_back(Step::Recovered(joined.cursor));
    }

    pub(crate) fn left(&mut self, topic: &TopicName) {
        self.topics.remove(topic);
        self.queue.forget(topic);
        self.inbox.retain(|step| match step {
            Step::Item(Item::Gap(gap)) => gap.topic != *topic,
            Step::Item(Item::Message(message)) => message.topic != *topic,
            Step::Recovered(_) => true,
        });
    }

    /// Gives it what its thread has taken.
    pub(crate) fn deliver(&mut self, message: &Arc<Message>) {
        if self.topics.get(&message.topic).is_some_and(|joined| message.id.seq > *joined) {
            self.queue.push(message.clone());
        }
    }

    pub(crate) fn read(&mut self) -> Option<Step> {
        self.inbox.pop_front().or_else(|| self.queue.pop().map(Step::Item))
    }

    pub(crate) fn has_overflowed(&self) -> bool {
        self.queue.has_overflowed()
    }
}
