//! A reactor thread: waits, gives each ready connection its turn, carries out orders, hands out what
//! was published, and lets deadlines act.

#[cfg(any(test, feature = "simulation"))]
mod census;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockeye_proto::handler::Handler;
use sockeye_proto::{CloseCode, Time, Utf8Bytes};

use crate::adopted::{Arrival, Transport};
use crate::connection::{Conn, Stays, Turn};
use crate::door::{Hall, is_of_hall};
use crate::lag::Heard;
use crate::local::{Local, Publication};
use crate::mailbox::{Mailbox, Missed, Order};
use crate::slab::Slab;
use crate::socket::Socket;
use crate::system::{Happening, System};
use crate::topics::Moved;
use crate::traffic::Board;
use crate::watchdog::Pulse;
use crate::wheel::Wheel;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use census::Census;

/// One thread's world.
pub(crate) struct Worker<H, S: System> {
    system: S,
    mailbox: Arc<Mailbox<H, S::Network>>,
    hall: Hall<S>,
    connections: Slab<Conn<H, S>>,
    wheel: Wheel,
    heard: Heard,
    local: Local<H, S::Network>,
    /// Connections that have more to read although the system will not say so.
    again: Vec<u32>,
    buffer: Vec<u8>,
    out: Vec<u8>,
    /// Why connections are closed as soon as they come.
    closing: Option<(CloseCode, Utf8Bytes)>,
    shown: Shown,
}

/// What others see of a thread.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// Connections given to the thread and not ended.
    pub(crate) load: Arc<AtomicUsize>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) traffic: Arc<Board>,
}

impl<H: Handler, S: System> Worker<H, S> {
    pub(crate) fn new(
        system: S,
        mailbox: Arc<Mailbox<H, S::Network>>,
        others: Vec<Arc<Mailbox<H, S::Network>>>,
        shown: Shown,
    ) -> Self {
        Self {
            system,
            local: Local::new(mailbox.clone(), others),
            mailbox,
            hall: Hall::new(),
            connections: Slab::new(),
            wheel: Wheel::new(),
            heard: Heard::default(),
            again: Vec::new(),
            buffer: vec![0; S::READ],
            out: Vec::new(),
            closing: None,
            shown,
        }
    }

