//! The hub as the world sees it: one lock around one state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Refused;
use crate::listeners::Listener;
use crate::members::Member;
use crate::message::{Publication, Published};
use crate::presence::MemberPage;
use crate::recovery::{Joined, Order, Page};
use crate::rules::Slow;
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
    /// Subscribers of all topics together.
    pub subscriptions: usize,
}

/// A part of the topics there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicPage {
    /// The topics, in the order of their names.
    pub topics: Vec<(TopicName, Info)>,
    /// After which name the next page goes on, if there is more.
    pub next: Option<TopicName>,
}

impl Info {
    fn of(state: &State, topic: &TopicName) -> Self {
        let oldest = state.registry.get(topic).and_then(|topic| topic.history().oldest());
        Self {
            subscribers: state.subscribers(topic),
            last_id: state.registry.last(topic).map(|seq| state.id(seq)),
            oldest_id: oldest.map(|message| message.id),
        }
    }
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

    /// Replaces the rules, from now on and for the topics that are there too: messages that the new ones
    /// do not keep leave, and cursors from before get a gap; those that the old ones did not keep do
    /// not come back. Members of topics that are to have none stay until they leave, and are not
    /// listed. Looks at every topic there is.
    pub fn set_rules(&self, rules: Rules, now: Duration) {
        self.lock().set_rules(rules, now);
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
        Info::of(&state, topic)
    }

    /// Lists the topics that have something and come after `after` in the order of their names, at
    /// most `limit` and at most a page ([`Limits::page`]) at a time; go on with [`TopicPage::next`].
    pub fn topics(&self, after: Option<&TopicName>, limit: usize) -> TopicPage {
        let state = self.lock();
        let limit = limit.clamp(1, state.limits.page.max(1));
        let mut names = state.registry.names_after(after);
        let topics: Vec<_> =
            names.by_ref().take(limit).map(|name| (name.clone(), Info::of(&state, name))).collect();
        let next = names.next().and_then(|_| topics.last()).map(|(name, _)| name.clone());
        TopicPage { topics, next }
    }

    /// Tells what becomes of those who read a topic too slowly.
    pub fn slow(&self, topic: &TopicName) -> Slow {
        self.lock().registry.rules(topic).slow
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

    /// Returns where the sequence stands: the id of the last message, whatever its topic.
    pub fn cursor(&self) -> Id {
        self.lock().cursor()
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
            subscriptions: state.subscriptions,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, T0, keeping, seconds, seqs, text, topic};
    use crate::{Limit, MAX_SEQ, Payload, Presence, Published, TopicRules};

    fn keyed(name: &str, key: &str) -> Publication {
        Publication { key: Some(Label::new(key).unwrap()), ..text(name, "x") }
    }

    // PUB-016
    #[test]
    fn key_used_again_within_five_minutes_publishes_nothing() {
        let hub = keeping(0);
        let (recorder, listener) = Recorder::pair();
        hub.subscribe(&[topic("a"), topic("b")], Since::Now, &listener, T0);
        let publish = |name, key, now| {
            let Published { id, is_repeat, .. } = hub.publish(keyed(name, key), now).unwrap();
            (id.seq, is_repeat)
        };
        assert_eq!(publish("a", "k", T0), (1, false));
        assert_eq!(publish("b", "k", T0), (2, false), "a key is of its topic");
        assert_eq!(publish("a", "l", T0), (3, false));
        assert_eq!(publish("a", "k", seconds(299)), (1, true));
        assert_eq!(seqs(&recorder.take()), [1, 2, 3]);
        assert_eq!(publish("a", "k", seconds(300)), (4, false));
        assert_eq!(hub.poll_timeout(), Some(seconds(600)));
        hub.handle_timeout(seconds(600));
        assert_eq!(hub.stats().keys, 0);
    }

    #[test]
    fn key_of_a_publication_that_was_refused_can_be_used_again() {
        let limits = Limits { payload: 0, keys: 1, ..Limits::default() };
        let hub = Hub::new(Epoch::from_random(1), Rules::default(), limits);
        let refused = Refused::Limit { limit: Limit::Payload, max: 0 };
        assert_eq!(hub.publish(keyed("a", "k"), T0), Err(refused));
        let empty = |key| Publication { payload: Payload::text(""), ..keyed("a", key) };
        assert!(!hub.publish(empty("k"), T0).unwrap().is_repeat);
        assert!(hub.publish(empty("k"), T0).unwrap().is_repeat);
        assert!(!hub.publish(empty("l"), T0).unwrap().is_repeat);
        assert!(!hub.publish(empty("k"), T0).unwrap().is_repeat, "one key is remembered");
        assert_eq!(hub.stats().keys, 1);
    }

    #[test]
    fn publication_to_another_version_is_refused_with_the_last_one() {
        let hub = keeping(0);
        let first = hub.publish(text("a", "x"), T0).unwrap().id;
        let on = |name, version| Publication { if_version: Some(version), ..text(name, "x") };
        let second = hub.publish(on("a", first), T0).unwrap().id;
        assert_eq!(hub.publish(on("a", first), T0), Err(Refused::Version { last: Some(second) }));
        assert_eq!(hub.publish(on("b", first), T0), Err(Refused::Version { last: None }));
        assert_eq!(hub.stats().cursor, second);
    }

    #[test]
    fn oldest_messages_of_all_leave_when_the_histories_are_too_large_together() {
        let limits = Limits { history_bytes: 3 * 193, ..Limits::default() };
        let hub = Hub::new(Epoch::from_random(1), Rules::default(), limits);
        for name in ["a", "b", "a", "c", "b"] {
            hub.say(name, "x", T0);
        }
        let oldest = |name| hub.info(&topic(name), T0).oldest_id.map(|id| id.seq);
        assert_eq!([oldest("a"), oldest("b"), oldest("c")], [Some(3), Some(5), Some(4)]);
        hub.say("d", "x", T0);
        assert_eq!((oldest("a"), hub.stats().topics), (None, 3));
    }

    #[test]
    fn message_longer_than_the_history_is_delivered_and_not_kept() {
        let mut rules = TopicRules::default();
        rules.history.bytes = 200;
        let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default());
        hub.say("a", &"x".repeat(100), T0);
        assert_eq!((hub.stats().topics, hub.stats().messages), (0, 0));
        let (recorder, listener) = Recorder::pair();
        hub.subscribe(&[topic("a")], Since::Now, &listener, T0);
        hub.say("a", &"x".repeat(100), T0);
        let got = recorder.take();
        assert_eq!((got[0].id.seq, got[0].prev), (2, 1));
    }

