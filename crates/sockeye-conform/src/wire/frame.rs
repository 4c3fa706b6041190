//! Frame headers, masks and opcodes (RFC 6455, section 5.2).

use crate::case::{FrameForm, LengthForm};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The bit that marks a compressed message, counted as the frames here count reserved bits.
pub(crate) const RSV1: u8 = 4;

/// A header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    /// Bytes of the payload.
    pub(crate) length: u64,
    /// The length is not in its shortest form.
    pub(crate) padded: bool,
}

impl Header {
    /// Reads a header; `None` if it is not all there.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, shortest, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), 126, rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), 0x1_0000, rest)
            }
            short => (short.into(), 0, rest),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        };
        Some(Self {
            fin: first & FIN != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            mask,
            size: bytes.len() - rest.len(),
            length,
            padded: length < shortest,
        })
    }

    /// Tells what the frame is, for a reader.
    pub(crate) fn tell(&self) -> String {
        let mut text = format!("{}, {} bytes", opcode_name(self.opcode), self.length);
        text.push_str(if self.fin { ", FIN" } else { ", no FIN" });
        let bits = [(4, ", RSV1"), (2, ", RSV2"), (1, ", RSV3")];
        text.extend(bits.into_iter().filter(|(bit, _)| self.rsv & bit != 0).map(|(_, name)| name));
        text.push_str(if self.mask.is_some() { ", masked" } else { "" });
        text.push_str(if self.padded { ", length in a longer form than it needs" } else { "" });
        text
    }
}

/// Returns the name by which an opcode is called.
pub(crate) fn opcode_name(opcode: u8) -> String {
    match opcode {
        CONTINUATION => "CONT".into(),
        TEXT => "TEXT".into(),
        BINARY => "BINARY".into(),
        CLOSE => "CLOSE".into(),
        PING => "PING".into(),
        PONG => "PONG".into(),
        other => format!("OP{other}"),
    }
}

/// Appends a frame: the form's header, then the payload, which is given apart because the form's
/// may have to be compressed first.
pub(crate) fn append(bytes: &mut Vec<u8>, form: &FrameForm, payload: &[u8], key: Option<[u8; 4]>) {
    let fin = if form.more { 0 } else { FIN };
    let length = form.declare.unwrap_or(payload.len() as u64);
    append_header(bytes, fin | form.rsv << 4 | form.opcode, length, form.length, key);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        apply_mask(&mut bytes[start..], key, 0);
    }
}

/// Appends a header whose first byte is given.
pub(crate) fn append_header(
    bytes: &mut Vec<u8>,
    first: u8,
    length: u64,
    form: LengthForm,
    mask: Option<[u8; 4]>,
) {
    bytes.push(first);
    let flag = if mask.is_some() { 0x80 } else { 0 };
    let short = u8::try_from(length).ok().filter(|length| *length < 126);
    let medium = u16::try_from(length).ok();
    match (form, short, medium) {
        (LengthForm::Shortest, Some(short), _) => bytes.push(flag | short),
        (LengthForm::Shortest | LengthForm::Medium, _, Some(medium)) => {
            bytes.push(flag | 126);
            bytes.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            bytes.push(flag | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(mask.as_ref().map_or(&[], |key| &key[..]));
}

/// Masks or unmasks, which is the same, bytes that stand `offset` bytes into their payload.
pub(crate) fn apply_mask(bytes: &mut [u8], mut key: [u8; 4], offset: usize) {
    key.rotate_left(offset % 4);
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        let masked = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
        word.copy_from_slice(&(masked ^ u32::from_ne_bytes(key)).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

const FIN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for length in [0, 1, 125, 126, 0xffff, 0x1_0000, u64::MAX] {
            for form in [LengthForm::Shortest, LengthForm::Medium, LengthForm::Long] {
                for mask in [None, Some([1, 2, 3, 4])] {
                    let mut bytes = Vec::new();
                    append_header(&mut bytes, 0xc1, length, form, mask);
                    let header = Header::read(&bytes).unwrap();
                    assert_eq!(
                        (header.length, header.mask, header.size),
                        (length, mask, bytes.len())
                    );
                    assert_eq!((header.fin, header.rsv, header.opcode), (true, RSV1, TEXT));
                    let padded = match form {
                        LengthForm::Shortest => false,
                        LengthForm::Medium => length < 126,
                        LengthForm::Long => length < 0x1_0000,
                    };
                    assert_eq!(header.padded, padded, "{length} {form:?}");
                    for cut in 0..bytes.len() {
                        assert_eq!(Header::read(&bytes[..cut]), None);
                    }
                }
            }
        }
    }

    #[test]
    fn a_mask_goes_on_where_it_stopped() {
        let (mut whole, mut parts) = (*b"some bytes in a row", *b"some bytes in a row");
        apply_mask(&mut whole, [1, 2, 3, 4], 0);
        let (first, second) = parts.split_at_mut(7);
        apply_mask(first, [1, 2, 3, 4], 0);
        apply_mask(second, [1, 2, 3, 4], 7);
        assert_eq!(whole, parts);
    }
}
