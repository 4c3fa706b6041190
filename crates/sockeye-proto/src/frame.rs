//! The frame header (RFC 6455 section 5.2): reading it strictly, writing it minimally.
//!
//! Knows one frame at a time. What a sequence of frames may be is the connection's business.

use alloc::vec::Vec;

use crate::error::PeerError;
use crate::mask::{self, Key};
use crate::memory::{self, NoMemory};
use crate::message::Kind;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL: usize = 125;

/// The mark of a message's last frame, in the first byte.
pub(crate) const FIN: u8 = 0x80;

/// The longest header: two bytes, a 64-bit length, a key.
pub(crate) const MAX_HEADER: usize = 14;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, PeerError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            reserved => return Err(PeerError::ReservedOpcode(reserved)),
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// Which forms of the length field are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LengthForm {
    /// Only the shortest form, as RFC 6455 section 5.2 demands; the default.
    #[default]
    Minimal,
    /// Longer forms too, for peers that break this rule.
    Any,
}

/// What of the connection decides whether a header is legal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Frames come from a client, so they are masked.
    pub(crate) from_client: bool,
    /// An extension gave the first reserved bit a meaning.
    pub(crate) compression: bool,
    pub(crate) lengths: LengthForm,
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// The first reserved bit: a compressed message (RFC 7692 section 6).
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<Key>,
    pub(crate) len: u64,
}

impl Header {
    /// Reads the header at the start of `bytes`; returns it with its length, or `None` when bytes
    /// are missing. Whatever is wrong is found with the first byte that shows it.
    #[inline]
    pub(crate) fn read(bytes: &[u8], rules: Rules) -> Result<Option<(Self, usize)>, PeerError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & 0x0f)?;
        let fin = first & FIN != 0;
        let compressed = first & 0x40 != 0;
        if first & 0x30 != 0 || (compressed && !(rules.compression && may_compress(opcode))) {
            return Err(PeerError::ReservedBits);
        }
        let masked = second & 0x80 != 0;
        match (rules.from_client, masked) {
            (true, false) => return Err(PeerError::UnmaskedFrame),
            (false, true) => return Err(PeerError::MaskedFrame),
            _ => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() {
            if !fin {
                return Err(PeerError::FragmentedControl);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(PeerError::ControlTooLong);
            }
        }
        let Some((len, length_bytes)) = read_length(short, rest, rules.lengths)? else {
            return Ok(None);
        };
        let mut end = 2 + length_bytes;
        let mut mask = None;
        if masked {
            let Some(key) = bytes.get(end..).and_then(|rest| rest.first_chunk()) else {
                return Ok(None);
            };
            mask = Some(*key);
            end += key.len();
        }
        Ok(Some((Self { fin, compressed, opcode, mask, len }, end)))
    }

    /// Appends the header with the shortest form of its length.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let fin = if self.fin { FIN } else { 0 };
        let first = self.opcode.bits() | fin | (u8::from(self.compressed) << 6);
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len @ ..=125), _) => out.extend_from_slice(&[first, mask_bit | len]),
            (_, Ok(len)) => {
                let [high, low] = len.to_be_bytes();
                out.extend_from_slice(&[first, mask_bit | 126, high, low]);
            }
            _ => {
                out.extend_from_slice(&[first, mask_bit | 127]);
                out.extend_from_slice(&self.len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }

    /// Returns the bytes that a header takes.
    pub(crate) fn size(len: usize, masked: bool) -> usize {
        let length_bytes = match len {
            0..=125 => 0,
            126..=65_535 => 2,
            _ => 8,
        };
        2 + length_bytes + if masked { 4 } else { 0 }
    }
}

/// Appends one frame: header and payload, masked if the header has a key.
///
/// # Errors
/// The allocator's refusal; nothing has been appended then.
pub(crate) fn append(out: &mut Vec<u8>, header: &Header, payload: &[u8]) -> Result<(), NoMemory> {
    memory::reserve(out, Header::size(payload.len(), header.mask.is_some()) + payload.len())?;
    header.append_to(out);
    match header.mask {
        Some(key) => mask::append(out, payload, key),
        None => out.extend_from_slice(payload),
    }
    Ok(())
}

fn may_compress(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Text | Opcode::Binary)
}

/// Reads the length: its value and how many bytes it takes after the second one.
fn read_length(
    short: u8,
    rest: &[u8],
    form: LengthForm,
) -> Result<Option<(u64, usize)>, PeerError> {
    let (len, bytes, least) = match short {
        126 => {
            let Some(bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*bytes)), 2, 126)
        }
        127 => {
            // The highest bit shows in the first of the eight bytes; nothing is computed with it.
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(PeerError::LengthTooLarge);
            }
            let Some(bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*bytes), 8, 65_536)
        }
        short => (u64::from(short), 0, 0),
    };
    if len < least && form == LengthForm::Minimal {
        return Err(PeerError::LengthNotMinimal);
    }
    Ok(Some((len, bytes)))
}
