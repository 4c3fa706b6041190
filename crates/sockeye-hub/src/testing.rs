//! What the tests of several files share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Epoch, Hub, Limits, Listener, Message, Payload, Publication, Published};
use crate::{Refused, Rules, TopicName, TopicRules};

/// The start of all time.
pub(crate) const T0: Duration = Duration::ZERO;

/// Returns a moment some seconds after the start.
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// Makes a hub of the epoch `1` whose topics keep so many messages.
pub(crate) fn keeping(messages: usize) -> Hub {
    let mut rules = TopicRules::default();
    rules.history.messages = messages;
    Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default())
}

pub(crate) fn text(name: &str, text: &str) -> Publication {
    Publication::new(topic(name), Payload::text(text))
}

impl Hub {
    /// Publishes a text and returns its number.
    pub(crate) fn say(&self, name: &str, words: &str, now: Duration) -> u64 {
        self.publish(text(name, words), now).unwrap().id.seq
    }

    pub(crate) fn try_say(&self, name: &str, now: Duration) -> Result<Published, Refused> {
        self.publish(text(name, "x"), now)
    }
}

/// Keeps what it is given.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Arc<Message>>>);

impl Recorder {
    /// Makes one, and the same as a hub takes it.
    pub(crate) fn pair() -> (Arc<Self>, Arc<dyn Listener>) {
        let recorder = Arc::new(Self::default());
        (recorder.clone(), recorder)
    }

    /// Returns what came since it was last asked.
    pub(crate) fn take(&self) -> Vec<Arc<Message>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Listener for Recorder {
    fn deliver(&self, message: &Arc<Message>) {
        self.0.lock().unwrap().push(message.clone());
    }
}

pub(crate) fn seqs(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.id.seq).collect()
}
