//! permessage-deflate (RFC 7692): a message in, a message out.
//!
//! Each message is inflated as a stream of its own with the window as its dictionary, so that
//! final blocks and tails left on the wire leave nothing behind.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

use super::{Failure, LIMIT, inflate};
use crate::fault::Fault;

/// What binds one end's compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) forgets: bool,
    pub(crate) window_bits: u8,
}

impl Default for Direction {
    fn default() -> Self {
        Self { forgets: false, window_bits: 15 }
    }
}

/// Both directions' states.
pub(crate) struct Codec {
    fault: Option<Fault>,
    ours: Direction,
    theirs: Direction,
    deflate: Deflate,
    /// The last bytes that came in, as many as the window holds.
    window: Vec<u8>,
}

impl Codec {
    pub(crate) fn new(ours: Direction, theirs: Direction, fault: Option<Fault>) -> Self {
        let mut ours = ours;
        match fault {
            Some(Fault::DeflateContextKept) => ours.forgets = false,
            Some(Fault::DeflateWindowTooLarge) => ours.window_bits = 15,
            _ => {}
        }
        Self {
            fault,
            ours,
            theirs,
            deflate: Deflate::new(LEVEL, false, ours.window_bits.max(9)),
            window: Vec::new(),
        }
    }

    /// Returns the compressed form of a message; `None` where it has to stay as it is.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        // zlib has no window of 256 bytes.
        if self.ours.window_bits < 9 || self.fault == Some(Fault::DeflateNeverUsed) {
            return None;
        }
        if self.ours.forgets {
            self.deflate.reset();
        }
        let mut out = vec![0; payload.len() + payload.len() / 8 + 128];
        let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
        // With room for all of it one call does.
        self.deflate.compress(payload, &mut out, DeflateFlush::SyncFlush).ok()?;
        assert_eq!(self.deflate.total_in() - before_in, payload.len() as u64);
        out.truncate(usize::try_from(self.deflate.total_out() - before_out).ok()?);
        out.truncate(out.len() - TAIL.len());
        match self.fault {
            Some(Fault::DeflateCorruptSent) => out.iter_mut().for_each(|byte| *byte ^= 0x55),
            Some(Fault::DeflateLastBytesLost) => out.truncate(out.len() / 2),
            _ => {}
        }
        Some(out)
    }

    /// Inflates a message.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        if self.theirs.forgets || self.fault == Some(Fault::DeflateContextForgotten) {
            self.window.clear();
        }
        let mut inflated = self.try_inflate(&[payload, &TAIL, &LAST_BLOCK].concat());
        let tailed = payload.ends_with(&TAIL) && self.fault != Some(Fault::DeflateTailRefused);
        if inflated == Err(Failure::CORRUPT) && tailed {
            inflated = self.try_inflate(&[payload, &LAST_BLOCK].concat());
        }
        let message = match inflated {
            Err(Failure::CORRUPT) if self.fault == Some(Fault::DeflateCorruptAccepted) => {
                payload.to_vec()
            }
            inflated => inflated?,
        };
        self.window.extend_from_slice(&message[message.len().saturating_sub(WINDOW)..]);
        let size = 1 << self.theirs.window_bits;
        self.window.drain(..self.window.len().saturating_sub(size));
        Ok(message)
    }

    fn try_inflate(&self, mut input: &[u8]) -> Result<Vec<u8>, Failure> {
        let bits = self.theirs.window_bits;
        if bits < 15 && self.fault != Some(Fault::DeflateWindowUnchecked) {
            // zlib-rs keeps 32 KiB whatever it is told.
            return self.bounded(inflate::inflate(input, &self.window, 1 << bits));
        }
        let mut inflate = Inflate::new(false, bits);
        if !self.window.is_empty() {
            inflate.set_dictionary(&self.window).map_err(|_| Failure::CORRUPT)?;
        }
        let mut out = Vec::new();
        loop {
            let made = out.len();
            out.resize(made + STEP, 0);
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(input, &mut out[made..], InflateFlush::SyncFlush)
                .map_err(|_| Failure::CORRUPT)?;
            let used = inflate.total_in() - before_in;
            let new = inflate.total_out() - before_out;
            input = &input[usize::try_from(used).unwrap_or_default()..];
            out.truncate(made + usize::try_from(new).unwrap_or_default());
            if out.len() > LIMIT {
                return self.bounded(Err(Failure::TOO_BIG));
            }
            match status {
                Status::StreamEnd => return Ok(out),
                _ if used == 0 && new == 0 => return Err(Failure::CORRUPT),
                _ => {}
            }
        }
    }

    fn bounded(&self, inflated: Result<Vec<u8>, Failure>) -> Result<Vec<u8>, Failure> {
        match inflated {
            Err(Failure::TOO_BIG) if self.fault == Some(Fault::DeflateBombCut) => Ok(Vec::new()),
            inflated => inflated,
        }
    }
}

/// zlib's fastest.
const LEVEL: i32 = 1;

/// Bytes inflated at a time.
const STEP: usize = 64 << 10;

/// The largest window.
const WINDOW: usize = 32 << 10;

/// The end of an empty stored block, which stays off the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// An empty stored block that ends the stream: what comes before it is whole if it is reached.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(forgets: bool, window_bits: u8) -> Codec {
        let direction = Direction { forgets, window_bits };
        Codec::new(direction, direction, None)
    }

    #[test]
    fn messages_come_out_as_they_went_in_with_every_parameter() {
        for forgets in [false, true] {
            for bits in 9..=15 {
                let (mut one, mut other) = (codec(forgets, bits), codec(forgets, bits));
                for length in [0, 1, 300, 40_000, 70_000] {
                    let message: Vec<u8> =
                        (0_u32..length).map(|n| n.wrapping_mul(n).to_be_bytes()[2]).collect();
                    let packed = one.compress(&message).unwrap();
                    assert_eq!(other.inflate(&packed).unwrap(), message);
                }
            }
        }
    }

    #[test]
    fn corrupt_and_cut_messages_are_refused_and_final_blocks_are_not() {
        for bits in [9, 15] {
            refuses_corrupt_and_cut_messages(codec(false, bits));
        }
    }

    fn refuses_corrupt_and_cut_messages(mut codec: Codec) {
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        assert_eq!(codec.inflate(hello).unwrap(), b"Hello");
        assert_eq!(codec.inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), b"Hello");
        assert_eq!(codec.inflate(b"\xf2\x00\x11\x00\x00").unwrap(), b"Hello");
        let tail = [&hello[..], &TAIL].concat();
        assert_eq!(codec.inflate(&tail).unwrap(), b"Hello");
        assert_eq!(codec.inflate(&hello[..4]), Err(Failure::CORRUPT));
        assert_eq!(codec.inflate(b"\x07"), Err(Failure::CORRUPT));
    }
}
