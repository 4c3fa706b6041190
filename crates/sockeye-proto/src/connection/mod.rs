//! One connection after its opening handshake: all protocol state of one end.
//!
//! `receive` reads the peer's bytes, `send` writes ours, `clock` keeps the deadlines; this file holds
//! what they share: the phases of a connection's life and how it ends.

mod clock;
#[cfg(feature = "deflate")]
mod compression;
mod receive;
mod reply;
mod send;

#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::close::{Body, CloseCode, CloseFrame};
use crate::config::Config;
use crate::error::Error;
use crate::frame::{Opcode, Rules};
use crate::memory::{self, NoMemory, Own};
use crate::role::{Role, Server};
use crate::time::Time;

use clock::{Clock, RoundTrip};
#[cfg(feature = "deflate")]
use compression::Compression;
use receive::Inbound;
pub use receive::{Delivery, Events};
pub use reply::Reply;
use send::Outbound;
pub use send::{Compress, SendOptions};

/// One end of a WebSocket connection.
///
/// It does no I/O: bytes from the peer go into [`receive`](Self::receive), bytes for the peer are
/// appended to a buffer of the caller, and time is an argument. See the [crate](crate) page for the
/// order in which to call it.
#[derive(Debug)]
pub struct Connection<R: Role> {
    role: R,
    config: Arc<Config>,
    phase: Phase,
    delivery: Delivery,
    rtt: RoundTrip,
    inbound: Inbound,
    outbound: Outbound,
    clock: Clock,
    ending: Option<Own<CloseInfo>>,
    #[cfg(feature = "deflate")]
    compression: Option<Box<Compression>>,
}

// A host may hold a million of these at rest. What only a connection at work needs stands in boxes.
const _: () = assert!(size_of::<Connection<Server>>() <= 120);

/// Where in its life the connection is (RFC 6455 sections 4.1 and 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages go both ways.
    Open,
    /// Our Close frame is out, the peer's is not in.
    Closing,
    /// The closing handshake is complete; the transport still stands.
    Closed,
    /// This end gave up; the peer is told, and what it still sends is thrown away.
    Failed,
    /// The transport is gone or to be dropped.
    Ended,
}

/// What the host does with the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read, write, and call [`handle_timeout`](Connection::handle_timeout) when it is due.
    Continue,
    /// Write what is left, shut down the sending side, and read on until the end of the stream: to
    /// close at once could destroy what the peer has not read yet.
    Shutdown,
    /// Write what is left and read on until the end of the stream: the server closes first
    /// (RFC 6455 section 7.1.1).
    AwaitEof,
    /// Close the transport.
    Close,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseInfo {
    /// The code: the peer's if it sent a Close frame, else ours, else
    /// [`CloseCode::ABNORMAL`].
    pub code: CloseCode,
    /// The reason that came with the code.
    pub reason: String,
    /// Whether both Close frames were exchanged.
    pub clean: bool,
    /// Who ended it.
    pub by: Side,
}

/// Who did something to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This end.
    Local,
    /// The peer.
    Remote,
    /// Neither: the transport ended without a Close frame.
    Transport,
}

impl<R: Role> Connection<R> {
    /// Starts a connection whose opening handshake has just been completed.
    pub fn new(role: R, config: Arc<Config>, now: Time) -> Self {
        Self {
            role,
            phase: Phase::Open,
            delivery: Delivery::Whole,
            rtt: RoundTrip::UNKNOWN,
            inbound: Inbound::new(&config.limits, now),
            outbound: Outbound::default(),
            clock: Clock::new(&config.timeouts, now),
            config,
            ending: None,
            #[cfg(feature = "deflate")]
            compression: None,
        }
    }

