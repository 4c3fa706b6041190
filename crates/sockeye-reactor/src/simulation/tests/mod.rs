//! Simulations by the thousand, and the faults that have a name.

mod accepting;
mod ends;
mod errors;
mod queues;
mod seeds;
mod time;

use std::time::Duration;

use sockeye_proto::{CloseInfo, Config};

use super::Simulation;
use super::kernel::Manner;
use super::machine::{Machine, Phase};
use super::peer::{ECHO, Peer};
use super::script::Script;

/// A simulation that a test directs.
struct Stage(Simulation);

impl Stage {
    fn new(config: Config) -> Self {
        Self::of(Manner::Changes, config)
    }

    fn of(manner: Manner, config: Config) -> Self {
        let phase = Phase::Told { until: sockeye_proto::Time::from_micros(0) };
        let mut simulation = Simulation::new(manner, Script::none(), phase, config);
        simulation.listen();
        let mut stage = Self(simulation);
        stage.run(Duration::ZERO);
        stage
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(&mut self.0.machine.lock())
    }

    fn peer<T>(&mut self, number: usize, act: impl FnOnce(&mut Peer) -> T) -> T {
        self.with(|machine| act(&mut machine.peers[number]))
    }

    /// Lets a client come whose handshake is done.
    fn connect(&mut self) -> usize {
        self.connect_with_room(65_536, 65_536)
    }

    fn connect_with_room(&mut self, room_in: usize, room_out: usize) -> usize {
        self.with(|machine| {
            let number = machine.connect(room_in, room_out, false);
            machine.outside.adopt(number, Vec::new(), machine.kernel.now);
            number
        })
    }

    /// Lets a client come to the listener and say hello.
    fn knock(&mut self) -> usize {
        self.with(|machine| {
            let number = machine.connect(65_536, 65_536, true);
            machine.send(number, &[]);
            number
        })
    }

    fn say(&mut self, number: usize, command: u8, length: usize) {
        self.with(|machine| {
            let wire = machine.compose(number, command, length, 1);
            machine.send(number, &wire);
        });
    }

    /// Lets so much time pass, and all happen that then happens.
    fn run(&mut self, duration: Duration) {
        self.with(|machine| machine.phase = Phase::Told { until: machine.kernel.now + duration });
        while self.0.go_round().unwrap_or_else(|why| panic!("{why}")) {}
    }

    /// Sees to it that a client's messages come back.
    fn is_served(&mut self, number: usize) {
        self.say(number, ECHO, 10);
        self.run(Duration::ZERO);
        let log = self.with(|machine| {
            let last = machine.log.len().saturating_sub(20);
            format!("{}\n{}", machine.log[last..].join("\n"), machine.kernel.links[number])
        });
        self.peer(number, |peer| {
            assert_eq!(peer.told.messages, peer.messages.len(), "{number}: {log}");
            assert!(peer.owed.is_empty());
        });
    }

    fn closed(&mut self, number: usize) -> Option<CloseInfo> {
        self.peer(number, |peer| peer.told.closed.clone())
    }

    fn rounds(&mut self) -> u64 {
        self.with(|machine| machine.rounds)
    }

    /// Lets all arrive and all leave: then nothing may be left.
    fn finish(mut self) {
        self.with(|machine| machine.phase = Phase::Settle);
        self.0.finish().unwrap_or_else(|why| panic!("{why}"));
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
