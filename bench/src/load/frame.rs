//! Just enough of RFC 6455 section 5 to send one payload over and over, and to know it again.
//!
//! What is sent is laid out once. What comes back may be fragmented and cut anywhere; every byte of it is
//! compared with what was sent.

use std::ops::Range;

use super::Failure;

pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;

/// As many masked frames as are sent at once, one after the other, all of the same payload.
#[derive(Debug)]
pub(super) struct Burst {
    payload: Vec<u8>,
    frames: Vec<u8>,
    frame_length: usize,
}

impl Burst {
    pub(super) fn new(opcode: u8, size: usize, count: usize) -> Self {
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        let mut frames = Vec::new();
        for nth in 0..count {
            let key = (nth as u32).wrapping_mul(0x9e37_79b9).wrapping_add(0x5bd1_e995);
            append_masked(&mut frames, opcode, &payload, key.to_be_bytes());
        }
        Self { payload, frame_length: frames.len() / count, frames }
    }

    /// Returns where the first frames of the burst lie, at most `count`, and how many they are.
    pub(super) fn first(&self, count: usize) -> (Range<usize>, usize) {
        let count = count.min(self.frames.len() / self.frame_length);
        (0..count * self.frame_length, count)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.frames[range]
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Appends a frame as a client sends it.
pub(super) fn append_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], key: [u8; 4]) {
    out.push(0x80 | opcode);
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
    /// How much of the message has come.
    offset: usize,
}

impl Reader {
    /// Reads what has come, and returns how many messages it completes.
    pub(super) fn read(&mut self, mut bytes: &[u8], payload: &[u8]) -> Result<u64, Failure> {
        let mut messages = 0;
        while !bytes.is_empty() {
            if self.left == 0 && !self.read_head(&mut bytes)? {
                break;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            bytes = rest;
            self.left -= piece.len();
            if self.is_data() {
                let end = self.offset + piece.len();
                if payload.get(self.offset..end) != Some(piece) {
                    return Err("the server sent what was not sent to it".into());
                }
                self.offset = end;
            }
            if self.left == 0 {
                messages += self.end_frame(payload)?;
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
            return Ok(true);
        }
        Ok(false)
    }

    fn is_data(&self) -> bool {
        self.head.first().is_some_and(|first| first & 0x8 == 0)
    }

    /// Returns 1 if the frame was the last of its message.
    fn end_frame(&mut self, payload: &[u8]) -> Result<u64, Failure> {
        let first = self.head.first().copied().unwrap_or_default();
        let data = self.is_data();
        self.head.clear();
        if first & 0xf == CLOSE {
            return Err("the server closed".into());
        }
        if !data || first & 0x80 == 0 {
            return Ok(0);
        }
        if self.offset != payload.len() {
            return Err("the server cut a message short".into());
        }
        self.offset = 0;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let burst = Burst::new(BINARY, 300, 1);
        let mut bytes = sent(burst.payload(), &[300]);
        bytes.extend([0x89, 2, 7, 7]);
        bytes.extend(sent(burst.payload(), &[100, 0, 200]));
        for step in [1, 2, 3, 7, 301, bytes.len()] {
            let mut reader = Reader::default();
            let read = |piece| reader.read(piece, burst.payload()).unwrap();
            assert_eq!(bytes.chunks(step).map(read).sum::<u64>(), 2, "in steps of {step}");
        }
    }

    #[test]
    fn another_payload_is_noticed() {
        let burst = Burst::new(BINARY, 5, 1);
        for wrong in [&b"abcdx"[..], b"abcd", b"abcdef"] {
            let bytes = sent(wrong, &[wrong.len()]);
            assert!(Reader::default().read(&bytes, burst.payload()).is_err());
        }
    }

    #[test]
    fn a_masked_frame_unmasks_to_its_payload() {
        let burst = Burst::new(TEXT, 70_000, 2);
        let (range, count) = burst.first(9);
        assert_eq!((range.len(), count), (2 * (14 + 70_000), 2));
        let second = burst.bytes(70_014..140_028);
        assert_eq!(second[..10], [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        let unmasked: Vec<u8> = second[14..]
            .iter()
            .zip(second[10..14].iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        assert_eq!(unmasked, burst.payload());
    }
}
