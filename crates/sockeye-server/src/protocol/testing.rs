//! A host for the tests: one mailbox, any number of connections, a clock that is set.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sockeye_hub::{
    Epoch, Hub, Label, Limits, Listener, Message, Payload, Publication, Rules, Slow, TopicName,
};

use super::*;
use crate::auth::{Auth, Grant, Moment, Patterns};
use crate::clock::Clock;
use crate::envelope::write_message;

/// What the hub gives to the connections of a thread.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<VecDeque<Arc<Message>>>);

impl Listener for Mailbox {
    fn deliver(&self, message: &Arc<Message>) {
        self.0.lock().unwrap().push_back(message.clone());
    }
}

/// A connection.
pub(crate) struct Wire {
    mailbox: Arc<Mailbox>,
    listener: Arc<dyn Listener>,
    follows: BTreeMap<TopicName, u64>,
    pub(crate) unread: VecDeque<String>,
    /// How many frames may wait before live messages are held back.
    pub(crate) high: usize,
    pub(crate) asked: VecDeque<(u64, Question)>,
    pub(crate) closed: Option<u16>,
    pub(crate) exceeded: usize,
    /// What another thread publishes while the session subscribes.
    pub(crate) meanwhile: Option<(Arc<Hub>, Publication, Duration)>,
}

impl Wire {
    fn give(&mut self, message: &Message) {
        let mut frame = String::new();
        write_message(&mut frame, message);
        self.send(&frame);
    }

    fn wants(&self, message: &Message) -> bool {
        self.follows.get(&message.topic).is_some_and(|after| message.id.seq > *after)
    }
}

impl Host for Wire {
    fn send(&mut self, text: &str) {
        assert_eq!(self.closed, None, "{text} after the close");
        self.unread.push_back(text.to_owned());
    }

    fn listener(&self) -> &Arc<dyn Listener> {
        &self.listener
    }

    fn catch_up(&mut self, to: u64) {
        if let Some((hub, publication, now)) = self.meanwhile.take() {
            hub.publish(publication, now).unwrap();
        }
        let mailbox = self.mailbox.clone();
        for message in mailbox.0.lock().unwrap().iter().filter(|message| message.id.seq <= to) {
            if self.wants(message) {
                self.give(message);
            }
        }
        self.follows.values_mut().for_each(|after| *after = to.max(*after));
    }

    fn follow(&mut self, topic: &TopicName, after: u64) {
        self.follows.insert(topic.clone(), after);
    }

    fn unfollow(&mut self, topic: &TopicName) {
        assert!(self.follows.remove(topic).is_some());
    }

    fn ask(&mut self, number: u64, question: Question) {
        self.asked.push_back((number, question));
    }

    fn close(&mut self, code: u16, _: &'static str) {
        assert_eq!(self.closed.replace(code), None, "closed twice");
        assert!(self.follows.is_empty());
    }

    fn rate_exceeded(&mut self) {
        self.exceeded += 1;
    }
}

/// A session and its connection.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) wire: Wire,
}

impl Peer {
    /// Sends a command and returns all that came since the last time.
    pub(crate) fn say(&mut self, frame: &Value, now: Moment) -> Vec<Value> {
        self.session.receive(&frame.to_string(), now, &mut self.wire);
        self.read()
    }

    /// Sends a command and returns the one frame that answers.
    pub(crate) fn ask(&mut self, frame: &Value, now: Moment) -> Value {
        let mut frames = self.say(frame, now);
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }

    pub(crate) fn read(&mut self) -> Vec<Value> {
        self.wire.unread.drain(..).map(|frame| serde_json::from_str(&frame).unwrap()).collect()
    }

    /// Gives it a live message as a host does.
    pub(crate) fn deliver(&mut self, message: &Message, now: Moment) {
        if !self.wire.wants(message) {
            return;
        }
        if !self.session.is_behind() && self.wire.unread.len() < self.wire.high {
            return self.wire.give(message);
        }
        if !self.session.is_behind() && message.slow == Slow::Disconnect {
            self.session.end(now, &mut self.wire);
            return self.wire.close(1008, "slow consumer");
        }
        self.session.held_back(message.id.seq);
    }
}

/// A server with one thread.
pub(crate) struct Server {
    pub(crate) service: Arc<Service>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) start: Moment,
    names: usize,
}

impl Server {
    pub(crate) fn new(auth: Auth, rules: Rules, settings: Settings) -> Self {
        let hub = Arc::new(Hub::new(Epoch::from_random(35), rules, Limits::default()));
        Self::with_hub(hub, auth, settings)
    }

    pub(crate) fn with_hub(hub: Arc<Hub>, auth: Auth, settings: Settings) -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let start = Moment { wall, monotonic: Instant::now() };
        let service = Arc::new(Service {
            clock: Clock::started_at(start),
            ..Service::new(hub, auth, settings)
        });
        Self { service, mailbox: Arc::default(), start, names: 0 }
    }

    /// A server on which everybody may do everything.
    pub(crate) fn open(rules: Rules) -> Self {
        let settings = Settings { rate: None, ..Settings::default() };
        Self::new(Auth::Anonymous(Arc::new(all())), rules, settings)
    }

    pub(crate) fn at(&self, time: Duration) -> Moment {
        let Moment { wall, monotonic } = self.start;
        Moment { wall: wall + time, monotonic: monotonic + time }
    }

    /// Connects. The welcome is still to be read.
    pub(crate) fn connect(&mut self, grant: Grant, now: Moment) -> Peer {
        self.names += 1;
        let mut wire = Wire {
            mailbox: self.mailbox.clone(),
            listener: self.mailbox.clone(),
            follows: BTreeMap::new(),
            unread: VecDeque::new(),
            high: usize::MAX,
            asked: VecDeque::new(),
            closed: None,
            exceeded: 0,
            meanwhile: None,
        };
        let client = Label::new(&format!("c{}", self.names)).unwrap();
        let session = Session::open(self.service.clone(), client, Arc::new(grant), now, &mut wire);
        Peer { session, wire }
    }

    /// Connects and takes the welcome.
    pub(crate) fn peer(&mut self, grant: Grant) -> Peer {
        let mut peer = self.connect(grant, self.start);
        assert_eq!(peer.read()[0]["type"], "welcome");
        peer
    }

    pub(crate) fn publish(&self, topic: &str, text: &str) -> u64 {
        let publication = Publication::new(topic.parse().unwrap(), Payload::text(text));
        self.service.hub.publish(publication, Duration::from_secs(1_000_000)).unwrap().id.seq
    }

    /// Publishes the same text to topics, one after the other.
    pub(crate) fn publish_to(&self, topics: &[&str], text: &str) {
        topics.iter().map(|topic| self.publish(topic, text)).for_each(|seq| assert!(seq > 0));
    }

    /// Lets live messages out of the mailbox.
    pub(crate) fn turn<'a>(&self, peers: impl IntoIterator<Item = &'a mut Peer>, now: Moment) {
        let messages = std::mem::take(&mut *self.mailbox.0.lock().unwrap());
        for peer in peers {
            messages.iter().for_each(|message| peer.deliver(message, now));
        }
    }
}

/// A grant of everything.
pub(crate) fn all() -> Grant {
    let everything: Patterns = ["*".parse().unwrap()].into_iter().collect();
    Grant { publish: everything.clone(), subscribe: everything, ..Grant::default() }
}