    /// Runs until it is told to stop, or the system fails; then ends what is still open.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.mailbox.own();
        let result = self.serve();
        for order in self.mailbox.close() {
            if let Order::Adopt(_) = order {
                self.lighten();
            }
        }
        (0..self.connections.bound()).for_each(|index| self.remove(index));
        result
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut happened = Vec::new();
        let mut due = Vec::new();
        while self.go_round(&mut happened, &mut due)? {}
        Ok(())
    }

    /// Waits once, and does what there is to do; tells whether there is to be a next time.
    pub(crate) fn go_round(
        &mut self,
        happened: &mut Vec<Happening>,
        due: &mut Vec<u32>,
    ) -> io::Result<bool> {
        let asked = self.system.now();
        self.shown.pulse.waits();
        match self.system.wait(self.patience(asked), happened) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => {
                waited?;
                let sources = self.connections.bound() + self.hall.bound();
                self.heard.told(asked, happened.len(), S::EVENTS, sources);
            }
        }
        let now = self.system.now();
        self.shown.pulse.works(now);
        self.read_again(now);
        for happening in happened.drain(..) {
            self.attend(happening, now);
        }
        self.local.take_post();
        while let Some(order) = self.local.next_order() {
            match order {
                Order::Stop => return Ok(false),
                order => self.obey(order, now),
            }
        }
        self.hand_out(now);
        let missed = self.local.take_missed();
        self.close_who_missed(&missed, now);
        let heard = self.heard.until();
        self.hall.advance(&mut self.system, &mut self.buffer, heard, now);
        self.wheel.advance(heard, |index| due.push(index));
        for index in due.drain(..) {
            self.turn(index, now, |connection, turn| {
                // What begins now, such as the wait for a pong, begins at this moment.
                let is_due = connection.core.poll_timeout().is_some_and(|due| due <= heard);
                if is_due { connection.timeout(turn) } else { Stays::Yes }
            });
        }
        self.out.shrink_to(OUT_KEPT);
        self.local.traffic.show(&self.shown.traffic);
        Ok(true)
    }

    /// Returns how long nothing has to be done unless something happens.
    fn patience(&self, now: Time) -> Option<Duration> {
        if !self.again.is_empty() || self.local.has_publications() || self.mailbox.has_post() {
            return Some(Duration::ZERO);
        }
        let next = self.wheel.next().into_iter().chain(self.hall.next()).min()?;
        // A moment more, so that the tick has come when the wait is over. Then it is looked once
        // more before deadlines act.
        Some(if next <= now { Duration::ZERO } else { next - now + Duration::from_millis(1) })
    }

    /// Goes on with the connections that had more to read, one turn each, however often it was asked
    /// for.
    fn read_again(&mut self, now: Time) {
        if self.again.is_empty() {
            return;
        }
        let mut again = std::mem::take(&mut self.again);
        again.sort_unstable();
        again.dedup();
        for index in again {
            self.turn(index, now, Conn::read_on);
        }
    }

    fn attend(&mut self, happening: Happening, now: Time) {
        let token = happening.token;
        if is_of_hall(token) {
            return self.hall.happened(token, &mut self.system, &mut self.buffer, now);
        }
        self.turn(token, now, |connection, turn| connection.attend(happening, turn));
    }

    /// Gives a connection its turn.
    fn turn(
        &mut self,
        index: u32,
        now: Time,
        act: impl FnOnce(&mut Conn<H, S>, &mut Turn<'_, H, S>) -> Stays,
    ) {
        let Self { system, connections, local, buffer, out, .. } = self;
        local.key = connections.key(index);
        let Some(connection) = connections.at(index) else { return };
        let mut turn = Turn { index, system, now, buffer, out, local };
        // A connection looks after its handler's panics; whatever else panics ends it, and what it
        // leaves behind must not reach another.
        let stays = catch_unwind(AssertUnwindSafe(|| act(connection, &mut turn)));
        let stays = stays.unwrap_or_else(|_| {
            out.clear();
            Stays::No
        });
        let due = connection.core.poll_timeout();
        // Before anyone leaves: who does must know its places.
        self.settle();
        match stays {
            Stays::No => return self.remove(index),
            Stays::ReadAgain => self.again.push(index),
            Stays::Yes => {}
        }
        // A deadline that has moved away is found out when its timer fires.
        if let Some(due) = due
            && self.wheel.due(index).is_none_or(|set| due < set)
        {
            self.wheel.set(index, due);
        }
    }

    /// Tells connections of their new places in topics.
    fn settle(&mut self) {
        while let Some(Moved { topic, index, place }) = self.local.moved.pop() {
            if let Some(connection) = self.connections.at(index) {
                connection.subscriptions.moved(&topic, place);
            }
        }
    }

    fn obey(&mut self, order: Order<H, S::Network>, now: Time) {
        if !matches!(order, Order::Publish(..)) {
            // What was published before goes out before.
            self.hand_out(now);
        }
        match order {
            Order::Adopt(arrival) => self.adopt(*arrival, now),
            Order::Listen(listener, reception) => {
                self.hall.listen(listener, reception, &mut self.system);
            }
            Order::Unlisten => self.hall.unlisten(&mut self.system),
            Order::Publish(publication) => self.local.hand_out_later(publication),
            Order::Send(key, message) => {
                if self.connections.get(key).is_some() {
                    self.turn(key.index, now, |connection, turn| {
                        connection.send_prepared(&message, turn)
                    });
                }
            }
            Order::Wake(key) => {
                if self.connections.get(key).is_some() {
                    self.turn(key.index, now, Conn::wake);
                }
            }
            Order::Close(key, code, reason) => {
                if self.connections.get(key).is_some() {
                    self.turn(key.index, now, |connection, turn| {
                        connection.close(code, &reason, turn)
                    });
                }
            }
            Order::CloseShare(share, of, code, reason) => {
                self.close_each(|index| index % of == share, code, &reason, now);
            }
            Order::CloseAll(code, reason) => {
                self.close_each(|_| true, code, &reason, now);
                self.closing = Some((code, reason));
            }
            Order::Stop => {}
        }
    }

    fn close_each(
        &mut self,
        which: impl Fn(u32) -> bool,
        code: CloseCode,
        reason: &Utf8Bytes,
        now: Time,
    ) {
        for index in (0..self.connections.bound()).filter(|index| which(*index)) {
            self.turn(index, now, |connection, turn| connection.close(code, reason, turn));
        }
    }

    /// Closes connections that missed messages, so that they notice.
    fn close_who_missed(&mut self, missed: &Missed, now: Time) {
        for key in &missed.connections {
            if self.connections.get(*key).is_some() {
                self.turn(key.index, now, Conn::close_slow);
            }
        }
        if missed.subscribers {
            for index in self.local.topics.all_members() {
                self.turn(index, now, Conn::close_slow);
            }
        }
    }

    /// Takes a connection in.
    fn adopt(&mut self, arrival: Arrival<H, S::Network>, now: Time) {
        let Arrival { transport, core, mut received, handler, class } = arrival;
        let Self { connections, system, .. } = self;
        let key = connections.insert_with(|key| {
            let socket = match transport {
                Transport::Plain(stream) => Socket::Plain(system.watch(stream, key.index).ok()?),
                #[cfg(feature = "tls")]
                Transport::Tls(stream, session) => {
                    Socket::tls(system.watch(stream, key.index).ok()?, session)
                }
            };
            Some(Conn::new(socket, core, handler, class))
        });
        let Some(key) = key else { return self.lighten() };
        self.turn(key.index, now, |connection, turn| connection.open(&mut received, turn));
        if let Some((code, reason)) = self.closing.clone() {
            self.turn(key.index, now, |connection, turn| connection.close(code, &reason, turn));
        }
    }

    /// Forgets a connection; dropping its socket closes it and takes it from the system.
    fn remove(&mut self, index: u32) {
        let Some(mut connection) = self.connections.remove(index) else { return };
        self.wheel.cancel(index);
        while let Some(moved) = connection.leave_any_topic(&mut self.local) {
            self.local.moved.extend(moved);
            self.settle();
        }
        let _ = catch_unwind(AssertUnwindSafe(move || connection.ended()));
        self.lighten();
    }

    fn lighten(&self) {
        self.shown.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// Hands out what was published, all that is due to a connection in one write.
    fn hand_out(&mut self, now: Time) {
        let publications = self.local.take_publications();
        let Some(first) = publications.first() else { return };
        let is_of_one_topic = publications.iter().all(|other| other.topic == first.topic);
        if is_of_one_topic && !self.local.topics.has_newcomers(&first.topic) {
            // A connection that leaves meanwhile changes the list.
            for index in self.local.topics.members(&first.topic).to_vec() {
                self.turn(index, now, |connection, turn| {
                    connection.deliver(publications.iter(), turn)
                });
            }
            return;
        }
        let deliveries = self.local.deliveries(&publications);
        for own in deliveries.chunk_by(|one, other| one.index == other.index) {
            let due = own.iter().filter_map(|delivery| publications.get(delivery.number));
            let index = own.first().map_or(u32::MAX, |delivery| delivery.index);
            self.turn(index, now, |connection, turn| connection.deliver(due, turn));
        }
        for Publication { topic, position, .. } in &publications {
            self.local.topics.passed(topic, *position);
        }
    }
}

/// What the buffer of answers keeps between turns, at most, in bytes: the answer to a message of the
/// size that servers take by default fits, and is not allocated anew each time.
const OUT_KEPT: usize = 2 << 20;
