//! The `Sec-WebSocket-Extensions` parameters of permessage-deflate (RFC 7692 section 7.1): what a
//! client offers, what a server answers, and what a client takes for an answer.
//!
//! Owns the meaning of the parameters; the syntax of the field is the handshake's.

use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;

use super::{DeflateConfig, Params};
use crate::handshake::Extension;

/// The parameters of one offer of permessage-deflate.
///
/// Made of a [`DeflateConfig`]: parameters that ask something of the server are sent only where the
/// configuration asks for less than the protocol's default, since servers may decline them. A window
/// outside 8 to 15 counts as the nearest one inside. The offer prints as the header has it:
///
/// ```
/// use sockeye_proto::deflate::{ClientWindow, Offer};
///
/// let offer = Offer {
///     client_no_context_takeover: true,
///     client_max_window_bits: ClientWindow::Any,
///     ..Offer::default()
/// };
/// assert_eq!(
///     offer.to_string(),
///     "permessage-deflate; client_no_context_takeover; client_max_window_bits"
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Asks the server to forget each message before the next.
    pub server_no_context_takeover: bool,
    /// Says that the client forgets each message before the next.
    pub client_no_context_takeover: bool,
    /// Asks the server for a window of at most this power of two, 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// What the client lets the server choose of its own window.
    pub client_max_window_bits: ClientWindow,
}

/// What an offer says of the client's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientWindow {
    /// Nothing: it is 32 KiB, and the server may not choose it; the default.
    #[default]
    Fixed,
    /// The server may choose it.
    Any,
    /// The server may choose it, and it is at most this power of two, 8 to 15.
    AtMost(u8),
}

/// Why a client cannot take the server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// A parameter that permessage-deflate does not have.
    UnknownParameter,
    /// A parameter twice.
    DuplicateParameter,
    /// A value that the parameter cannot have.
    InvalidValue,
    /// `client_max_window_bits`, which was not offered.
    NotOffered,
    /// A window larger than was offered.
    WindowTooLarge,
}

/// What a server agreed to, and how it says so.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    pub(crate) params: Params,
    pub(crate) answer: String,
}

/// The parameters of one `permessage-deflate` element, before their meaning is known. A window
/// without a value is `Some(None)`.
#[derive(Default)]
struct Raw {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Option<u8>>,
    client_max_window_bits: Option<Option<u8>>,
}

/// Chooses the first offer that can be accepted; `None` if there is none.
pub(crate) fn accept(
    config: &DeflateConfig,
    offers: &[Extension<'_>],
    user_agent: &[u8],
) -> Option<Agreement> {
    if is_broken_safari(user_agent) {
        return None;
    }
    let offer = offers.iter().find_map(Offer::parse)?;
    let params = Params::answer(config, &offer);
    let answer = params.header(&offer);
    Some(Agreement { params, answer })
}

impl Offer {
    /// Reads an offer; `None` if it is of another extension, or must be declined because of a
    /// parameter that is unknown, doubled or out of range (RFC 7692 section 7).
    pub fn parse(extension: &Extension<'_>) -> Option<Self> {
        let raw = Raw::parse(extension).ok()?;
        let server_max_window_bits = match raw.server_max_window_bits {
            None => None,
            // The value is required here (section 7.1.2.1).
            Some(bits) => Some(bits?),
        };
        (extension.name == NAME).then_some(Self {
            server_no_context_takeover: raw.server_no_context_takeover,
            client_no_context_takeover: raw.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits: match raw.client_max_window_bits {
                None => ClientWindow::Fixed,
                Some(None) => ClientWindow::Any,
                Some(Some(bits)) => ClientWindow::AtMost(bits),
            },
        })
    }

    /// Checks the server's answer to this offer, and returns what is agreed.
    ///
    /// A server that ignores a limit asked of it, as some widely used ones do, is taken at its word:
    /// it may keep its context and use its full window of 32 KiB, which this end can follow.
    ///
    /// # Errors
    /// The peer's faults: [`AnswerError`].
    pub fn agree(&self, answer: &Extension<'_>) -> Result<Params, AnswerError> {
        let raw = Raw::parse(answer)?;
        let offered = self.server_max_window_bits.map(clamp);
        let server_bits = match (raw.server_max_window_bits, offered) {
            (Some(None), _) => return Err(AnswerError::InvalidValue),
            (Some(Some(bits)), Some(max)) if bits > max => return Err(AnswerError::WindowTooLarge),
            (Some(Some(bits)), _) => bits,
            (None, _) => MAX_BITS,
        };
        let client_bits = match (raw.client_max_window_bits, self.client_max_window_bits) {
            (Some(_), ClientWindow::Fixed) => return Err(AnswerError::NotOffered),
            (Some(None), _) => return Err(AnswerError::InvalidValue),
            (Some(Some(bits)), ClientWindow::AtMost(max)) if bits > clamp(max) => {
                return Err(AnswerError::WindowTooLarge);
            }
            (Some(Some(bits)), _) => bits,
            (None, ClientWindow::AtMost(max)) => clamp(max),
            (None, _) => MAX_BITS,
        };
        Ok(Params {
            server_no_context_takeover: raw.server_no_context_takeover,
            client_no_context_takeover: raw.client_no_context_takeover
                || self.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        })
    }
}

impl From<&DeflateConfig> for Offer {
    fn from(config: &DeflateConfig) -> Self {
        let server_bits = clamp(config.server_max_window_bits);
        let client_bits = clamp(config.client_max_window_bits);
        Self {
            server_no_context_takeover: config.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover,
            server_max_window_bits: (server_bits < MAX_BITS).then_some(server_bits),
            client_max_window_bits: match client_bits {
                MAX_BITS => ClientWindow::Any,
                bits => ClientWindow::AtMost(bits),
            },
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_params(f, self.server_no_context_takeover, self.client_no_context_takeover)?;
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_BITS}={}", clamp(bits))?;
        }
        match self.client_max_window_bits {
            ClientWindow::Fixed => Ok(()),
            ClientWindow::Any => write!(f, "; {CLIENT_BITS}"),
            ClientWindow::AtMost(bits) => write!(f, "; {CLIENT_BITS}={}", clamp(bits)),
        }
    }
}

