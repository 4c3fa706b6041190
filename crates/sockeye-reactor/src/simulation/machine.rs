//! The simulated machine: the kernel, the clients, the script that plays faults, and what must hold.

use std::io::{self, ErrorKind};
use std::time::Duration;

use sockeye_proto::handler::Sender;
use sockeye_proto::{CloseInfo, Error, Time, Timeout};

use super::faults::{ECONNABORTED, ENETDOWN, ENOMEM, EPROTO, Fault, Faults};
use super::kernel::{Kernel, Manner};
use super::link::{Changes, Hold};
use super::outside::{HELLO, Outside};
use super::peer::{End, Peer};
use super::script::Script;
use super::system::Call;
use crate::system::Happening;

/// Everything but the thread under test.
pub(super) struct Machine {
    pub(super) kernel: Kernel,
    pub(super) script: Script,
    pub(super) faults: Faults,
    /// Clients, each at the number of its link.
    pub(super) peers: Vec<Peer>,
    pub(super) senders: Vec<Option<Sender>>,
    pub(super) outside: Outside,
    /// Publications so far: of handlers, and of other threads.
    pub(super) publications: [u32; 2],
    pub(super) phase: Phase,
    /// What went wrong.
    pub(super) failures: Vec<String>,
    pub(super) log: Vec<String>,
    pub(super) accept_failures: Vec<Time>,
    /// When the last wait began, and when the last that told of all there was.
    pub(super) asked: Time,
    pub(super) judged: Time,
    pub(super) rounds: u64,
    /// What the thread loses each time that it asks for the time.
    pub(super) lag: Duration,
    /// Waits in a row before which nothing got further.
    idle_rounds: u32,
    seen_progress: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The script acts.
    Script,
    /// All that is on its way arrives.
    Settle,
    /// The clients leave.
    Parting { by: Time },
    /// Whatever is told from outside, up to a moment.
    #[cfg_attr(not(test), expect(dead_code, reason = "the fuzzer directs nothing"))]
    Told { until: Time },
    /// Nothing: it is over, or the moment has come.
    Over,
}

/// Whether a wait goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Something may have happened.
    Go,
    Enough,
}

