//! Where connections arrive: accepting them, and waiting for the first bytes of each.
//!
//! What the bytes mean is for the [`Door`] to say, not for the reactor: it takes the connection then, and
//! brings it back with [`Reactor::adopt`](crate::Reactor::adopt) when its handshake is done.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::Time;

use crate::slab::{Key, Slab};
use crate::system::{Network, System};

/// Who answers connections that arrive at a listener. A call that panics ends the connection that it was
/// for.
pub trait Door: Send + Sync + 'static {
    /// What is kept about a connection while its first bytes are awaited.
    type Caller: Send + 'static;

    /// Called when a connection has arrived. One that is to be waited for is given back.
    fn arrived(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Self::Caller)>;

    /// Called when the first bytes of a connection have come; with none, when it has ended, or sent
    /// nothing for so long.
    fn first_bytes(&self, stream: TcpStream, caller: Self::Caller, bytes: &[u8]);

    /// Called when accepting failed for want of something that the system has no more of. It is tried
    /// again, at longer and longer intervals up to a second.
    fn accept_failed(&self, error: &io::Error) {
        let _ = error;
    }
}

/// A door for connections of any network.
pub(crate) struct Reception<N: Network> {
    greet: Greet<N>,
    fail: Box<dyn Fn(&io::Error) + Send>,
    patience: Duration,
}

type Greet<N> = Box<dyn Fn(StreamFor<N>, SocketAddr) -> Option<Guest<N>> + Send>;

/// A connection whose first bytes are awaited.
pub(crate) struct Guest<N: Network> {
    stream: N::Stream,
    then: Then<N>,
}

/// What is done with the first bytes.
type Then<N> = Box<dyn FnOnce(StreamFor<N>, &[u8]) + Send>;
type StreamFor<N> = <N as Network>::Stream;

impl Reception<crate::system::Tcp> {
    pub(crate) fn new(door: impl Door, patience: Duration) -> Self {
        let door = Arc::new(door);
        let failing = door.clone();
        Self {
            greet: Box::new(move |stream, peer| {
                let (stream, caller) = door.arrived(stream, peer)?;
                let door = door.clone();
                let then = move |stream, bytes: &[u8]| door.first_bytes(stream, caller, bytes);
                Some(Guest { stream, then: Box::new(then) })
            }),
            fail: Box::new(move |error| failing.accept_failed(error)),
            patience,
        }
    }
}

#[cfg(any(test, feature = "simulation"))]
impl<N: Network> Reception<N> {
    /// Makes a door of what it does.
    pub(crate) fn of(
        greet: impl Fn(StreamFor<N>, SocketAddr) -> Option<(StreamFor<N>, Then<N>)> + Send + 'static,
        fail: impl Fn(&io::Error) + Send + 'static,
        patience: Duration,
    ) -> Self {
        let greet = move |stream, peer| {
            let (stream, then) = greet(stream, peer)?;
            Some(Guest { stream, then })
        };
        Self { greet: Box::new(greet), fail: Box::new(fail), patience }
    }
}

/// A thread's listeners, and the guests who have not spoken.
pub(crate) struct Hall<S: System> {
    listeners: Vec<Listener<S>>,
    guests: Slab<Waiting<S>>,
    /// Who is to have spoken by when; some who have are still named here.
    deadlines: VecDeque<(Time, Key)>,
}

struct Listener<S: System> {
    reception: Reception<S::Network>,
    /// When accepting is tried again after it failed.
    retry: Option<Time>,
    /// How long that waits the next time.
    backoff: Duration,
}

struct Waiting<S: System> {
    socket: S::Socket,
    then: Then<S::Network>,
}

impl<S: System> Hall<S> {
    pub(crate) fn new() -> Self {
        Self { listeners: Vec::new(), guests: Slab::new(), deadlines: VecDeque::new() }
    }

    /// Begins to accept at a listener.
    pub(crate) fn listen(
        &mut self,
        listener: <S::Network as Network>::Listener,
        reception: Reception<S::Network>,
        system: &mut S,
    ) {
        let token = LISTENER | u32::try_from(self.listeners.len()).unwrap_or(0);
        if let Err(error) = system.listen(listener, token) {
            guard(|| (reception.fail)(&error));
            return;
        }
        self.listeners.push(Listener { reception, retry: None, backoff: BACKOFF_FIRST });
    }

    /// Accepts no more. Who waits is still listened to.
    pub(crate) fn unlisten(&mut self, system: &mut S) {
        for number in 0..u32::try_from(self.listeners.len()).unwrap_or(0) {
            system.unlisten(LISTENER | number);
        }
        self.listeners.clear();
    }

    /// Does what the system tells of, if it is the hall's.
    pub(crate) fn happened(&mut self, token: u32, system: &mut S, buffer: &mut [u8], now: Time) {
        if token & GUEST != 0 {
            self.hear(token & !GUEST, system, buffer);
        } else if !self.is_put_off(token, now) {
            self.accept(token, system, buffer, now);
        }
    }

