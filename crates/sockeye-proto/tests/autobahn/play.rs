//! Plays a case: the tester on one side, the core on the other, a transport and a clock that exist
//! only here between them.

use std::sync::Arc;
use std::time::Duration;

use sockeye_conform::report::CaseResult;
use sockeye_conform::{Act, Case, Ended, Player};
use sockeye_proto::Time;

use super::endpoint::{self, Connecting, Endpoint};
use super::{Plays, Setting};

/// Plays a case; returns what the tester says of the core, and what the core says of the end.
pub(crate) fn play(case: &Arc<Case>, setting: Setting) -> (CaseResult, Result<(), String>) {
    let id = case.id();
    let (player, core) = match setting.plays {
        Plays::Server => {
            let player = Player::to_server(case.clone(), HOST, "/", *b"the sample nonce");
            (player, Core::Listening(Vec::new()))
        }
        Plays::Client => {
            let (request, connecting) = endpoint::connect(id, setting);
            let player = Player::to_client(case.clone(), &request).unwrap();
            (player, Core::Connecting(Box::new(connecting)))
        }
    };
    Match { player, core, id: id.to_owned(), setting, now: Duration::ZERO, ended: false }.play()
}

struct Match {
    player: Player,
    core: Core,
    id: String,
    setting: Setting,
    now: Duration,
    /// The core has ended the transport.
    ended: bool,
}

/// The core in the stages of a connection.
enum Core {
    Listening(Vec<u8>),
    Connecting(Box<Connecting>),
    Open(Box<Endpoint>),
    Refused,
}

impl Match {
    fn play(mut self) -> (CaseResult, Result<(), String>) {
        loop {
            match self.player.next(self.now) {
                Act::Write(mut bytes) => {
                    for read in bytes.chunks_mut(self.setting.read) {
                        self.now += if read.len() == 1 { BYTE_TIME } else { READ_TIME };
                        self.carry(read);
                    }
                }
                Act::Read { until } | Act::Stall { until } => self.pass(until),
                Act::HalfClose => {
                    if let Core::Open(core) = &mut self.core {
                        core.connection.receive_eof();
                    }
                    self.deliver();
                }
                Act::Drop => break,
            }
        }
        let result = self.player.result(self.now);
        let report = match &mut self.core {
            Core::Open(core) => {
                core.connection.receive_eof();
                core.check_report(result.close_code)
            }
            _ => Ok(()),
        };
        (result, report)
    }

    /// Carries bytes to the core and its answers back.
    fn carry(&mut self, bytes: &mut [u8]) {
        if self.ended {
            return;
        }
        let now = self.time();
        match &mut self.core {
            Core::Open(core) => core.receive(bytes, now),
            Core::Listening(inbox) => {
                inbox.extend_from_slice(bytes);
                if let Some(served) = endpoint::serve(inbox, &self.id, self.setting) {
                    self.core = match served.endpoint {
                        Some(core) => Core::Open(Box::new(core)),
                        None => Core::Refused,
                    };
                    self.player.receive(&served.response, self.now);
                }
            }
            Core::Connecting(connecting) => match connecting.receive(bytes) {
                Ok(None) => {}
                Ok(Some(core)) => self.core = Core::Open(Box::new(core)),
                Err(_) => self.core = Core::Refused,
            },
            Core::Refused => {}
        }
        self.deliver();
    }

    /// Carries the core's output to the tester, and the end of the transport after it.
    fn deliver(&mut self) {
        let now = self.time();
        let ends = match &mut self.core {
            Core::Open(core) => {
                let output = core.take_output(now);
                if !output.is_empty() {
                    assert!(!self.ended, "bytes after the core ended the transport");
                    self.player.receive(&output, self.now);
                }
                core.ends()
            }
            Core::Refused => true,
            Core::Listening(_) | Core::Connecting(_) => false,
        };
        if ends && !self.ended {
            self.ended = true;
            self.player.ended(Ended::Eof, self.now);
        }
    }

    /// Lets time pass with the first thing that falls due in it.
    fn pass(&mut self, until: Duration) {
        let due = match &self.core {
            Core::Open(core) => core.connection.poll_timeout(),
            _ => None,
        };
        let due = due.map(|due| Duration::from_micros(due.as_micros())).filter(|due| *due <= until);
        self.now = self.now.max(due.unwrap_or(until));
        let now = self.time();
        if let (Some(_), Core::Open(core)) = (due, &mut self.core) {
            core.pass(now);
        }
        self.deliver();
    }

    fn time(&self) -> Time {
        Time::from_micros(u64::try_from(self.now.as_micros()).unwrap())
    }
}

const HOST: &str = "127.0.0.1:9001";

/// How long a read takes: 4 MiB in frames of 64 bytes then take about a second.
const READ_TIME: Duration = Duration::from_micros(20);

/// How long a read of one byte takes: a megabyte then takes about a second.
const BYTE_TIME: Duration = Duration::from_micros(1);
