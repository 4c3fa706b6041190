//! One seed's world: a hub, the truth beside it, publishers and subscribers of several kinds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::{
    Epoch, HistoryRules, Hub, Joined, Label, Limits, Listener, OVERHEAD, Order, Payload,
    Publication, Published, QueueLimits, Refused, Rules, Since, Slow, TopicName, TopicRules,
};

use crate::ledger::Ledger;
use crate::log::Log;
use crate::random::Random;
use crate::stream::{Step, Stream, Thread};

pub(crate) struct World {
    random: Random,
    hub: Hub,
    log: Log,
    now: Duration,
    topics: Vec<TopicName>,
    threads: Vec<Arc<dyn Listener>>,
    mailboxes: Vec<Arc<Thread>>,
    queue: QueueLimits,
    subscribers: Vec<Subscriber>,
    host: Host,
    met: BTreeSet<&'static str>,
}

/// What must happen in some of many worlds, or the test proves less than it says.
pub(crate) const SIGHTS: [&str; 9] = [
    "eviction",
    "false alarm",
    "other version",
    "overflow",
    "recovery of several topics",
    "repeat",
    "restart",
    "slowness",
    "too much history",
];

/// Whether the hub is told of the time when it asks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// Never: what is too old must not be seen all the same.
    Idle,
    /// Always.
    Punctual,
}

struct Subscriber {
    ledger: Ledger,
    way: Way,
}

