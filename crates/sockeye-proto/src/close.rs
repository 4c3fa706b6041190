//! Close codes and the body of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::error::{Error, Misuse, PeerError};
use crate::frame::MAX_CONTROL;
use crate::memory;

/// The longest reason, in bytes of UTF-8: a control frame's 125 less the code's 2.
pub const MAX_REASON: usize = 123;

/// A status code of the closing handshake (RFC 6455 section 7.4 and its IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: this end goes away, such as a server that stops or a page that is left.
    pub const AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of data that this end does not take, such as binary.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: a Close frame without a code was received. Never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy was broken, where no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message too long for this end.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not negotiate an extension that the client needs.
    pub const EXTENSION: Self = Self(1010);
    /// 1011: this end met a condition it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try again later.
    pub const TRY_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Makes a code of any number; whether it may go on the wire is [`is_sendable`](Self::is_sendable).
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a Close frame may carry this code: 1000 to 1003, 1007 to 1014, and 3000 to 4999
    /// (RFC 6455 section 7.4.2). 1004 has no meaning; 1005, 1006 and 1015 only name what was not
    /// received.
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a Close frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code, or [`CloseCode::NO_STATUS`] when the frame carried none.
    pub code: CloseCode,
    /// The reason: at most 123 bytes.
    pub reason: String,
}

impl CloseFrame {
    /// Reads the body of a Close frame.
    ///
    /// # Errors
    /// The peer's faults: a body of one byte and a code that may not be sent (1002), a reason that
    /// is not UTF-8 (1007).
    pub fn parse(body: &[u8]) -> Result<Self, PeerError> {
        let (code, reason) = read_body(body)?;
        Ok(Self { code, reason: reason.into() })
    }

    /// Reads the body as [`parse`](Self::parse) does, where memory may be short.
    ///
    /// # Errors
    /// As `parse`, and the allocator's refusal.
    pub(crate) fn try_parse(body: &[u8]) -> Result<Self, Error> {
        let (code, reason) = read_body(body)?;
        Ok(Self { code, reason: memory::string(reason)? })
    }
}

fn read_body(body: &[u8]) -> Result<(CloseCode, &str), PeerError> {
    match body {
        [] => Ok((CloseCode::NO_STATUS, "")),
        [_] => Err(PeerError::CloseBodyTooShort),
        [high, low, reason @ ..] => {
            let code = CloseCode(u16::from_be_bytes([*high, *low]));
            if !code.is_sendable() {
                return Err(PeerError::InvalidCloseCode(code.get()));
            }
            let reason = core::str::from_utf8(reason).map_err(|_| PeerError::InvalidUtf8)?;
            Ok((code, reason))
        }
    }
}

/// The body of a Close frame of ours. It takes no memory from the heap: a connection that failed
/// because there is none must still be able to say so.
pub(crate) struct Body {
    bytes: [u8; MAX_CONTROL],
    len: usize,
}

impl Body {
    /// Makes a body; without a code it is empty.
    ///
    /// # Errors
    /// The caller's faults: a code that may not be sent, a reason over 123 bytes, a reason without
    /// a code.
    pub(crate) fn new(code: Option<CloseCode>, reason: &str) -> Result<Self, Misuse> {
        match code {
            None if reason.is_empty() => Ok(Self::empty()),
            None => Err(Misuse::ReasonWithoutCode),
            Some(code) if !code.is_sendable() => Err(Misuse::CloseCode(code.get())),
            Some(_) if reason.len() > MAX_REASON => Err(Misuse::ReasonTooLong(reason.len())),
            Some(code) => {
                let mut body = Self::empty();
                body.push(&code.get().to_be_bytes());
                body.push(reason.as_bytes());
                Ok(body)
            }
        }
    }

    /// Makes the body that tells of `error`, cut to what a frame holds. Our own texts are ASCII, so
    /// any byte is a place to cut.
    pub(crate) fn telling(code: CloseCode, error: &Error) -> Self {
        let mut body = Self::empty();
        body.push(&code.get().to_be_bytes());
        // What does not fit is cut off, so that writing cannot fail.
        let _ = write!(body, "{error}");
        body
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> &str {
        let reason = self.as_bytes().get(2..).unwrap_or_default();
        core::str::from_utf8(reason).unwrap_or_default()
    }

    const fn empty() -> Self {
        Self { bytes: [0; MAX_CONTROL], len: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len);
        self.len += room.zip(bytes).map(|(slot, byte)| *slot = *byte).count();
    }
}

impl fmt::Write for Body {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}
