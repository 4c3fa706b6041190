//! Close codes and the body of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{Error, Misuse, PeerError};

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
        match body {
            [] => Ok(Self { code: CloseCode::NO_STATUS, reason: String::new() }),
            [_] => Err(PeerError::CloseBodyTooShort),
            [high, low, reason @ ..] => {
                let code = CloseCode(u16::from_be_bytes([*high, *low]));
                if !code.is_sendable() {
                    return Err(PeerError::InvalidCloseCode(code.get()));
                }
                let reason = core::str::from_utf8(reason).map_err(|_| PeerError::InvalidUtf8)?;
                Ok(Self { code, reason: reason.into() })
            }
        }
    }
}

/// Appends the body of a Close frame to `body`; without a code it stays empty.
///
/// # Errors
/// The caller's faults: a code that may not be sent, a reason over 123 bytes, a reason without a
/// code.
pub(crate) fn encode_body(
    code: Option<CloseCode>,
    reason: &str,
    body: &mut Vec<u8>,
) -> Result<(), Error> {
    match code {
        None if reason.is_empty() => Ok(()),
        None => Err(Misuse::ReasonWithoutCode.into()),
        Some(code) if !code.is_sendable() => Err(Misuse::CloseCode(code.get()).into()),
        Some(_) if reason.len() > MAX_REASON => Err(Misuse::ReasonTooLong(reason.len()).into()),
        Some(code) => {
            body.extend_from_slice(&code.get().to_be_bytes());
            body.extend_from_slice(reason.as_bytes());
            Ok(())
        }
    }
}
