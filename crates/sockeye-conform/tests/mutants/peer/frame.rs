//! Frames as bytes: reads headers, writes frames, masks.

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// The reserved bits as a number; RSV1 is 4.
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) length: u64,
    pub(crate) key: Option<[u8; 4]>,
    /// Bytes of the header itself.
    pub(crate) size: usize,
}

impl Header {
    /// Reads a header; `None` if it is not all there.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let (key, size) = match second & 0x80 {
            0 => (None, at),
            _ => (Some(bytes.get(at..at + 4)?.try_into().ok()?), at + 4),
        };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
        Some(Self { fin, rsv, opcode, length, key, size })
    }

    /// Tells whether the length is written in more bytes than it needs.
    pub(crate) fn is_padded(&self) -> bool {
        let mask = if self.key.is_some() { 4 } else { 0 };
        self.size - mask > length_size(self.length)
    }
}

/// How a frame is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    /// Writes the length in 64 bits whatever it is.
    pub(crate) padded: bool,
}

/// Appends a frame.
pub(crate) fn append(out: &mut Vec<u8>, form: Form, payload: &[u8]) {
    let mask = if form.key.is_some() { 0x80 } else { 0 };
    let length = payload.len() as u64;
    out.push(form.first);
    match if form.padded { 10 } else { length_size(length) } {
        2 => out.push(mask | u8::try_from(length).unwrap_or_default()),
        4 => {
            out.push(mask | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend(form.key.into_iter().flatten());
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = form.key {
        unmask(&mut out[start..], key, 0);
    }
}

/// Masks or unmasks bytes that stand `offset` bytes into their payload.
pub(crate) fn unmask(bytes: &mut [u8], mut key: [u8; 4], offset: u64) {
    key.rotate_left(usize::try_from(offset % 4).unwrap_or_default());
    for (byte, key) in bytes.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// Bytes of a header without a masking key.
fn length_size(length: u64) -> usize {
    match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

pub(crate) const FIN: u8 = 0x80;
/// RSV1 in the first byte.
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
