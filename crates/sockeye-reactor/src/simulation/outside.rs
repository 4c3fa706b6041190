//! The other threads of the simulated program: they bring connections and give orders.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sockeye_proto::{Config, Connection, Server, Time};

use super::actor::Actor;
use super::system::{Shared, Simulated, Stream};
use crate::adopted::{Arrival, Transport};
use crate::door::Reception;
use crate::mailbox::{Mailbox, Order};

/// How other threads reach the thread under test.
pub(super) struct Outside {
    pub(super) config: Arc<Config>,
    pub(super) load: Arc<AtomicUsize>,
    pub(super) mailbox: Option<Arc<Mailbox<Actor, Simulated>>>,
    /// The machine that this is part of.
    pub(super) machine: Option<Shared>,
    /// How long guests may take to speak.
    pub(super) patience: Duration,
}

impl Outside {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
            load: Arc::default(),
            mailbox: None,
            machine: None,
            patience: Duration::from_secs(10),
        }
    }

    pub(super) fn has_post(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.has_post())
    }

    /// Gives an order, on a thread of its own.
    pub(super) fn order(&self, order: Order<Actor, Simulated>) {
        self.on_other_thread(|mailbox| mailbox.put(order));
    }

    /// Does something on a thread that is not the one under test.
    pub(super) fn on_other_thread(&self, act: impl FnOnce(&Mailbox<Actor, Simulated>) + Send) {
        let Some(mailbox) = &self.mailbox else { return };
        thread::scope(|scope| {
            scope.spawn(|| act(mailbox));
        });
    }

    /// Brings a connection whose handshake is done.
    pub(super) fn adopt(&self, peer: usize, received: Vec<u8>, now: Time) {
        let Some(machine) = &self.machine else { return };
        let stream = Stream::new(machine.clone(), peer);
        let order = self.adoption(machine, stream, received, now);
        self.order(order);
    }

    fn adoption(
        &self,
        machine: &Shared,
        stream: Stream,
        received: Vec<u8>,
        now: Time,
    ) -> Order<Actor, Simulated> {
        self.load.fetch_add(1, Ordering::Relaxed);
        let handler = Actor::new(machine.clone(), stream.link);
        let core = Connection::new(Server, self.config.clone(), now);
        let transport = Transport::Plain(stream);
        Order::Adopt(Box::new(Arrival { transport, core, received, handler, class: 0 }))
    }

    /// Makes the door of a listener: who says hello is adopted.
    pub(super) fn reception(&self) -> Option<Reception<Simulated>> {
        let machine = self.machine.clone()?;
        let failing = machine.clone();
        let then_machine = machine.clone();
        let greet = move |stream: Stream, _| {
            let machine = then_machine.clone();
            let then = move |stream: Stream, first: &[u8]| first_bytes(&machine, stream, first);
            Some((stream, Box::new(then) as Box<dyn FnOnce(Stream, &[u8]) + Send>))
        };
        let fail = move |error: &std::io::Error| failing.lock().accept_failed(error);
        Some(Reception::of(greet, fail, self.patience))
    }
}

/// Takes in a guest who has spoken.
fn first_bytes(machine: &Shared, stream: Stream, first: &[u8]) {
    let mut state = machine.lock();
    let number = stream.link;
    state.kernel.progress += 1;
    state.note(|| format!("{number} is heard at the door: {} bytes", first.len()));
    let now = state.kernel.now;
    match first.split_first() {
        Some((&HELLO, rest)) => {
            let order = state.outside.adoption(machine, stream, rest.to_vec(), now);
            if let Some(mailbox) = state.outside.mailbox.clone() {
                drop(state);
                mailbox.put(order);
            }
        }
        Some(_) => {
            state.fail(number, "its first bytes are not what it sent");
            drop(state);
        }
        None => {
            if let Some(peer) = state.peers.get_mut(number) {
                peer.told.unheard = true;
            }
            drop(state);
        }
    }
}

/// What a guest says first.
pub(super) const HELLO: u8 = b'H';
