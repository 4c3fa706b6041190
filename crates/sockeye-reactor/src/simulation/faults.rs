//! Which calls fail, and how: by a script's odds, or the n-th call as a test says.

use super::script::Script;
use super::system::Call;

/// What strikes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails with this error.
    Error(i32),
    /// It moves no more than so many bytes.
    Short(usize),
}

/// How often faults strike, in 256 calls.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) calls: usize,
    pub(super) accepting: usize,
    pub(super) spurious: usize,
    pub(super) meddling: usize,
    pub(super) dawdling: usize,
    /// A call that fails whatever the odds: which, the how-manieth from now, how many in a row, and
    /// how.
    pub(super) planned: Option<Planned>,
}

/// A fault at a certain call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) call: Call,
    /// Calls before it.
    pub(super) after: u32,
    pub(super) times: u32,
    pub(super) error: i32,
}

impl Faults {
    /// Chooses how often.
    pub(super) fn choose(script: &mut Script) -> Self {
        let mut rate = || script.pick(&[0, 2, 8, 40]).unwrap_or(0);
        Self {
            calls: rate(),
            accepting: rate(),
            spurious: rate(),
            meddling: rate(),
            dawdling: rate() / 4,
            planned: None,
        }
    }

    /// Says what strikes a call, if anything does.
    pub(super) fn strike(&mut self, call: Call, script: &mut Script) -> Option<Fault> {
        if let Some(planned) = self.planned.as_mut().filter(|planned| planned.call == call) {
            if planned.after > 0 {
                planned.after -= 1;
            } else if planned.times > 0 {
                planned.times -= 1;
                return Some(Fault::Error(planned.error));
            }
        }
        let odds = match call {
            Call::Accept => self.accepting,
            Call::Listen => 0,
            Call::ShutDown | Call::Watch => self.calls / 4,
            Call::Wait | Call::Read | Call::Write => self.calls,
        };
        if !script.odds(odds) {
            return None;
        }
        match call {
            Call::Wait => Some(Fault::Error(EINTR)),
            Call::Accept => script.pick(ACCEPTING).map(Fault::Error),
            Call::Watch => script.pick(&[ENOMEM, ENOSPC]).map(Fault::Error),
            Call::ShutDown => Some(Fault::Error(ENOTCONN)),
            Call::Listen => None,
            Call::Read | Call::Write => Some(match script.below(16) {
                0..=3 => Fault::Error(EINTR),
                4..=6 => Fault::Error(EAGAIN),
                7 => Fault::Error(script.pick(MOVING).unwrap_or(EPIPE)),
                _ => Fault::Short(1 + script.below(3_000)),
            }),
        }
    }
}

/// Errors of reading and writing that end a connection.
pub(super) const MOVING: &[i32] = &[ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETDOWN, ENOMEM];

/// Errors of accepting.
pub(super) const ACCEPTING: &[i32] =
    &[EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO];

pub(super) const EINTR: i32 = 4;
pub(super) const EAGAIN: i32 = 11;
pub(super) const ENOMEM: i32 = 12;
pub(super) const ENFILE: i32 = 23;
pub(super) const EMFILE: i32 = 24;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EPIPE: i32 = 32;
pub(super) const EPROTO: i32 = 71;
pub(super) const ENETDOWN: i32 = 100;
pub(super) const ECONNABORTED: i32 = 103;
pub(super) const ECONNRESET: i32 = 104;
pub(super) const ENOBUFS: i32 = 105;
pub(super) const ENOTCONN: i32 = 107;
pub(super) const ETIMEDOUT: i32 = 110;
pub(super) const EHOSTUNREACH: i32 = 113;