    /// Lets deadlines act: guests that did not speak go as they are, if all that was said by then has
    /// been heard, and accepting is tried again.
    pub(crate) fn advance(&mut self, system: &mut S, buffer: &mut [u8], heard: Time, now: Time) {
        while let Some((_, key)) = self.deadlines.front().copied().filter(|(due, _)| *due <= heard)
        {
            self.deadlines.pop_front();
            if self.guests.get(key).is_some() {
                self.leave(key.index, system, &[]);
            }
        }
        for number in 0..self.listeners.len() {
            let retry = self.listeners.get(number).and_then(|listener| listener.retry);
            if retry.is_some_and(|retry| retry <= now) {
                self.accept(LISTENER | u32::try_from(number).unwrap_or(0), system, buffer, now);
            }
        }
    }

    /// Returns the next moment at which [`advance`](Self::advance) may have something to do.
    pub(crate) fn next(&self) -> Option<Time> {
        let retries = self.listeners.iter().filter_map(|listener| listener.retry);
        retries.chain(self.deadlines.front().map(|(due, _)| *due)).min()
    }

    /// Counts the guests who have not spoken.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn guests(&mut self) -> usize {
        (0..self.guests.bound()).filter(|index| self.guests.at(*index).is_some()).count()
    }

    /// Returns a number that there are no more guests than.
    pub(crate) fn bound(&self) -> u32 {
        self.guests.bound()
    }

    /// Whether accepting failed, so that it waits: whoever comes meanwhile does not bring it forward.
    fn is_put_off(&self, token: u32, now: Time) -> bool {
        let listener = self.listeners.get((token & !LISTENER) as usize);
        listener.and_then(|listener| listener.retry).is_some_and(|retry| now < retry)
    }

    /// Accepts who waits at a listener, but not for ever: others want their turn as well.
    fn accept(&mut self, token: u32, system: &mut S, buffer: &mut [u8], now: Time) {
        let number = (token & !LISTENER) as usize;
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(number) else { return };
            listener.retry = None;
            match system.accept(token) {
                Ok((stream, peer)) => {
                    listener.backoff = BACKOFF_FIRST;
                    let patience = listener.reception.patience;
                    let guest = guard(|| (listener.reception.greet)(stream, peer));
                    if let Some(guest) = guest.flatten() {
                        self.seat(guest, system, buffer, now + patience);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    guard(|| (listener.reception.fail)(&error));
                    listener.retry = Some(now + listener.backoff);
                    listener.backoff = (listener.backoff * 2).min(BACKOFF_LONGEST);
                    return;
                }
            }
        }
        if let Some(listener) = self.listeners.get_mut(number) {
            listener.retry = Some(now);
        }
    }

    /// Hands a guest's first bytes on, or waits for them.
    fn seat(&mut self, guest: Guest<S::Network>, system: &mut S, buffer: &mut [u8], by: Time) {
        let Guest { mut stream, then } = guest;
        let first = buffer.get_mut(..FIRST).unwrap_or_default();
        match system.read_unwatched(&mut stream, first) {
            Err(error) if is_for_later(&error) => {}
            read => {
                let first = first.get(..read.unwrap_or(0)).unwrap_or_default();
                guard(|| then(stream, first));
                return;
            }
        }
        self.guests.insert_with(|key| {
            let socket = system.watch(stream, GUEST | key.index).ok()?;
            // In order, although listeners differ in patience.
            let place = self.deadlines.partition_point(|(due, _)| *due <= by);
            self.deadlines.insert(place, (by, key));
            Some(Waiting { socket, then })
        });
    }

    /// Reads a guest's first bytes.
    fn hear(&mut self, index: u32, system: &mut S, buffer: &mut [u8]) {
        let Some(guest) = self.guests.at(index) else { return };
        let first = buffer.get_mut(..FIRST).unwrap_or_default();
        let read = loop {
            match system.read(&mut guest.socket, first) {
                // It is told only once that there is something to read.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        if read.as_ref().is_err_and(is_for_later) {
            return;
        }
        self.leave(index, system, first.get(..read.unwrap_or(0)).unwrap_or_default());
    }

    fn leave(&mut self, index: u32, system: &mut S, first: &[u8]) {
        let Some(Waiting { socket, then }) = self.guests.remove(index) else { return };
        let stream = system.unwatch(socket);
        guard(|| then(stream, first));
        while let Some((_, key)) = self.deadlines.front().copied()
            && self.guests.get(key).is_none()
        {
            self.deadlines.pop_front();
        }
    }
}

/// Calls a door. One that panics loses the connection that it was called for, and no other: its thread
/// goes on.
fn guard<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Whether a token is of the hall.
pub(crate) fn is_of_hall(token: u32) -> bool {
    token & (GUEST | LISTENER) != 0
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Whether accepting failed because of the connection that was next, which is gone now.
fn is_of_one_connection(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Marks of tokens that are no connection's.
const GUEST: u32 = 1 << 31;
const LISTENER: u32 = 1 << 30;

/// How much of what a guest sends is read at first: a request fits, and what stands behind it can
/// wait.
const FIRST: usize = 16 << 10;

/// Connections accepted in one turn, so that a storm leaves room for those that are served.
const ACCEPTS: usize = 64;

/// Waits between attempts to accept, shortest and longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_LONGEST: Duration = Duration::from_secs(1);