/// How a subscriber gets its messages.
enum Way {
    /// Asks now and then, and gets all there is.
    Batch,
    /// Asks now and then, and gets one message.
    Poll,
    /// Keeps a connection, or has lost it.
    Stream(Option<Stream>),
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let topics: Vec<TopicName> =
            ["a", "b", "c", "d", "e"].map(|name| TopicName::new(name).unwrap()).into();
        let topics = topics[..1 + random.below(5)].to_vec();
        let rules = rules(&topics, &mut random);
        let mut limits = Limits::default();
        limits.history_bytes = random.pick(&[usize::MAX, usize::MAX, 12 * (OVERHEAD + 8), 0]);
        let host = random.pick(&[Host::Punctual, Host::Punctual, Host::Idle]);
        if host == Host::Idle {
            // What is too old and still there counts, and pushes out what is not.
            limits.history_bytes = usize::MAX;
        }
        limits.forgotten = random.pick(&[65_536, 65_536, 2, 0]);
        limits.keys = random.pick(&[100_000, 2]);
        let mut queue = QueueLimits::default();
        queue.messages = random.pick(&[1_000, 4, 1]);
        queue.bytes = random.pick(&[1_000_000, 900]);
        let epoch = Epoch::from_random(random.next());
        let mailboxes: Vec<Arc<Thread>> =
            (0..1 + random.below(3)).map(|_| Arc::default()).collect();
        let mut world = Self {
            hub: Hub::new(epoch, rules.clone(), limits.clone()),
            log: Log::new(epoch, rules, limits),
            now: Duration::ZERO,
            topics,
            threads: mailboxes.iter().map(|thread| thread.clone() as _).collect(),
            mailboxes,
            queue,
            subscribers: Vec::new(),
            host,
            met: BTreeSet::new(),
            random,
        };
        for _ in 0..world.random.below(6) {
            world.add_subscriber();
        }
        world
    }

    fn add_subscriber(&mut self) {
        let mut ledger = Ledger::default();
        let mut topics = self.topics.clone();
        topics.retain(|_| !self.random.one_in(3));
        for topic in &topics {
            ledger.want(topic, self.log.entries.len());
        }
        ledger.go_to(self.hub.recover(&[], Since::Now, self.now).cursor, &self.log);
        let way = match self.random.below(4) {
            0 => Way::Batch,
            1 => Way::Poll,
            _ => Way::Stream(None),
        };
        self.subscribers.push(Subscriber { ledger, way });
    }

    /// Does one random thing.
    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..40 => self.publish(),
            40..55 => self.pass_time(),
            55..60 => self.read_history(),
            60..62 => self.clear(),
            62 if self.random.one_in(3) => self.restart(),
            63 if self.random.one_in(2) => self.set_rules(),
            63..70 => self.turn_thread(),
            _ => self.act_as_subscriber(),
        }
        if self.host == Host::Punctual || self.random.one_in(8) {
            self.check_counts();
        }
    }

    fn publish(&mut self) {
        let topic = self.random.pick_of(&self.topics);
        let place = self.log.entries.len();
        let mut payload = (place as u64).to_be_bytes().to_vec();
        payload.resize(8 + self.random.pick(&[0, 0, 50, 300]), b'x');
        let cost = OVERHEAD + payload.len();
        let mut publication = Publication::new(topic.clone(), Payload::binary(payload));
        if self.random.one_in(4) {
            publication.key = Some(Label::new(["k", "l", "m"][self.random.below(3)]).unwrap());
        }
        let repeat = publication.key.as_ref().and_then(|key| self.log.key(&topic, key));
        let last = self.log.last_before(&topic, place).map(|place| self.log.id(place));
        if self.random.one_in(8) {
            let version = self.log.cursor();
            publication.if_version =
                Some(last.filter(|_| !self.random.one_in(3)).unwrap_or(version));
        }
        let (key, version) = (publication.key.clone(), publication.if_version);
        let subscribers = self.subscribers_of(&topic);
        match self.hub.publish(publication, self.now) {
            Err(Refused::Version { last: known }) => {
                self.met.insert("other version");
                let floor = self.hub.stats().floor;
                let is_forgotten = known.is_none() && last.is_none_or(|last| last.seq <= floor);
                assert!(version.is_some() && repeat.is_none());
                assert!(known == last || is_forgotten, "{known:?} {last:?}");
                assert!(version != known);
            }
            published if repeat.is_some() => {
                self.met.insert("repeat");
                let id = repeat.unwrap();
                assert_eq!(published, Ok(Published { id, subscribers, is_repeat: true }));
            }
            published => {
                assert!(version.is_none() || version == last, "the version is another");
                let others = self.log.kept(|entry| entry.topic != topic).len();
                let id = self.log.publish(&topic, cost, self.now);
                if self.log.kept(|entry| entry.topic != topic).len() < others {
                    self.met.insert("too much history");
                }
                assert_eq!(published, Ok(Published { id, subscribers, is_repeat: false }));
                if let Some(key) = key {
                    self.log.remember(&topic, key, id, self.now);
                }
            }
        }
    }

    /// Lets time pass, to the moment of a timer or to any.
    fn pass_time(&mut self) {
        let random = Duration::from_millis(self.random.next() % 4_000);
        if self.host == Host::Idle {
            self.now += random;
            return self.log.expire(self.now);
        }
        let due = self.hub.poll_timeout();
        let next = due.filter(|_| self.random.one_in(2));
        self.now = next.unwrap_or(self.now + random).max(self.now);
        self.hub.handle_timeout(self.now);
        self.log.expire(self.now);
        assert!(self.hub.poll_timeout().is_none_or(|due| due > self.now));
    }

    fn clear(&mut self) {
        let topic = self.random.pick_of(&self.topics);
        self.hub.clear_history(&topic);
        for place in self.log.kept(|entry| entry.topic == topic) {
            self.log.entries[place].is_kept = false;
        }
    }

    fn set_rules(&mut self) {
        let rules = rules(&self.topics, &mut self.random);
        self.hub.set_rules(rules.clone(), self.now);
        self.log.set_rules(rules, &self.topics, self.now);
    }

    /// Starts the hub anew: everything it knew is gone, and so are all connections.
    fn restart(&mut self) {
        let epoch = Epoch::from_random(self.random.next());
        self.hub = Hub::new(epoch, self.log.rules.clone(), self.log.limits.clone());
        self.log.restart(epoch);
        for subscriber in &mut self.subscribers {
            if let Way::Stream(stream) = &mut subscriber.way {
                *stream = None;
            }
        }
        self.mailboxes.iter().for_each(|thread| drop(thread.take()));
    }

    fn turn_thread(&mut self) {
        let thread = self.random.below(self.mailboxes.len());
        self.turn(thread);
    }

    fn turn(&mut self, thread: usize) {
        let taken = self.mailboxes[thread].take();
        for subscriber in &mut self.subscribers {
            match &mut subscriber.way {
                Way::Stream(Some(stream)) if stream.thread == thread => {
                    taken.iter().for_each(|message| stream.deliver(message));
                }
                _ => {}
            }
        }
    }

    /// Looks back with any cursor and compares with the truth.
    fn recover(&self, topics: &[TopicName], since: Since) -> Joined {
        let joined = self.hub.recover(topics, since, self.now);
        self.check_joined(topics, since, &joined);
        joined
    }

    fn check_joined(&self, topics: &[TopicName], since: Since, joined: &Joined) {
        let Since::After(cursor) = since else { panic!("{since:?}") };
        let from = if cursor.epoch == self.log.epoch { cursor.seq } else { 0 };
        let wanted = self.log.kept(|entry| topics.contains(&entry.topic));
        let wanted = wanted.into_iter().filter(|place| self.log.id(*place).seq > from);
        let wanted: Vec<_> = wanted.map(|place| self.log.id(place)).collect();
        let got: Vec<_> = joined.recovered.iter().map(|message| message.id).collect();
        assert_eq!(got, wanted);
        assert_eq!(joined.cursor, self.log.cursor());
        assert!(joined.refused.is_empty());
        let floor = self.hub.stats().floor;
        for topic in topics {
            let is_lost = cursor.epoch != self.log.epoch || self.log.has_lost(topic, from);
            let is_told = joined.gaps.iter().any(|gap| gap.topic == *topic);
            assert!(is_told || !is_lost, "{topic} is lost in silence");
            assert!(is_lost || !is_told || floor > from, "nothing is lost of {topic}");
        }
    }

    fn act_as_subscriber(&mut self) {
        if self.subscribers.is_empty() {
            return self.add_subscriber();
        }
        let at = self.random.below(self.subscribers.len());
        if self.random.one_in(12) {
            return self.change_topics(at);
        }
        match &self.subscribers[at].way {
            Way::Batch => self.ask(at, usize::MAX),
            Way::Poll => self.ask(at, 1),
            Way::Stream(None) => self.connect(at),
            Way::Stream(Some(stream)) if stream.has_overflowed() => {
                self.met.insert("overflow");
                self.disconnect(at);
            }
            Way::Stream(Some(_)) if self.random.one_in(15) => self.disconnect(at),
            Way::Stream(Some(_)) => self.read(at, 1 + at * 2),
        }
    }

    fn ask(&mut self, at: usize, limit: usize) {
        let topics = self.subscribers[at].ledger.topics();
        let since = Since::After(self.subscribers[at].ledger.cursor().unwrap());
        let joined = self.recover(&topics, since);
        let floor = self.hub.stats().floor;
        let missed = &joined.recovered;
        if missed.windows(2).any(|two| two[0].topic != two[1].topic) {
            self.met.insert("recovery of several topics");
        }
        let ledger = &mut self.subscribers[at].ledger;
        joined.gaps.iter().for_each(|gap| ledger.tell(gap, &self.log, floor));
        for message in joined.recovered.iter().take(limit) {
            ledger.accept(message, &self.log, floor);
        }
        if joined.recovered.len() <= limit {
            ledger.go_to(joined.cursor, &self.log);
        }
    }

    fn connect(&mut self, at: usize) {
        let ledger = &self.subscribers[at].ledger;
        let (topics, since) = (ledger.topics(), Since::After(ledger.cursor().unwrap()));
        let thread = self.random.below(self.threads.len());
        let joined = self.hub.subscribe(&topics, since, &self.threads[thread], self.now);
        self.check_joined(&topics, since, &joined);
        let mut stream = Stream::new(thread, self.queue);
        stream.joined(&topics, joined);
        self.subscribers[at].way = Way::Stream(Some(stream));
    }

    fn disconnect(&mut self, at: usize) {
        let Way::Stream(stream) = &mut self.subscribers[at].way else { return };
        let Some(stream) = stream.take() else { return };
        for topic in stream.topics.keys() {
            assert!(self.hub.unsubscribe(topic, &self.threads[stream.thread]));
        }
    }

    /// Reads some of what waits.
    fn read(&mut self, at: usize, steps: usize) {
        let floor = self.hub.stats().floor;
        let Subscriber { ledger, way: Way::Stream(Some(stream)) } = &mut self.subscribers[at]
        else {
            return;
        };
        for _ in 0..steps {
            match stream.read() {
                None => return,
                Some(Step::Recovered(cursor)) => ledger.go_to(cursor, &self.log),
                Some(Step::Item(sockeye_hub::Item::Gap(gap))) => {
                    ledger.tell(&gap, &self.log, floor);
                }
                Some(Step::Item(sockeye_hub::Item::Message(message))) => {
                    ledger.accept(&message, &self.log, floor);
                }
            }
        }
    }

    /// Leaves a topic, or begins to want one from now on.
    fn change_topics(&mut self, at: usize) {
        let topic = self.random.pick_of(&self.topics);
        if self.subscribers[at].ledger.topics().contains(&topic) {
            self.leave(at, &topic);
        } else {
            self.want(at, &topic);
        }
    }

    fn leave(&mut self, at: usize, topic: &TopicName) {
        let subscriber = &mut self.subscribers[at];
        subscriber.ledger.leave(topic);
        if let Way::Stream(Some(stream)) = &mut subscriber.way {
            stream.left(topic);
            assert!(self.hub.unsubscribe(topic, &self.threads[stream.thread]));
        }
    }

    fn want(&mut self, at: usize, topic: &TopicName) {
        let subscriber = &mut self.subscribers[at];
        subscriber.ledger.want(topic, self.log.entries.len());
        if let Way::Stream(Some(stream)) = &mut subscriber.way {
            let listener = &self.threads[stream.thread];
            let topics = std::slice::from_ref(topic);
            let joined = self.hub.subscribe(topics, Since::Now, listener, self.now);
            assert!(joined.recovered.is_empty() && joined.gaps.is_empty());
            assert_eq!(joined.cursor, self.log.cursor());
            stream.topics.insert(topic.clone(), joined.cursor.seq);
        }
    }

    /// Reads a history page by page, in both orders.
    fn read_history(&mut self) {
        let topic = self.random.pick_of(&self.topics);
        let limit = 1 + self.random.below(3);
        let kept = self.log.kept(|entry| entry.topic == topic);
        let mut kept: Vec<_> = kept.into_iter().map(|place| self.log.id(place)).collect();
        for (order, mut since) in
            [(Order::OldestFirst, Since::Oldest), (Order::NewestFirst, Since::Now)]
        {
            let mut got = Vec::new();
            loop {
                let page = self.hub.history(&topic, since, order, limit, self.now);
                assert!(page.gap.is_none() && page.messages.len() <= limit);
                got.extend(page.messages.iter().map(|message| message.id));
                let Some(next) = page.next else { break };
                since = Since::After(next);
            }
            assert_eq!(got, kept);
            kept.reverse();
        }
    }

    fn subscribers_of(&self, topic: &TopicName) -> usize {
        let streams = self.subscribers.iter().filter(|subscriber| match &subscriber.way {
            Way::Stream(Some(stream)) => stream.topics.contains_key(topic),
            _ => false,
        });
        streams.count()
    }

    fn check_counts(&self) {
        // Also what is too old leaves when a topic is looked at.
        for topic in &self.topics {
            self.hub.info(topic, self.now);
        }
        let stats = self.hub.stats();
        let kept = self.log.kept(|_| true);
        assert_eq!((stats.messages, stats.bytes), (kept.len(), self.log.bytes()));
        assert_eq!(stats.cursor, self.log.cursor());
        assert_eq!(stats.keys, self.log.keys());
        assert!(stats.forgotten <= self.log.limits.forgotten);
        let mut held = 0;
        for topic in &self.topics {
            let info = self.hub.info(topic, self.now);
            let kept = self.log.kept(|entry| entry.topic == *topic);
            assert_eq!(info.oldest_id, kept.first().map(|place| self.log.id(*place)));
            assert_eq!(info.subscribers, self.subscribers_of(topic));
            let last = self.log.last_before(topic, self.log.entries.len());
            let last = last.map(|place| self.log.id(place));
            let is_forgotten = last.is_some_and(|last| last.seq <= stats.floor);
            assert!(info.last_id == last || (is_forgotten && info.last_id.is_none()));
            held += usize::from(!kept.is_empty() || info.subscribers > 0);
        }
        assert_eq!(stats.topics, held, "topics that have nothing cost nothing");
        let due = kept.iter().filter_map(|place| self.log.due(*place)).min();
        let next = self.hub.poll_timeout();
        assert!(due.is_none_or(|due| next.is_some_and(|next| next <= due)));
    }

    /// Lets everybody catch up, and holds what each got against the truth.
    pub(crate) fn finish(mut self) -> BTreeSet<&'static str> {
        (0..self.mailboxes.len()).for_each(|thread| self.turn(thread));
        for at in 0..self.subscribers.len() {
            // Twice: it may have to come back after all that waits was read.
            for _ in 0..2 {
                match self.subscribers[at].way {
                    Way::Batch | Way::Poll => self.ask(at, usize::MAX),
                    Way::Stream(_) => {
                        self.read(at, usize::MAX);
                        self.disconnect(at);
                        self.connect(at);
                    }
                }
            }
            self.read(at, usize::MAX);
            self.disconnect(at);
            self.subscribers[at].ledger.settle(&self.log);
        }
        self.check_counts();
        self.topics.iter().for_each(|topic| self.hub.clear_history(topic));
        self.hub.handle_timeout(Duration::MAX);
        let stats = self.hub.stats();
        let left = [stats.topics, stats.messages, stats.bytes, stats.keys, stats.timers];
        assert_eq!(left, [0; 5], "something is left over");
        self.met.extend(self.subscribers.iter().flat_map(|subscriber| &subscriber.ledger.met));
        self.met
    }
}

fn rules(topics: &[TopicName], random: &mut Random) -> Rules {
    topics.iter().fold(Rules::default(), |rules, topic| {
        rules.with(topic.as_str().parse().unwrap(), topic_rules(random))
    })
}

fn topic_rules(random: &mut Random) -> TopicRules {
    let mut history = HistoryRules::default();
    history.messages = random.pick(&[0, 1, 3, 100]);
    history.bytes = random.pick(&[0, 250, 700, 1_000_000]);
    history.bytes = if random.one_in(2) { 1_000_000 } else { history.bytes };
    history.age = random.pick(&[Duration::MAX, Duration::from_secs(3), Duration::from_secs(20)]);
    let mut rules = TopicRules::default();
    rules.history = history;
    rules.slow = random.pick(&[Slow::Disconnect, Slow::DropOldest, Slow::Latest]);
    rules
}
