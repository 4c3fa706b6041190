//! A whole server thread in a simulated world: deterministic, with time that is simulated as well, and
//! with every fault that a kernel, a network or a client can play.
//!
//! ```text
//!   Script (a seed, or a fuzzer's bytes)
//!      │ chooses
//!      ▼
//!   Machine ── Kernel: links, listeners, readiness ── Faults ── Peers: clients by hand
//!      ▲ System: wait, read, write, accept …
//!      │
//!   Worker::go_round, as it runs on a real system ── Actor: the handler, which takes note
//! ```
//!
//! The world goes on inside of the thread's waits, and only there or between two of its calls: so a
//! wait that nothing would end shows as one. A script has an end; then all that is on its way arrives
//! (`Phase::Settle`), and everything must have been delivered; then the clients leave,
//! and nothing may be left of them.
//!
//! Compiled for tests, and under the feature `simulation` for the fuzzer. It is no part of the public
//! API.

#![allow(clippy::panic, reason = "a simulation fails by panicking, under the fuzzer as well")]

mod actor;
mod acts;
mod checks;
mod faults;
mod frames;
mod kernel;
mod link;
mod machine;
mod outside;
mod peer;
mod script;
mod system;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::Config;

use actor::Actor;
use faults::Faults;
use kernel::Manner;
use machine::{Machine, Phase};
use outside::Outside;
use script::Script;
use system::{Kernel, Shared};

use crate::mailbox::{Mailbox, Order};
use crate::system::{Happening, System};
use crate::worker::{Shown, Worker};

/// Runs the simulation that a fuzzer's bytes describe.
///
/// # Panics
/// The thread broke a promise.
pub fn play(bytes: &[u8]) {
    if let Err(why) = Simulation::scripted(Script::from_bytes(bytes)).finish() {
        panic!("{why}");
    }
}

/// Runs the simulation that a seed describes.
///
/// # Errors
/// The thread broke a promise; what happened, line by line.
pub fn play_seed(seed: u64) -> Result<(), String> {
    Simulation::scripted(Script::from_seed(seed)).finish()
}

/// A thread and its world.
struct Simulation {
    worker: Worker<Actor, Kernel>,
    machine: Shared,
    happened: Vec<Happening>,
    due: Vec<u32>,
}

impl Simulation {
    /// Makes a simulation of which a script chooses everything.
    fn scripted(mut script: Script) -> Self {
        let manner = script.pick(&[Manner::Whole, Manner::Changes]).unwrap_or(Manner::Whole);
        let faults = Faults::choose(&mut script);
        let mut simulation = Self::new(manner, script, Phase::Script, small());
        simulation.machine.lock().faults = faults;
        simulation.listen();
        simulation
    }

    fn new(manner: Manner, script: Script, phase: Phase, config: Config) -> Self {
        let machine = Machine::new(manner, script, phase, Outside::new(config));
        let load = machine.outside.load.clone();
        let machine = Shared::new(machine);
        let system = Kernel::new(machine.clone());
        let mailbox = Arc::new(Mailbox::new(system.waker()));
        mailbox.own();
        let shown = Shown { load, ..Shown::default() };
        let worker = Worker::new(system, mailbox.clone(), Vec::new(), shown);
        let mut state = machine.lock();
        state.outside.mailbox = Some(mailbox);
        state.outside.machine = Some(machine.clone());
        drop(state);
        Self { worker, machine, happened: Vec::new(), due: Vec::new() }
    }

    /// Lets the thread listen.
    fn listen(&mut self) {
        let mut machine = self.machine.lock();
        machine.kernel.listeners.push(kernel::Listening::default());
        let listener = machine.kernel.listeners.len() - 1;
        if let Some(reception) = machine.outside.reception() {
            machine.outside.order(Order::Listen(listener, reception));
        }
    }

    /// Lets the thread go round once; tells whether it goes on.
    fn go_round(&mut self) -> Result<bool, String> {
        let went = self.worker.go_round(&mut self.happened, &mut self.due);
        let census = self.worker.census();
        let mut machine = self.machine.lock();
        if !matches!(went, Ok(true)) {
            machine.failures.push(format!("the loop ended: {went:?}"));
        }
        machine.check_round(&census);
        if machine.failures.is_empty() {
            return Ok(machine.phase != Phase::Over);
        }
        Err(machine.report())
    }

    /// Runs to the end.
    fn finish(&mut self) -> Result<(), String> {
        while self.go_round()? {}
        let census = self.worker.census();
        let mut machine = self.machine.lock();
        machine.check_over(&census);
        if machine.failures.is_empty() { Ok(()) } else { Err(machine.report()) }
    }
}

impl Drop for Simulation {
    /// Takes apart what holds each other.
    fn drop(&mut self) {
        let mut machine = self.machine.lock();
        let mailbox = machine.outside.mailbox.take();
        let own = machine.outside.machine.take();
        let senders = std::mem::take(&mut machine.senders);
        // Outside of the lock: what they hold may take it.
        drop(machine);
        drop((mailbox, own, senders));
    }
}

impl Machine {
    /// Returns what went wrong, behind what happened before.
    fn report(&self) -> String {
        format!("{}\n{}", self.log.join("\n"), self.failures.join("\n"))
    }
}

/// Returns a configuration with low limits, so that a few messages reach them.
fn small() -> Config {
    let mut config = Config::server();
    config.limits.message = 64 << 10;
    config.limits.queue_high = 4 << 10;
    config.limits.queue = 128 << 10;
    config.timeouts.message = Duration::from_secs(20);
    config.limits.control_rate = u16::MAX;
    config
}
