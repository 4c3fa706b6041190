//! The hub as the world sees it: one lock around one state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Refused;
use crate::listeners::Listener;
use crate::members::Member;
use crate::message::{Publication, Published};
use crate::presence::MemberPage;
use crate::recovery::{Joined, Order, Page};
use crate::state::State;
use crate::{Epoch, Id, Label, Limits, Rules, Since, TopicName};

/// Topics, shared by all threads of a process.
///
/// `now` is everywhere the time since a fixed point of the caller's choice, the same for all calls.
/// Calls that arrive in another order than their times are taken as if the clock had stood.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
}

/// What a topic is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its subscribers.
    pub subscribers: usize,
    /// The id of its last message, kept or not, if it is known.
    pub last_id: Option<Id>,
    /// The id of the oldest message it keeps.
    pub oldest_id: Option<Id>,
}

/// What a hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Where the sequence stands.
    pub cursor: Id,
    /// Topics that have something.
    pub topics: usize,
    /// Messages in all histories.
    pub messages: usize,
    /// Bytes in all histories, as [`Message::cost`](crate::Message::cost) counts.
    pub bytes: usize,
    /// Keys of publications that are remembered.
    pub keys: usize,
    /// Topics of which only the last number is remembered.
    pub forgotten: usize,
    /// The number below which a cursor gets a gap in every topic that is not known.
    pub floor: u64,
    /// Timers that are set.
    pub timers: usize,
}

impl Hub {
    /// Makes an empty hub. `epoch` must be random: it tells cursors of an earlier life apart.
    pub fn new(epoch: Epoch, rules: Rules, limits: Limits) -> Self {
        Self { state: Mutex::new(State::new(epoch, rules, limits)) }
    }

    /// Publishes a message: numbers it, keeps it and gives it to the topic's listeners.
    ///
    /// # Errors
    /// The publisher's fault: [`Refused::Version`], and [`Refused::Limit`] for the payload. Of the
    /// hub: [`Refused::Limit`] for topics, [`Refused::SequenceEnded`]. Nothing is published then.
    pub fn publish(&self, publication: Publication, now: Duration) -> Result<Published, Refused> {
        self.lock().publish(publication, now)
    }

    /// Subscribes to topics: adds a subscriber of `listener` to each and returns what the cursor
    /// has missed, in one step. Every message after the returned cursor goes to the listener, and
    /// none before; nothing is lost between the two and nothing comes twice.
    ///
    /// The listener may be called before this returns, with what is newer than the returned
    /// cursor. If it stands for subscribers that joined earlier, it is called with messages that
    /// this one must not get as well: those up to the cursor.
    ///
    /// A topic named twice counts once. A topic that is refused does not hinder the others.
    pub fn subscribe(
        &self,
        topics: &[TopicName],
        since: Since,
        listener: &Arc<dyn Listener>,
        now: Duration,
    ) -> Joined {
        self.lock().recover_all(topics, since, now, |state, name| state.join(name, listener))
    }

    /// Takes a subscriber of `listener` away from a topic. With its last one the listener is called
    /// no more for this topic, from before this returns. Tells whether there was one.
    pub fn unsubscribe(&self, topic: &TopicName, listener: &Arc<dyn Listener>) -> bool {
        self.lock().part(topic, listener).is_some()
    }

    /// Returns what a cursor has missed in topics, without subscribing: for whoever asks now and
    /// then.
    pub fn recover(&self, topics: &[TopicName], since: Since, now: Duration) -> Joined {
        self.lock().recover_all(topics, since, now, |_, _| Ok(()))
    }

    /// Reads a topic's history, at most `limit` messages and at most a page
    /// ([`Limits::page`]) at a time. `since` stands before the first message wanted, in the order
    /// that is asked for; go on with [`Page::next`].
    pub fn history(
        &self,
        topic: &TopicName,
        since: Since,
        order: Order,
        limit: usize,
        now: Duration,
    ) -> Page {
        let mut state = self.lock();
        state.advance(now);
        state.page(topic, since, order, limit)
    }

    /// Lets a topic forget all it keeps. Cursors from before get a gap.
    pub fn clear_history(&self, topic: &TopicName) {
        self.lock().clear(topic);
    }

    /// Tells what a topic is like.
    pub fn info(&self, topic: &TopicName, now: Duration) -> Info {
        let mut state = self.lock();
        state.advance(now);
        state.freshen(topic);
        let oldest = state.registry.get(topic).and_then(|topic| topic.history().oldest());
        Info {
            subscribers: state.subscribers(topic),
            last_id: state.registry.last(topic).map(|seq| state.id(seq)),
            oldest_id: oldest.map(|message| message.id),
        }
    }

    /// Makes a client a member of a topic. If it was not one, and the topic's rules say so, a
    /// message with the event [`JOIN`](crate::JOIN) and what it tells of itself is published.
    ///
    /// A client that comes several times must leave as often. What it told last is what is listed.
    ///
    /// # Errors
    /// [`Refused::PresenceOff`], [`Refused::Limit`] for members, for what they tell and for topics.
    pub fn enter(&self, topic: &TopicName, member: Member, now: Duration) -> Result<(), Refused> {
        self.lock().enter(topic, member, now)
    }

    /// Lets a member leave. It is gone after [`Limits::leave_delay`] if it has not come back, and
    /// only then a message with the event [`LEAVE`](crate::LEAVE) is published. Tells whether it
    /// is there no more.
    pub fn leave(&self, topic: &TopicName, client: &Label, now: Duration) -> bool {
        self.lock().leave(topic, client, now).is_some()
    }

    /// Lists the members of a topic that come after `after` in the order of their names, at most
    /// `limit` and at most a page at a time; go on with [`MemberPage::next`].
    pub fn members(&self, topic: &TopicName, after: Option<&Label>, limit: usize) -> MemberPage {
        self.lock().members(topic, after, limit)
    }

    /// Returns when [`Hub::handle_timeout`] has something to do. Every other call may bring that
    /// moment nearer, so a host asks again now and then, say every second, or does not ask and
    /// calls `handle_timeout` as often.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.lock().next_timeout()
    }

    /// Does what is due: messages and keys whose time is over leave, members that left are gone.
    /// Lets others at the lock between one batch and the next.
    pub fn handle_timeout(&self, now: Duration) {
        while self.handle_batch(now).is_some() {}
    }

    /// Tells what the hub holds.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            cursor: state.cursor(),
            topics: state.registry.len(),
            messages: state.books.messages,
            bytes: state.books.bytes,
            keys: state.keys.len(),
            forgotten: state.registry.forgotten().len(),
            floor: state.registry.forgotten().floor(),
            timers: state.books.timers.len(),
        }
    }

    fn handle_batch(&self, now: Duration) -> Option<()> {
        let mut state = self.lock();
        state.advance(now);
        for _ in 0..BATCH {
            state.handle_timer()?;
        }
        Some(())
    }

    /// Takes the lock. Nothing here panics halfway through a change, so what a panicking listener
    /// leaves behind is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Timers handled under one hold of the lock: about 100 µs.
const BATCH: usize = 256;
