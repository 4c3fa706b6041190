//! Clients that lose their connections and change their transport, against a plain list of what
//! was published. Without sockets: requests go straight to the routes.

mod client;
mod random;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::{
    Epoch, Hub, Limits, Pattern, Payload, Publication, Rules, Slow, TopicName, TopicRules,
};
use sockeye_server::clients::Clients;
use sockeye_server::clock::Clock;
use sockeye_server::http::{HttpLimits, Topics};
use sockeye_server::policy::Policies;

use crate::support::open;
use client::{Client, Form, Told};
use random::Random;

/// The topics of the client; `c` keeps nothing, `d` is not the client's.
const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

struct World {
    random: Random,
    topics: Topics,
    /// What was published: epoch, number, topic.
    log: Vec<(u64, u64, &'static str)>,
    epoch: u64,
    client: Client,
    /// Whether the histories hold all there ever is.
    keeps_all: bool,
    seen: BTreeSet<&'static str>,
}

fn hub(epoch: u64, messages: usize) -> Arc<Hub> {
    let mut rules = TopicRules::default();
    rules.history.messages = messages;
    let mut nothing = TopicRules::default();
    nothing.history.messages = 0;
    let rules = Rules::all(rules).with("c".parse::<Pattern>().unwrap(), nothing);
    Arc::new(Hub::new(Epoch::from_random(epoch), rules, Limits::default()))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let keeps_all = random.one_in(3);
        let history = if keeps_all { 1_000 } else { random.below(12) };
        let mut limits = HttpLimits::default();
        limits.poll = 1 + random.below(6);
        limits.chunk = 1 + random.below(600);
        limits.queue.messages = 4 + random.below(60);
        let topics = Topics {
            hub: hub(1, history),
            clock: Clock::standing_at(Duration::from_secs(1)),
            policies: Arc::new(Policies::new(open())),
            limits,
            clients: Arc::new(Clients::new(Epoch::from_random(1))),
            crowd: Arc::default(),
            alarms: Arc::default(),
        };
        let client = Client::new(&TOPICS[..3]);
        Self { random, topics, log: Vec::new(), epoch: 1, client, keeps_all, seen: BTreeSet::new() }
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0..=4 => self.publish(),
            5..=6 => {
                let frames = 1 + self.random.below(4);
                let cut = self.random.one_in(4).then(|| self.random.below(200));
                self.client.read(frames, cut);
                if cut.is_some() {
                    self.seen.insert("cut within a message");
                }
            }
            7 => self.client.disconnect(),
            8 if !self.keeps_all && self.random.one_in(8) => self.restart(),
            _ => self.connect().await,
        }
    }

    fn publish(&mut self) {
        let most = if self.random.one_in(10) { 80 } else { 4 };
        for _ in 0..self.random.below(most) {
            let topic = self.random.pick(&TOPICS);
            let name: TopicName = topic.parse().unwrap();
            let text = Payload::text("line\nline\r\n");
            let publication = Publication::new(name, text);
            let id = self.topics.hub.publish(publication, self.topics.clock.now()).unwrap().id;
            self.log.push((self.epoch, id.seq, topic));
        }
    }

    /// The server begins a new life.
    fn restart(&mut self) {
        self.client.disconnect();
        self.epoch += 1;
        self.topics.hub = hub(self.epoch, 5);
        self.seen.insert("restart");
    }

    async fn connect(&mut self) {
        let form = self.random.pick(&[Form::Events, Form::Lines, Form::Parts, Form::Poll]);
        if self.client.form.is_some_and(|before| before != form) {
            self.seen.insert("another transport");
        }
        self.client.connect(&self.topics, form).await;
    }

    /// Lets the client catch up, and compares.
    async fn finish(mut self) -> BTreeSet<&'static str> {
        loop {
            self.client.connect(&self.topics, Form::Poll).await;
            if self.client.got_nothing {
                break;
            }
        }
        if self.topics.clients.metrics().slow(Slow::Disconnect).get() > 0 {
            self.seen.insert("too slow");
        }
        self.check();
        self.seen
    }

    fn check(&mut self) {
        for topic in &TOPICS[..3] {
            let of_topic: Vec<&Told> =
                self.client.told.iter().filter(|told| told.topic() == *topic).collect();
            // In order, and nothing twice.
            let messages: Vec<_> = of_topic.iter().filter_map(|told| told.message()).collect();
            assert!(messages.is_sorted_by(|one, next| one < next), "{topic}: {messages:?}");
            for (epoch, seq, _) in self.log.iter().filter(|(_, _, name)| name == topic) {
                if messages.contains(&(*epoch, *seq)) {
                    continue;
                }
                self.seen.insert("missed and told");
                let is_told = of_topic.iter().any(|told| told.explains(*epoch, *seq));
                assert!(is_told, "{topic} {epoch}-{seq} is missing in silence");
            }
            let gaps = of_topic.iter().filter(|told| told.message().is_none()).count();
            assert!(!self.keeps_all || *topic == "c" || gaps == 0, "a gap of nothing");
        }
        assert!(self.client.told.iter().all(|told| told.topic() != "d"));
    }
}

// REC-009, REC-010, REC-011
#[tokio::test]
async fn client_that_changes_transports_gets_everything_once_in_order_or_is_told() {
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let mut world = World::new(seed);
        // Where it stands before anything is published.
        world.client.connect(&world.topics, Form::Poll).await;
        let lived = async {
            for _ in 0..120 {
                world.step().await;
            }
            world.finish().await
        };
        let lived = crate::support::bounded(lived);
        let mut lived = Box::pin(lived);
        let poll = std::future::poll_fn(|context| {
            catch_unwind(AssertUnwindSafe(|| lived.as_mut().poll(context))).unwrap_or_else(
                |panic| {
                    eprintln!("seed {seed} fails");
                    resume_unwind(panic)
                },
            )
        });
        seen.extend(poll.await);
    }
    let all =
        ["another transport", "cut within a message", "missed and told", "restart", "too slow"];
    assert!(seen.into_iter().eq(all), "the worlds must be rough");
}
