//! Who gets what is published to one topic, as it is published.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::message::Message;

/// Takes the messages of topics as they are published.
///
/// One listener may stand for many subscribers: it is called once for each message of a topic,
/// however many of its subscribers the topic has.
pub trait Listener: Send + Sync {
    /// Takes a message. Called in the order of the numbers while the hub is locked: it puts the
    /// message where another will find it and returns. It must not call the hub, which would wait
    /// for itself, nor panic.
    fn deliver(&self, message: &Arc<Message>);
}

/// The listeners of one topic.
#[derive(Default)]
pub(crate) struct Listeners {
    list: Vec<Entry>,
    /// Where each listener stands in a long list.
    places: Option<HashMap<usize, usize>>,
    subscribers: usize,
}

struct Entry {
    listener: Arc<dyn Listener>,
    subscribers: usize,
}

/// Listeners from which on their places are looked up and not searched for.
const LONG: usize = 32;

impl Listeners {
    /// Adds a subscriber of a listener.
    pub(crate) fn add(&mut self, listener: &Arc<dyn Listener>) {
        self.subscribers += 1;
        let known = self.place(address(listener)).and_then(|place| self.list.get_mut(place));
        if let Some(entry) = known {
            entry.subscribers += 1;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(address(listener), self.list.len());
        }
        self.list.push(Entry { listener: listener.clone(), subscribers: 1 });
        if self.places.is_none() && self.list.len() >= LONG {
            let places = self.list.iter().enumerate();
            let places = places.map(|(place, entry)| (address(&entry.listener), place));
            self.places = Some(places.collect());
        }
    }

    /// Takes away a subscriber of a listener, and with its last the listener. Tells whether it had
    /// one.
    pub(crate) fn remove(&mut self, listener: &Arc<dyn Listener>) -> Option<()> {
        let place = self.place(address(listener))?;
        let entry = self.list.get_mut(place)?;
        entry.subscribers -= 1;
        self.subscribers -= 1;
        if entry.subscribers > 0 {
            return Some(());
        }
        self.list.swap_remove(place);
        if let Some(places) = &mut self.places {
            places.remove(&address(listener));
            if let Some(moved) = self.list.get(place) {
                places.insert(address(&moved.listener), place);
            }
        }
        if self.list.len() < LONG / 2 {
            self.places = None;
            self.list.shrink_to(LONG / 2);
        }
        Some(())
    }

    /// Gives a message to every listener.
    pub(crate) fn deliver(&self, message: &Arc<Message>) {
        for entry in &self.list {
            entry.listener.deliver(message);
        }
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers
    }

    fn place(&self, address: usize) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&address).copied(),
            None => self.list.iter().position(|entry| self::address(&entry.listener) == address),
        }
    }
}

/// Returns what tells a listener from every other that is held.
fn address(listener: &Arc<dyn Listener>) -> usize {
    Arc::as_ptr(listener).cast::<()>().addr()
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners, {} subscribers", self.list.len(), self.subscribers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::{Epoch, Id, Payload, Slow, TopicName};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Listener for Counter {
        fn deliver(&self, _: &Arc<Message>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn message() -> Arc<Message> {
        Arc::new(Message {
            id: Id { epoch: Epoch::from_random(1), seq: 1 },
            prev: 0,
            topic: TopicName::new("a").unwrap(),
            event: None,
            payload: Payload::text("x"),
            at: Duration::ZERO,
            slow: Slow::default(),
        })
    }

    /// Against a plain list of counts, long and short lists alike.
    #[test]
    fn each_listener_with_subscribers_is_called_once() {
        let counters: Vec<Arc<Counter>> = (0..100).map(|_| Arc::default()).collect();
        let handles: Vec<Arc<dyn Listener>> =
            counters.iter().map(|counter| counter.clone() as Arc<dyn Listener>).collect();
        let mut model = vec![0_usize; counters.len()];
        let mut listeners = Listeners::default();
        let mut random = 1_u64;
        for step in 0..20_000_usize {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let which = usize::try_from(random >> 33).unwrap() % counters.len();
            let grows = (step / 1_000).is_multiple_of(2);
            if grows == (random >> 20 & 7 != 0) {
                listeners.add(&handles[which]);
                model[which] += 1;
            } else {
                assert_eq!(listeners.remove(&handles[which]).is_some(), model[which] > 0);
                model[which] = model[which].saturating_sub(1);
            }
            assert_eq!(listeners.subscribers(), model.iter().sum());
            if step % 97 == 0 {
                listeners.deliver(&message());
                for (counter, subscribers) in counters.iter().zip(&model) {
                    let calls = counter.0.swap(0, Ordering::Relaxed);
                    assert_eq!(calls, usize::from(*subscribers > 0));
                }
            }
        }
    }
}