    /// Compresses as the opening handshake agreed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, params: crate::deflate::Params) -> Self {
        let compression = Compression::new(params, self.role.is_server(), &self.config);
        self.compression = Some(Box::new(compression));
        self
    }

    /// Returns the limits, time-outs and choices that it goes by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether this end is the server.
    pub(crate) fn is_server(&self) -> bool {
        self.role.is_server()
    }

    /// Whether messages can still be sent.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Tells what to do with the transport now.
    pub fn next(&self) -> Next {
        match self.phase {
            Phase::Open | Phase::Closing => Next::Continue,
            Phase::Closed if !self.role.is_server() => Next::AwaitEof,
            Phase::Closed | Phase::Failed => Next::Shutdown,
            Phase::Ended => Next::Close,
        }
    }

    /// Returns how the connection ended; `None` while it has not.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        match self.phase {
            Phase::Open | Phase::Closing => None,
            Phase::Closed | Phase::Failed | Phase::Ended => {
                Some(self.ending.as_deref().unwrap_or(&FORGOTTEN))
            }
        }
    }

    /// Starts the closing handshake (RFC 6455 section 7.1.2): appends a Close frame to `out`.
    ///
    /// Data that arrives from now on is dropped. A second call, or one after the connection
    /// failed, changes nothing.
    ///
    /// # Errors
    /// The caller's faults: a code that may not be sent, a reason over 123 bytes or without a code.
    /// The allocator's refusal. Nothing has changed then.
    pub fn close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        now: Time,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let body = Body::new(code, reason)?;
        if self.phase != Phase::Open {
            return Ok(());
        }
        self.append_frame(Opcode::Close, body.as_bytes(), out)?;
        self.enter(Phase::Closing, now + self.config.timeouts.close);
        self.inbound.discard_message();
        self.keep_ending(code.unwrap_or(CloseCode::NO_STATUS), reason, false, Side::Local);
        Ok(())
    }

    /// Takes note that the transport ended: end of stream, reset, or any error of it.
    ///
    /// Before the closing handshake is complete this is an abnormal end, code 1006, and a message
    /// that was not finished is dropped.
    pub fn receive_eof(&mut self) {
        match self.phase {
            Phase::Open | Phase::Closing => self.end_abnormally(Side::Transport),
            Phase::Closed | Phase::Failed | Phase::Ended => self.phase = Phase::Ended,
        }
    }

    /// Answers the peer's Close frame, if that is due (RFC 6455 section 5.5.1).
    fn answer_close(
        &mut self,
        frame: &CloseFrame,
        now: Time,
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        if self.phase == Phase::Open {
            // The answer says what the peer said, so that its application sees its own reason.
            let code = Some(frame.code).filter(|code| *code != CloseCode::NO_STATUS);
            if let Ok(body) = Body::new(code, &frame.reason) {
                self.append_frame(Opcode::Close, body.as_bytes(), out)?;
            }
        }
        self.close_cleanly(frame.code, &frame.reason, now);
        Ok(())
    }

    /// Completes the closing handshake.
    fn close_cleanly(&mut self, code: CloseCode, reason: &str, now: Time) {
        let by = if self.phase == Phase::Open { Side::Remote } else { Side::Local };
        let timeouts = &self.config.timeouts;
        let wait = if self.role.is_server() { timeouts.close } else { timeouts.linger };
        self.enter(Phase::Closed, now + wait);
        self.keep_ending(code, reason, true, by);
        self.release();
    }

    /// Fails the connection (RFC 6455 section 7.1.7): tells the peer once, reads no more.
    fn fail(&mut self, error: &Error, now: Time, out: &mut Vec<u8>) {
        let Some(code) = error.close_code() else {
            return self.end_abnormally(Side::Local);
        };
        let body = Body::telling(code, error);
        if self.phase == Phase::Open {
            // Where there is no memory for it, the peer sees the transport close.
            let _ = self.append_frame(Opcode::Close, body.as_bytes(), out);
        }
        self.enter(Phase::Failed, now + self.config.timeouts.close);
        self.keep_ending(code, body.reason(), false, Side::Local);
        self.release();
    }

    fn end_abnormally(&mut self, by: Side) {
        self.phase = Phase::Ended;
        self.keep_ending(CloseCode::ABNORMAL, "", false, by);
        self.release();
    }

    /// Keeps how the connection ended, as far as there is memory for it.
    fn keep_ending(&mut self, code: CloseCode, reason: &str, clean: bool, by: Side) {
        let reason = memory::string(reason).unwrap_or_default();
        self.ending = Own::new(CloseInfo { code, reason, clean, by }).ok();
    }

    /// Lets go of what only an open connection needs.
    fn release(&mut self) {
        self.inbound.release();
        self.outbound.forget_pongs();
        #[cfg(feature = "deflate")]
        {
            self.compression = None;
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            from_client: self.role.is_server(),
            #[cfg(feature = "deflate")]
            compression: self.compression.is_some(),
            #[cfg(not(feature = "deflate"))]
            compression: false,
            lengths: self.config.lengths,
        }
    }
}

/// What is told of an end for which there was no memory.
static FORGOTTEN: CloseInfo =
    CloseInfo { code: CloseCode::ABNORMAL, reason: String::new(), clean: false, by: Side::Local };