impl Machine {
    pub(super) fn new(manner: Manner, script: Script, phase: Phase, outside: Outside) -> Self {
        let kernel = Kernel::new(manner);
        let now = kernel.now;
        Self {
            kernel,
            script,
            faults: Faults::default(),
            peers: Vec::new(),
            senders: Vec::new(),
            outside,
            publications: [0; 2],
            phase,
            failures: Vec::new(),
            log: Vec::new(),
            accept_failures: Vec::new(),
            asked: now,
            judged: now,
            rounds: 0,
            lag: Duration::ZERO,
            idle_rounds: 0,
            seen_progress: 0,
        }
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>9} ms  {}", self.kernel.now.as_micros() / 1_000, what());
        self.log.push(line);
    }

    pub(super) fn fail(&mut self, peer: usize, why: impl std::fmt::Display) {
        self.note(|| format!("FAILED, connection {peer}: {why}"));
        self.failures.push(format!("connection {peer}: {why}"));
    }

    pub(super) fn excuse(&mut self, peer: usize, why: &'static str) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.excuse(why);
        }
    }

    /// Lets a fault strike a call, or says how many bytes it may move.
    pub(super) fn fault(&mut self, call: Call, link: Option<usize>) -> io::Result<usize> {
        let Some(fault) = self.faults.strike(call, &mut self.script) else {
            return Ok(usize::MAX);
        };
        self.note(|| format!("fault at {link:?} {call:?}: {fault:?}"));
        self.idle_rounds = 0;
        let error = match fault {
            Fault::Short(most) => return Ok(most),
            Fault::Error(error) => io::Error::from_raw_os_error(error),
        };
        match (call, link) {
            (Call::Read, _) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            (Call::Write, Some(link)) if error.kind() == ErrorKind::WouldBlock => {
                if let Some(link) = self.kernel.links.get_mut(link) {
                    link.is_starved = true;
                }
            }
            (_, Some(_)) if error.kind() == ErrorKind::Interrupted => {}
            (Call::Read | Call::Write | Call::ShutDown, Some(link)) => {
                self.excuse(link, BROKEN);
                if !is_transient(&error) {
                    self.kernel.reset(link);
                }
                if let Some(link) = self.kernel.links.get_mut(link) {
                    link.error = None;
                }
            }
            (Call::Watch, Some(link)) => self.excuse(link, "it could not be watched"),
            (Call::Accept, _) if is_of_one(&error) => self.abort_next(),
            _ => {}
        }
        Err(error)
    }

    /// Takes the connection that is accepted next out of its backlog: it is gone.
    fn abort_next(&mut self) {
        let mut listeners = self.kernel.listeners.iter_mut();
        if let Some(link) = listeners.find_map(|listener| listener.backlog.pop_front()) {
            self.refuse(link);
        }
    }

    /// Ends a connection that nobody accepts.
    pub(super) fn refuse(&mut self, link: usize) {
        self.excuse(link, "it was not accepted");
        self.kernel.reset(link);
        if let Some(link) = self.kernel.links.get_mut(link) {
            link.server = Hold::Aborted;
        }
    }

    /// Lets the world act while the thread is at work.
    pub(super) fn meddle(&mut self) {
        if self.phase == Phase::Script && self.script.odds(self.faults.meddling) {
            self.act(None);
        }
    }

    /// Lets the thread lose time between a wait and what follows.
    pub(super) fn dawdle(&mut self) {
        if !self.lag.is_zero() {
            while self.settle() {}
            self.let_pass(self.lag);
        }
        if self.phase == Phase::Script && self.script.odds(self.faults.dawdling) {
            let lost = self.script.pick(&[5, 100, 3_000, 20_000]).unwrap_or(0);
            self.note(|| format!("loses {lost} ms"));
            for _ in 0..4 {
                self.act(None);
            }
            self.let_pass(Duration::from_millis(lost));
        }
    }

    /// Lets time pass.
    pub(super) fn let_pass(&mut self, duration: Duration) {
        self.kernel.now = self.kernel.now + duration;
        if duration >= Duration::from_millis(8) {
            self.idle_rounds = 0;
        }
    }

    /// Takes note of a wait that begins.
    pub(super) fn begin_wait(&mut self, patience: Option<Duration>) {
        self.asked = self.kernel.now;
        self.rounds += 1;
        let has_moved = self.kernel.progress != self.seen_progress;
        self.seen_progress = self.kernel.progress;
        self.idle_rounds = if has_moved { 0 } else { self.idle_rounds + 1 };
        if self.idle_rounds > IDLE_ROUNDS {
            self.failures.push(format!("the loop spins, patience {patience:?}"));
            self.phase = Phase::Over;
        }
    }

    /// Takes note of what a wait told.
    pub(super) fn told(&mut self, is_full: bool) {
        if !is_full {
            self.judged = self.asked;
        }
    }

    /// Tells of things that did not happen.
    pub(super) fn add_spurious(&mut self, most: usize, happened: &mut Vec<Happening>) {
        while happened.len() < most && self.script.odds(self.faults.spurious) {
            let token = u32::try_from(self.script.below(16)).unwrap_or(0);
            let what = self.script.below(4);
            self.note(|| format!("tells {token} for nothing: {what}"));
            self.idle_rounds = 0;
            let (readable, writable) = (what & 1 == 0, what & 2 == 0);
            happened.push(Happening { token, readable, writable, closed: false });
        }
    }

    /// Lets the world go on while the thread waits.
    pub(super) fn pass(&mut self, until: Option<Time>) -> Waited {
        if matches!(self.phase, Phase::Told { until } if until < self.kernel.now) {
            self.phase = Phase::Over;
        }
        if until.is_some_and(|until| until <= self.kernel.now) {
            return Waited::Enough;
        }
        match self.phase {
            Phase::Over => return Waited::Enough,
            Phase::Script if self.script.step() => self.act(until),
            Phase::Script => {
                self.note(|| "settles".to_owned());
                self.script.calm_down();
                self.phase = Phase::Settle;
            }
            _ => {
                if !self.settle() {
                    return self.rest(until);
                }
            }
        }
        Waited::Go
    }

    /// Goes on when nothing moves any more but time.
    fn rest(&mut self, until: Option<Time>) -> Waited {
        if self.outside.has_post() {
            self.failures.push("orders wait, and the thread was not woken".to_owned());
        }
        let now = self.kernel.now;
        let limit = match self.phase {
            Phase::Settle => now + SHORT,
            Phase::Parting { by } | Phase::Told { until: by } => by,
            Phase::Script | Phase::Over => now,
        };
        if let Some(until) = until.filter(|until| *until <= limit) {
            self.let_pass(until - now);
            return Waited::Enough;
        }
        match self.phase {
            Phase::Settle => {
                self.check_settled();
                self.note(|| "parts".to_owned());
                self.phase = Phase::Parting { by: now + LONG };
                self.part();
                Waited::Go
            }
            Phase::Told { until } => {
                self.let_pass(until - now);
                self.phase = Phase::Over;
                Waited::Enough
            }
            _ => {
                self.phase = Phase::Over;
                Waited::Enough
            }
        }
    }

    /// Lets all arrive that is on its way, and the clients read and answer; tells whether anything
    /// moved.
    pub(super) fn settle(&mut self) -> bool {
        let mut moved = false;
        for link in 0..self.kernel.links.len() {
            moved |= self.kernel.deliver(link, usize::MAX);
            moved |= self.refill(link);
            if self.peers.get(link).is_some_and(|peer| !peer.is_deaf) {
                moved |= self.client_reads(link, usize::MAX);
            }
        }
        moved
    }

    /// Tells of room that a write did not find although it was there.
    pub(super) fn refill(&mut self, link: usize) -> bool {
        let Some(state) = self.kernel.links.get_mut(link) else { return false };
        let tells = state.is_starved && state.has_room();
        state.is_starved &= !tells;
        if tells {
            self.kernel.change(link, Changes::WRITABLE);
        }
        tells
    }

    /// Lets a client read some bytes; tells whether it did.
    pub(super) fn client_reads(&mut self, number: usize, count: usize) -> bool {
        let mut bytes = Vec::new();
        self.kernel.take(number, count, &mut bytes);
        let now = self.kernel.now;
        let (Some(peer), Some(link)) = (self.peers.get_mut(number), self.kernel.links.get(number))
        else {
            return false;
        };
        if link.client_gone && peer.end.is_some() {
            return false;
        }
        let mut result = peer.hear(&bytes, now);
        if let Ok(answers) = &result
            && !answers.is_empty()
        {
            self.send(number, answers.clone().as_slice());
        }
        let end = match self.kernel.links.get(number) {
            Some(link) if link.server == Hold::Aborted => Some(End::Reset),
            Some(link) if link.fin_sent && link.sent.is_empty() => Some(End::Fin),
            _ => None,
        };
        let Some(peer) = self.peers.get_mut(number) else { return false };
        let ends = end.filter(|_| peer.end.is_none());
        if let Some(end) = ends {
            result = result.and(peer.ends(end).map(|()| Vec::new()));
        }
        if let Err(why) = result {
            self.fail(number, why);
        }
        if ends.is_some() {
            self.note(|| format!("{number} reads the end {ends:?}"));
            self.finish(number);
        }
        !bytes.is_empty() || ends.is_some()
    }

    /// Puts bytes of a client on their way.
    pub(super) fn send(&mut self, number: usize, bytes: &[u8]) {
        let (Some(peer), Some(link)) =
            (self.peers.get_mut(number), self.kernel.links.get_mut(number))
        else {
            return;
        };
        if !peer.has_sent_fin && !link.client_gone {
            let greets = std::mem::take(&mut peer.has_to_greet);
            link.in_flight.extend(greets.then_some(HELLO));
            link.in_flight.extend(bytes);
        }
    }

    /// Ends a client's sending half.
    pub(super) fn finish(&mut self, number: usize) {
        if let (Some(peer), Some(link)) =
            (self.peers.get_mut(number), self.kernel.links.get_mut(number))
            && !peer.has_sent_fin
        {
            peer.has_sent_fin = true;
            link.fin_in_flight = !link.client_gone;
        }
    }
}

