//! Any lines as the frames of a client of the JSON protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;
use sockeye_hub::{
    Epoch, Hub, Label, Limits, Listener, Message, Presence, Rules, TopicName, TopicRules,
};
use sockeye_server::auth::{Auth, Denied, Grant, Moment};
use sockeye_server::protocol::{Host, Question, Service, Session, Settings, Verdict};

/// Gives each line to a session as a frame. The first byte sets what is allowed and how long a
/// burst is.
pub fn session(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let (service, mut wire) = (service(*kind), Wire::default());
    let grant = Arc::new(grant(*kind));
    let client = Label::new("c1").expect("a name");
    let mut session = Session::open(service.clone(), client, grant.clone(), now(), &mut wire);
    assert_eq!(wire.take("welcome"), 1);
    for line in bytes.split(|byte| *byte == b'\n') {
        match std::str::from_utf8(line) {
            Ok(text) => session.receive(text, now(), &mut wire),
            Err(_) => session.receive_binary(now(), &mut wire),
        }
        if let Some(number) = wire.asked.take() {
            let verdict = if kind & 1 == 0 { Ok(grant.clone()) } else { Err(Denied::Forbidden) };
            session.answered(number, Verdict::Admitted(verdict), now(), &mut wire);
        }
        assert_eq!(wire.take("ok") + wire.take("error"), 1, "one answer for one frame");
        wire.frames.clear();
    }
    session.end(now(), &mut wire);
    assert!(wire.follows.is_empty());
    // First the members leave, which is a message, then histories and keys are too old.
    service.hub.handle_timeout(service.clock.now() + Duration::from_secs(10));
    service.hub.handle_timeout(Duration::MAX);
    assert_eq!(service.hub.stats().topics, 0, "topics are left over");
}

fn service(kind: u8) -> Arc<Service> {
    let mut rules = TopicRules::default();
    rules.presence = Presence::Announced;
    rules.history.messages = usize::from(kind >> 4);
    let hub = Hub::new(Epoch::from_random(35), Rules::all(rules), Limits::default());
    let mut settings = Settings { rate: None, ..Settings::default() };
    settings.limits.burst = if kind & 2 == 0 { 1 } else { 1_000_000 };
    let auth = Auth::Anonymous(Arc::default());
    Arc::new(Service::new(Arc::new(hub), auth, settings))
}

fn grant(kind: u8) -> Grant {
    let pattern = if kind & 4 == 0 { "*" } else { "a*" };
    let pattern = [pattern.parse().expect("a pattern")].into_iter();
    Grant { publish: pattern.clone().collect(), subscribe: pattern.collect(), ..Grant::default() }
}

/// A connection that nothing live comes to.
struct Wire {
    listener: Arc<dyn Listener>,
    follows: BTreeMap<TopicName, u64>,
    frames: Vec<Value>,
    asked: Option<u64>,
}

struct Nobody;

impl Listener for Nobody {
    fn deliver(&self, _: &Arc<Message>) {}
}

impl Default for Wire {
    fn default() -> Self {
        let listener = Arc::new(Nobody);
        Self { listener, follows: BTreeMap::new(), frames: Vec::new(), asked: None }
    }
}

impl Wire {
    /// Removes the frames of a type and returns how many there were.
    fn take(&mut self, kind: &str) -> usize {
        let before = self.frames.len();
        self.frames.retain(|frame| frame["type"] != kind);
        before - self.frames.len()
    }
}

impl Host for Wire {
    fn send(&mut self, text: &str) {
        assert!(!text.contains('\n'));
        self.frames.push(serde_json::from_str(text).expect("a frame is JSON"));
    }

    fn listener(&self) -> &Arc<dyn Listener> {
        &self.listener
    }

    fn catch_up(&mut self, _: u64) {}

    fn follow(&mut self, topic: &TopicName, after: u64) {
        self.follows.insert(topic.clone(), after);
    }

    fn unfollow(&mut self, topic: &TopicName) {
        assert!(self.follows.remove(topic).is_some());
    }

    fn ask(&mut self, number: u64, question: Question) {
        assert!(matches!(question, Question::Admit { .. }), "nobody else is asked here");
        self.asked = Some(number);
    }

    fn close(&mut self, code: u16, _: &'static str) {
        panic!("closed with {code}");
    }

    fn rate_exceeded(&mut self) {
        panic!("there is no rate");
    }
}

fn now() -> Moment {
    Moment { wall: UNIX_EPOCH + Duration::from_secs(1_000_000), monotonic: Instant::now() }
}
