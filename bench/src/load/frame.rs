//! Just enough of RFC 6455 section 5 to send one payload over and over, and to know it again.
//!
//! What is sent is laid out once. What comes back may be fragmented and cut anywhere; [`Expected`] knows what it should be.

use std::ops::Range;

use super::Failure;
use super::expected::{Expected, Partial};
use super::message::{Data, compress};

/// As many masked frames as are sent at once, one after the other, all of the same payload.
#[derive(Debug)]
pub(super) struct Burst {
    frames: Vec<u8>,
    frame_length: usize,
}

impl Burst {
    pub(super) fn new(data: Data, payload: &[u8], count: usize) -> Result<Self, Failure> {
        let compressed;
        let (first, body) = if data == Data::Deflated {
            compressed = compress(payload)?;
            (COMPRESSED | data.opcode(), compressed.as_slice())
        } else {
            (data.opcode(), payload)
        };
        let mut frames = Vec::new();
        for nth in 0..count {
            let key = (nth as u32).wrapping_mul(0x9e37_79b9).wrapping_add(0x5bd1_e995);
            append_masked(&mut frames, first, body, key.to_be_bytes());
        }
        Ok(Self { frame_length: frames.len() / count, frames })
    }

    /// Returns where the first frames of the burst lie, at most `count`, and how many they are.
    pub(super) fn first(&self, count: usize) -> (Range<usize>, usize) {
        let count = count.min(self.frames.len() / self.frame_length);
        (0..count * self.frame_length, count)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.frames[range]
    }
}

/// Appends a frame as a client sends it; `first` is its opcode and reserved bits.
pub(super) fn append_masked(out: &mut Vec<u8>, first: u8, payload: &[u8], key: [u8; 4]) {
    out.push(FIN | first);
    match payload.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Reads a server's frames.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: Vec<u8>,
    /// How much of the frame's payload is still to come.
    left: usize,
    message: Partial,
}

impl Reader {
    /// Reads what has come, and returns how many messages it completes.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        expected: &mut Expected,
    ) -> Result<u64, Failure> {
        let mut messages = 0;
        while !bytes.is_empty() {
            if self.left == 0 && !self.read_head(&mut bytes)? {
                break;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            bytes = rest;
            self.left -= piece.len();
            if self.is_data() {
                expected.piece(&mut self.message, piece)?;
            }
            if self.left == 0 {
                messages += self.end_frame(expected)?;
            }
        }
        Ok(messages)
    }

    /// Returns whether the frame's head is complete.
    fn read_head(&mut self, bytes: &mut &[u8]) -> Result<bool, Failure> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head.push(byte);
            let extended: &[u8] = match (self.head.get(1), self.head.len()) {
                (Some(..126), 2) => &self.head[1..],
                (Some(126), 4) | (Some(127), 10) => &self.head[2..],
                (Some(128..), _) => return Err("the server masks".into()),
                _ => continue,
            };
            self.left = extended.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            let first = self.first();
            if self.is_data() && first & OPCODE != CONTINUATION {
                self.message.begin(first & COMPRESSED != 0);
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Returns the first byte of the frame.
    fn first(&self) -> u8 {
        self.head.first().copied().unwrap_or_default()
    }

    fn is_data(&self) -> bool {
        !self.head.is_empty() && self.first() & CONTROL == 0
    }

    /// Returns 1 if the frame was the last of its message.
    fn end_frame(&mut self, expected: &mut Expected) -> Result<u64, Failure> {
        let (first, data) = (self.first(), self.is_data());
        self.head.clear();
        if first & OPCODE == CLOSE {
            return Err("the server closed".into());
        }
        if !data || first & FIN == 0 {
            return Ok(0);
        }
        expected.end(&self.message)?;
        Ok(1)
    }
}

const FIN: u8 = 0x80;
/// RSV1, in the first frame of a message.
const COMPRESSED: u8 = 0x40;
const OPCODE: u8 = 0xf;
const CONTROL: u8 = 0x8;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;

#[cfg(test)]
mod tests {
    use super::super::message::BINARY;
    use super::*;

    fn payload(size: usize) -> Vec<u8> {
        Data::Binary.payload(size)
    }

    /// What a server sends, in frames of these lengths.
    fn sent(payload: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = payload;
        for (nth, &cut) in cuts.iter().enumerate() {
            let (piece, after) = rest.split_at(cut);
            let fin = if nth + 1 == cuts.len() { 0x80 } else { 0 };
            out.push(fin | if nth == 0 { BINARY } else { 0 });
            match u8::try_from(cut) {
                Ok(short @ ..126) => out.push(short),
                _ => {
                    out.push(126);
                    out.extend(u16::try_from(cut).unwrap().to_be_bytes());
                }
            }
            out.extend(piece);
            rest = after;
        }
        out
    }

    #[test]
    fn messages_are_counted_wherever_reads_and_frames_cut_them() {
        let mut bytes = sent(&payload(300), &[300]);
        bytes.extend([0x89, 2, 7, 7]);
        bytes.extend(sent(&payload(300), &[100, 0, 200]));
        for step in [1, 2, 3, 7, 301, bytes.len()] {
            let (mut reader, mut expected) = (Reader::default(), Expected::new(payload(300)));
            let read = |piece| reader.read(piece, &mut expected).unwrap();
            assert_eq!(bytes.chunks(step).map(read).sum::<u64>(), 2, "in steps of {step}");
        }
    }

    #[test]
    fn another_payload_is_noticed() {
        for wrong in [&b"abcdx"[..], b"abcd", b"abcdef"] {
            let bytes = sent(wrong, &[wrong.len()]);
            let mut expected = Expected::new(payload(5));
            assert!(Reader::default().read(&bytes, &mut expected).is_err());
        }
    }

    #[test]
    fn a_masked_frame_unmasks_to_its_payload() {
        let burst = Burst::new(Data::Text, &payload(70_000), 2).unwrap();
        let (range, count) = burst.first(9);
        assert_eq!((range.len(), count), (2 * (14 + 70_000), 2));
        let second = burst.bytes(70_014..140_028);
        assert_eq!(second[..10], [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        let unmasked: Vec<u8> = second[14..]
            .iter()
            .zip(second[10..14].iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        assert_eq!(unmasked, payload(70_000));
    }

    #[test]
    fn a_compressed_message_comes_back_as_it_was_sent() {
        let payload = Data::Deflated.payload(1_024);
        let burst = Burst::new(Data::Deflated, &payload, 1).unwrap();
        assert_eq!(burst.bytes(0..1), [FIN | COMPRESSED | 0x1]);
        let packed = compress(&payload).unwrap();
        let mut bytes = sent(&packed, &[100, packed.len() - 100]);
        bytes[0] |= COMPRESSED;
        let mut expected = Expected::new(payload);
        for step in [1, 50, bytes.len()] {
            let mut reader = Reader::default();
            let read = |piece| reader.read(piece, &mut expected).unwrap();
            assert_eq!(bytes.chunks(step).map(read).sum::<u64>(), 1, "in steps of {step}");
        }
        assert_eq!(expected.wire(), 3 * packed.len() as u64);
    }
}