/// What handlers tell.
impl Machine {
    pub(super) fn opened(&mut self, number: usize, sender: Sender) {
        self.kernel.progress += 1;
        self.note(|| format!("{number} opens"));
        let Some(peer) = self.peers.get_mut(number) else { return };
        let is_first = !std::mem::replace(&mut peer.told.opened, true);
        if let Some(place) = self.senders.get_mut(number) {
            *place = Some(sender);
        }
        if !is_first {
            self.fail(number, "opened twice");
        }
    }

    pub(super) fn heard(&mut self, number: usize, message: &[u8]) {
        self.kernel.progress += 1;
        let Some(peer) = self.peers.get_mut(number) else { return };
        if let Err(why) = peer.heard(message) {
            self.fail(number, why);
        }
    }

    pub(super) fn owes(&mut self, number: usize, message: &[u8]) {
        if let Some(peer) = self.peers.get_mut(number) {
            peer.owed.push_back(message.to_vec());
        }
    }

    pub(super) fn wants_drain(&mut self, number: usize) {
        if let Some(peer) = self.peers.get_mut(number) {
            peer.told.wants_drain = true;
        }
    }

    pub(super) fn drained(&mut self, number: usize, queued: usize) {
        self.kernel.progress += 1;
        let Some(peer) = self.peers.get_mut(number) else { return };
        if !std::mem::take(&mut peer.told.wants_drain) || queued > 0 {
            self.fail(number, "told of room that it did not wait for, or that is not there");
        }
    }