    #[test]
    fn clock_that_is_late_counts_as_standing() {
        let hub = keeping(10);
        hub.say("a", "x", seconds(5));
        hub.say("a", "x", seconds(3));
        let page = hub.history(&topic("a"), Since::Oldest, Order::OldestFirst, 9, T0);
        assert_eq!(page.messages[1].at, seconds(5));
    }

    #[test]
    fn sequence_ends_before_numbers_that_javascript_cannot_hold() {
        let hub = keeping(10);
        hub.lock().set_seq(MAX_SEQ - 1);
        assert_eq!(hub.say("a", "x", T0), MAX_SEQ);
        assert_eq!(hub.try_say("a", T0), Err(Refused::SequenceEnded));
        assert_eq!(hub.info(&topic("a"), T0).last_id.map(|id| id.seq), Some(MAX_SEQ));
    }

    #[test]
    fn every_limit_at_zero_refuses_and_holds_nothing() {
        let limits = Limits {
            topics: 0,
            history_bytes: 0,
            payload: 0,
            keys: 0,
            key_age: T0,
            members: 0,
            member_bytes: 0,
            leave_delay: T0,
            page: 0,
            forgotten: 0,
        };
        let rules = TopicRules { presence: Presence::Announced, ..TopicRules::default() };
        let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), limits);
        let (_, listener) = Recorder::pair();
        let full = Refused::Limit { limit: Limit::Topics, max: 0 };
        let publication = Publication { payload: Payload::text(""), ..keyed("a", "k") };
        assert_eq!(hub.publish(publication, T0), Err(full));
        let joined = hub.subscribe(&[topic("a")], Since::Oldest, &listener, T0);
        assert_eq!(joined.refused, [(topic("a"), full)]);
        let member = Member { client: Label::new("x").unwrap(), about: Payload::text("") };
        let refused = Refused::Limit { limit: Limit::Members, max: 0 };
        assert_eq!(hub.enter(&topic("a"), member, T0), Err(refused));
        assert_eq!(
            hub.stats(),
            Hub::new(Epoch::from_random(1), Rules::default(), Limits::default()).stats()
        );
    }

    #[test]
    fn topics_are_listed_in_pages_in_the_order_of_their_names() {
        let hub = keeping(1);
        for name in ["c", "a", "e", "b", "d"] {
            hub.say(name, "x", T0);
        }
        let (_, listener) = Recorder::pair();
        hub.subscribe(&[topic("b")], Since::Now, &listener, T0);
        let names = |page: &TopicPage| -> Vec<String> {
            page.topics.iter().map(|(name, _)| name.as_str().to_owned()).collect()
        };
        let first = hub.topics(None, 2);
        assert_eq!(
            (names(&first), first.next.clone()),
            (vec!["a".into(), "b".into()], Some(topic("b")))
        );
        assert_eq!(first.topics[1].1, hub.info(&topic("b"), T0));
        assert_eq!((first.topics[1].1.subscribers, hub.stats().subscriptions), (1, 1));
        let rest = hub.topics(first.next.as_ref(), 3);
        assert_eq!((names(&rest), rest.next), (vec!["c".into(), "d".into(), "e".into()], None));
        assert_eq!(names(&hub.topics(Some(&topic("bb")), 1)), ["c"], "one that is not there");
        hub.clear_history(&topic("a"));
        hub.unsubscribe(&topic("b"), &listener);
        assert_eq!(names(&hub.topics(None, 1)), ["b"]);
        assert_eq!(hub.stats().subscriptions, 0);
    }

    // PUB-025
    #[test]
    fn hundred_thousand_subscriptions_that_come_and_go_leave_nothing_behind() {
        let hub = keeping(0);
        let pairs: Vec<_> = (0..100).map(|_| Recorder::pair()).collect();
        let topics: Vec<_> = (0..1_000).map(|n| topic(&format!("t{n}"))).collect();
        for round in 0..3 {
            for (_, listener) in &pairs {
                hub.subscribe(&topics, Since::Now, listener, seconds(round));
            }
            assert_eq!(hub.stats().topics, 1_000);
            assert_eq!(hub.try_say("t7", T0).unwrap().subscribers, 100);
            for (at, (recorder, listener)) in pairs.iter().enumerate() {
                assert_eq!(recorder.take().len(), 1);
                for topic in topics.iter().cycle().skip(at * 31).take(topics.len()) {
                    assert!(hub.unsubscribe(topic, listener));
                    assert!(!hub.unsubscribe(topic, listener));
                }
                assert_eq!(Arc::strong_count(listener), 2, "the recorder's and ours");
            }
            assert_eq!((hub.stats().topics, hub.stats().timers), (0, 0));
        }
        assert_eq!(hub.stats().forgotten, 1, "one topic had messages");
    }
}