impl Params {
    /// Returns what a server with this configuration agrees to: of each parameter the stricter of
    /// what either end asks for. The client's window is 32 KiB where the client does not let the
    /// server choose it.
    pub fn answer(config: &DeflateConfig, offer: &Offer) -> Self {
        let server_bits = clamp(config.server_max_window_bits);
        let client_bits = clamp(config.client_max_window_bits);
        Self {
            server_no_context_takeover: config.server_no_context_takeover
                || offer.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover
                || offer.client_no_context_takeover,
            server_max_window_bits: server_bits
                .min(offer.server_max_window_bits.unwrap_or(MAX_BITS)),
            client_max_window_bits: match offer.client_max_window_bits {
                ClientWindow::Fixed => MAX_BITS,
                ClientWindow::Any => client_bits,
                ClientWindow::AtMost(bits) => client_bits.min(bits),
            },
        }
    }

    /// Returns the header that answers `offer`. Windows are named only where the offer names them:
    /// a smaller window of the server needs no consent, and a client that does not name the
    /// parameter may not know it.
    fn header(&self, offer: &Offer) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write_params(
            &mut text,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
        );
        if offer.server_max_window_bits.is_some() {
            let _ = write!(text, "; {SERVER_BITS}={}", self.server_max_window_bits);
        }
        if self.client_max_window_bits < MAX_BITS {
            let _ = write!(text, "; {CLIENT_BITS}={}", self.client_max_window_bits);
        }
        text
    }
}

impl Raw {
    fn parse(extension: &Extension<'_>) -> Result<Self, AnswerError> {
        let mut raw = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            match *name {
                SERVER_RESETS => set_flag(&mut raw.server_no_context_takeover, value)?,
                CLIENT_RESETS => set_flag(&mut raw.client_no_context_takeover, value)?,
                SERVER_BITS => set_bits(&mut raw.server_max_window_bits, value)?,
                CLIENT_BITS => set_bits(&mut raw.client_max_window_bits, value)?,
                _ => return Err(AnswerError::UnknownParameter),
            }
        }
        Ok(raw)
    }
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<(), AnswerError> {
    if core::mem::replace(flag, true) {
        Err(AnswerError::DuplicateParameter)
    } else if value.is_some() {
        Err(AnswerError::InvalidValue)
    } else {
        Ok(())
    }
}

fn set_bits(bits: &mut Option<Option<u8>>, value: Option<&str>) -> Result<(), AnswerError> {
    let value = match value {
        None => None,
        Some("8") => Some(8),
        Some("9") => Some(9),
        // A leading zero is not allowed (section 7.1.2.1).
        Some(text) if text.len() == 2 && text.starts_with('1') => {
            let bits = text.parse().ok().filter(|bits| *bits <= MAX_BITS);
            Some(bits.ok_or(AnswerError::InvalidValue)?)
        }
        Some(_) => return Err(AnswerError::InvalidValue),
    };
    match bits.replace(value) {
        None => Ok(()),
        Some(_) => Err(AnswerError::DuplicateParameter),
    }
}

fn write_params(
    out: &mut impl fmt::Write,
    server_resets: bool,
    client_resets: bool,
) -> fmt::Result {
    out.write_str(NAME)?;
    if server_resets {
        write!(out, "; {SERVER_RESETS}")?;
    }
    if client_resets {
        write!(out, "; {CLIENT_RESETS}")?;
    }
    Ok(())
}

fn clamp(bits: u8) -> u8 {
    bits.clamp(MIN_BITS, MAX_BITS)
}

/// Whether this is Safari 15.0 to 15.3, which breaks on messages compressed without context
/// (uWebSockets issue 1347).
fn is_broken_safari(user_agent: &[u8]) -> bool {
    let agent = core::str::from_utf8(user_agent).unwrap_or_default();
    let Some((_, rest)) = agent.split_once(" Version/15.") else {
        return false;
    };
    let Some((version, rest)) = rest.split_once(' ') else {
        return false;
    };
    let minor = version.split('.').next().unwrap_or_default();
    matches!(minor, "0" | "1" | "2" | "3") && rest.contains("Safari/")
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownParameter => "unknown parameter",
            Self::DuplicateParameter => "parameter given twice",
            Self::InvalidValue => "invalid value of a parameter",
            Self::NotOffered => "client_max_window_bits was not offered",
            Self::WindowTooLarge => "window larger than was offered",
        })
    }
}

impl core::error::Error for AnswerError {}

/// The name of the extension.
pub(crate) const NAME: &str = "permessage-deflate";

const SERVER_RESETS: &str = "server_no_context_takeover";
const CLIENT_RESETS: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

const MIN_BITS: u8 = 8;
const MAX_BITS: u8 = 15;

#[cfg(test)]
mod tests;