    pub(super) fn subscribed(&mut self, number: usize, is_subscribed: bool) {
        if let Some(peer) = self.peers.get_mut(number) {
            if peer.is_subscribed && !is_subscribed {
                peer.absences.iter_mut().for_each(|count| *count += 1);
            }
            peer.is_subscribed = is_subscribed;
        }
    }

    /// Returns the number of the next publication of a handler.
    pub(super) fn next_publication(&mut self) -> u32 {
        let [of_handlers, _] = &mut self.publications;
        *of_handlers += 1;
        *of_handlers - 1
    }

    pub(super) fn failed(&mut self, number: usize, error: &Error) {
        self.note(|| format!("{number} fails: {error}"));
        let judged = self.judged;
        let (Some(peer), Some(link)) = (self.peers.get_mut(number), self.kernel.links.get(number))
        else {
            return;
        };
        peer.told.failed = Some(error.to_string());
        let is_of_silence = matches!(error, Error::Timeout(Timeout::Keepalive | Timeout::Message));
        let is_excused = peer.excuse.is_some();
        let unread = link.unread_since.filter(|since| *since < judged);
        if matches!(error, Error::Timeout(_)) {
            peer.excuse("it took too long");
        }
        if let Some(since) = unread.filter(|_| is_of_silence) {
            let ago = judged - since;
            self.fail(number, format!("given up for silence; it had spoken {ago:?} before"));
        } else if !matches!(error, Error::Timeout(_)) && !is_excused {
            self.fail(number, format!("it did nothing wrong: {error}"));
        }
    }

    pub(super) fn closed(&mut self, number: usize, info: &CloseInfo) {
        self.kernel.progress += 1;
        self.note(|| format!("{number} closes: {info:?}"));
        let Some(peer) = self.peers.get_mut(number) else { return };
        let before = peer.told.closed.replace(info.clone());
        let limit = self.outside.config.timeouts.close;
        if peer.closing_since.is_some_and(|since| since + limit <= self.kernel.now) {
            peer.excuse("closing took too long");
        }
        let opened = peer.told.opened;
        if before.is_some() || !opened {
            self.fail(number, "closed twice, or before it opened");
        }
    }
}

/// Whether accepting failed because of the connection that was next.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ECONNABORTED | EPROTO))
}

/// Whether the connection itself is whole although a call on it failed.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOMEM | ENETDOWN))
}

/// The excuse of a connection that a call failed on for good.
pub(super) const BROKEN: &str = "the kernel broke it";

/// Waits without any progress before the loop is said to spin.
const IDLE_ROUNDS: u32 = 40;

/// How far the clock goes on while all settles: over the longest wait between attempts to accept.
const SHORT: Duration = Duration::from_millis(1_100);

/// How long the server may take to let go of clients that have left.
const LONG: Duration = Duration::from_secs(300);
