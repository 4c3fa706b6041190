//! A server, its clients, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::{
    Epoch, HistoryRules, Hub, Limits, Payload, Publication, Rules, Slow, TopicName, TopicRules,
};

use super::client::{Client, State, Topic};
use super::ledger::{Ledger, Log};
use super::random::Random;
use crate::auth::{Auth, Moment};
use crate::protocol::testing::{Server, all};
use crate::protocol::{SessionLimits, Settings};

/// What must be met in the worlds of many seeds.
pub(super) const SIGHTS: [&str; 10] = [
    "a burst of some topics",
    "a connection lost within a burst",
    "a cursor that is none",
    "a gap after slow reading",
    "a publication while subscribing",
    "closed with 1008",
    "epoch",
    "evicted",
    "left with messages on their way",
    "slow",
];

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

pub(super) struct World {
    random: Random,
    server: Server,
    rules: Rules,
    settings: Settings,
    log: Log,
    clients: Vec<Client>,
    time: Duration,
    met: BTreeSet<&'static str>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut rules = Rules::default();
        for topic in TOPICS {
            rules = rules.with(topic.parse().unwrap(), topic_rules(&mut random));
        }
        let burst = random.pick(&[1, 300, 1_000_000]);
        let limits = SessionLimits { burst, ..SessionLimits::default() };
        let settings = Settings { rate: None, limits, ..Settings::default() };
        let clients = (0..1 + random.below(4)).map(|_| Client::default()).collect();
        let server = start(&mut random, &rules, &settings);
        let log = Log { epoch: epoch(&server), ..Log::default() };
        let (time, met) = (Duration::ZERO, BTreeSet::new());
        Self { random, server, rules, settings, log, clients, time, met }
    }

    pub(super) fn step(&mut self) {
        match self.random.below(20) {
            0..6 => self.publish(),
            6..9 => self.turn(),
            9 => self.pass_time(),
            10 if self.random.one_in(8) => self.restart(),
            _ => {
                let at = self.random.below(self.clients.len());
                self.act(at);
            }
        }
    }

    fn now(&self) -> Moment {
        self.server.at(self.time)
    }

    fn hub(&self) -> &Hub {
        &self.server.service.hub
    }

    fn publish(&mut self) {
        let topic = self.random.pick(&TOPICS);
        self.hub().publish(self.publication(topic), self.hub_time()).unwrap();
        self.note(topic);
    }

    fn publication(&self, topic: &str) -> Publication {
        let text = Payload::text(self.log.entries.len().to_string());
        Publication::new(topic.parse().unwrap(), text)
    }

    /// Takes note of what was published last.
    fn note(&mut self, topic: &str) {
        let id = self.hub().stats().cursor.to_string();
        self.log.entries.push((topic.to_owned(), id));
    }

    fn hub_time(&self) -> Duration {
        Duration::from_secs(1_000_000) + self.time
    }

    fn turn(&mut self) {
        let now = self.now();
        let peers = self.clients.iter_mut().filter_map(|client| client.peer.as_mut());
        self.server.turn(peers, now);
    }

    fn pass_time(&mut self) {
        self.time += Duration::from_millis(self.random.below(3_000) as u64);
        self.hub().handle_timeout(self.hub_time());
    }

    /// Starts the server anew: everything it knew is gone, and so are all connections.
    fn restart(&mut self) {
        let now = self.now();
        self.clients.iter_mut().for_each(|client| client.disconnect(now));
        self.server = start(&mut self.random, &self.rules, &self.settings);
        self.log.epoch = epoch(&self.server);
        self.log.start = self.log.entries.len();
    }

    fn act(&mut self, at: usize) {
        let Some(peer) = &self.clients[at].peer else { return self.connect(at) };
        if let Some(code) = peer.wire.closed {
            assert_eq!(code, 1008);
            self.met.insert("closed with 1008");
            while self.clients[at].read(&self.log) {}
            return self.disconnect(at);
        }
        match self.random.below(24) {
            0 => self.disconnect(at),
            1..4 => self.subscribe(at),
            4 => self.unsubscribe(at),
            5 => self.publish_as(at),
            6..9 => self.resume(at),
            _ => {
                for _ in 0..1 + self.random.below(4) {
                    self.clients[at].read(&self.log);
                }
            }
        }
    }

    fn disconnect(&mut self, at: usize) {
        let now = self.now();
        self.clients[at].disconnect(now);
    }

    fn connect(&mut self, at: usize) {
        let now = self.now();
        let mut peer = self.server.connect(all(), now);
        peer.wire.high = 2 + self.random.below(8);
        self.clients[at].peer = Some(peer);
        // Each topic goes on where it stands, all of the same cursor in one command.
        let mut groups: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for (name, topic) in &self.clients[at].topics {
            let since = match &topic.state {
                State::Begins(since) => since.clone(),
                State::Settled | State::Leaving => self.clients[at].cursor.clone(),
            };
            groups.entry(since).or_default().push(name.clone());
        }
        for (since, topics) in groups {
            self.begin(at, &topics, since.as_deref());
        }
    }

    /// Subscribes to topics that the client wants.
    fn begin(&mut self, at: usize, topics: &[String], since: Option<&str>) {
        if matches!(since, None | Some("oldest")) {
            for name in topics {
                let from = self.owed_from(name, since);
                self.clients[at].topics.get_mut(name).unwrap().ledger.from = from;
            }
        }
        let now = self.now();
        let meanwhile = self.random.one_in(3).then(|| self.random.pick(&TOPICS));
        if let Some(topic) = meanwhile {
            let hub = self.server.service.hub.clone();
            let late = (hub, self.publication(topic), self.hub_time());
            self.clients[at].peer.as_mut().unwrap().wire.meanwhile = Some(late);
        }
        self.clients[at].subscribe(topics, since, now);
        if let Some(topic) = meanwhile {
            self.note(topic);
            self.met.insert("a publication while subscribing");
        }
    }

    /// Returns from where on a client that subscribes is owed everything, or a gap.
    fn owed_from(&self, name: &str, since: Option<&str>) -> usize {
        let Some(since) = since else { return self.log.entries.len() };
        if since == "oldest" {
            let topic: TopicName = name.parse().unwrap();
            let oldest = self.hub().info(&topic, self.hub_time()).oldest_id;
            let count = oldest.map(|id| self.log.count_to(&id.to_string()) - 1);
            return count.unwrap_or(self.log.entries.len());
        }
        let is_known = since.starts_with(&format!("{}-", self.log.epoch));
        let count = if is_known { self.log.count_to(since) } else { 0 };
        if count > self.log.entries.len() { 0 } else { count }
    }

    fn subscribe(&mut self, at: usize) {
        let wanted = |name: &&str| !self.clients[at].topics.contains_key(*name);
        let new: Vec<String> =
            TOPICS.iter().filter(|name| wanted(name)).map(|name| (*name).to_owned()).collect();
        let count = new.len().min(1 + self.random.below(2));
        let (topics, since) = (&new[..count], self.since(at));
        if topics.is_empty() {
            return;
        }
        for name in topics {
            let from = self.owed_from(name, since.as_deref());
            let ledger = Ledger::new(from);
            let topic = Topic { ledger, state: State::Begins(None) };
            self.clients[at].topics.insert(name.clone(), topic);
        }
        self.begin(at, topics, since.as_deref());
    }

    /// Picks a place to begin at.
    fn since(&mut self, at: usize) -> Option<String> {
        match self.random.below(12) {
            0..4 => None,
            4..6 => Some("oldest".to_owned()),
            6..8 => self.clients[at].cursor.clone(),
            8 => Some("a cursor?".to_owned()),
            9 => Some(format!("{}-99999", self.log.epoch)),
            _ => {
                let place = self.random.below(self.log.entries.len() + 1);
                self.log.entries.get(place).map(|(_, id)| id.clone())
            }
        }
    }

    fn unsubscribe(&mut self, at: usize) {
        let settled = |(_, topic): &(&String, &Topic)| topic.state == State::Settled;
        let topics = self.clients[at].topics.iter().filter(settled);
        let topics: Vec<String> = topics.map(|(name, _)| name.clone()).collect();
        if topics.is_empty() {
            return;
        }
        let topic = topics[self.random.below(topics.len())].clone();
        self.publish();
        self.met.insert("left with messages on their way");
        let now = self.now();
        self.clients[at].unsubscribe(&topic, now);
    }

    fn publish_as(&mut self, at: usize) {
        let (topic, data) = (self.random.pick(&TOPICS), self.log.entries.len().to_string());
        let now = self.now();
        self.clients[at].publish(topic, &data, now);
        self.note(topic);
    }

    /// Does what a host does when enough has been read.
    fn resume(&mut self, at: usize) {
        let now = self.now();
        let Some(peer) = &mut self.clients[at].peer else { return };
        if peer.session.is_behind() && peer.wire.unread.len() < peer.wire.high / 2 {
            peer.session.resume(now, &mut peer.wire);
        }
    }

    /// Lets everybody catch up, and holds what each got against the truth.
    pub(super) fn finish(mut self) -> BTreeSet<&'static str> {
        for at in 0..self.clients.len() {
            while self.clients[at].read(&self.log) {}
            self.disconnect(at);
            self.connect(at);
            let now = self.now();
            if let Some(peer) = &mut self.clients[at].peer {
                peer.wire.high = usize::MAX;
                peer.session.resume(now, &mut peer.wire);
            }
        }
        self.turn();
        for client in &mut self.clients {
            while client.read(&self.log) {}
            for (name, topic) in &client.topics {
                assert_eq!(topic.state, State::Settled);
                topic.ledger.check(name, &self.log, self.log.entries.len());
            }
        }
        let (now, time) = (self.now(), self.hub_time());
        self.clients.iter_mut().for_each(|client| client.disconnect(now));
        for topic in TOPICS {
            assert_eq!(self.hub().info(&topic.parse().unwrap(), time).subscribers, 0);
        }
        self.met.extend(self.clients.iter().flat_map(|client| &client.met));
        self.met
    }
}

fn start(random: &mut Random, rules: &Rules, settings: &Settings) -> Server {
    let epoch = Epoch::from_random(random.next());
    let hub = Hub::new(epoch, rules.clone(), Limits::default());
    Server::with_hub(Arc::new(hub), Auth::Anonymous(Arc::new(all())), settings.clone())
}

fn epoch(server: &Server) -> String {
    let cursor = server.service.hub.stats().cursor.to_string();
    cursor.split_once('-').unwrap().0.to_owned()
}

fn topic_rules(random: &mut Random) -> TopicRules {
    let mut history = HistoryRules::default();
    history.messages = random.pick(&[0, 1, 3, 100]);
    history.age = random.pick(&[Duration::MAX, Duration::from_secs(3), Duration::from_secs(20)]);
    let mut rules = TopicRules::default();
    (rules.history, rules.slow) =
        (history, random.pick(&[Slow::Disconnect, Slow::DropOldest, Slow::Latest]));
    rules
}
