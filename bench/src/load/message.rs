//! The message that is sent over and over: its opcode, its payload, and the payload as it goes over the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zlib_rs::{Deflate, DeflateFlush};

use super::Failure;

pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;

/// What messages are made of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// Letters, as a binary message.
    Binary,
    /// JSON as a text message, under permessage-deflate without context takeover.
    Deflated,
    /// Letters, as a text message.
    Text,
}

impl Data {
    pub(super) fn opcode(self) -> u8 {
        if self == Self::Binary { BINARY } else { TEXT }
    }

    /// Returns a payload of so many bytes.
    pub(super) fn payload(self, size: usize) -> Vec<u8> {
        match self {
            Self::Binary | Self::Text => (b'a'..=b'z').cycle().take(size).collect(),
            Self::Deflated => json(size),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Binary => "binary",
            Self::Deflated => "deflated",
            Self::Text => "text",
        })
    }
}

impl FromStr for Data {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "binary" => Ok(Self::Binary),
            "deflated" => Ok(Self::Deflated),
            "text" => Ok(Self::Text),
            _ => Err("binary, deflated or text".to_owned()),
        }
    }
}

/// Compresses a payload as RFC 7692 section 7.2.1 says.
pub(super) fn compress(payload: &[u8]) -> Result<Vec<u8>, Failure> {
    // Stored blocks, the worst that can happen, add five bytes in 16 KiB.
    let mut out = vec![0; payload.len() + payload.len() / 1_024 + 64];
    let mut deflate = Deflate::new(LEVEL, false, WINDOW_BITS);
    deflate.compress(payload, &mut out, DeflateFlush::SyncFlush).map_err(|error| error.as_str())?;
    out.truncate(usize::try_from(deflate.total_out())?);
    if !out.ends_with(&TAIL) {
        return Err("the compressed message does not end as it should".into());
    }
    out.truncate(out.len() - TAIL.len());
    Ok(out)
}

/// Returns JSON as applications send it: the same keys over and over, with values that differ. Cut off at `size`.
fn json(size: usize) -> Vec<u8> {
    let mut random = Random(1);
    let mut text = String::from("{\"type\":\"orders\",\"items\":[");
    while text.len() < size {
        let id = random.below(1_000_000);
        let side = SIDES[random.below(SIDES.len())];
        let symbol = SYMBOLS[random.below(SYMBOLS.len())];
        let (whole, cents) = (random.below(900) + 100, random.below(100));
        let amount = random.below(5_000);
        let time = 1_700_000_000_000 + random.below(99_999_999);
        text += &format!(
            "{{\"id\":{id},\"symbol\":\"{symbol}\",\"side\":\"{side}\",\"price\":{whole}.{cents:02},\
             \"amount\":{amount},\"time\":{time}}},"
        );
    }
    text.truncate(size);
    text.into_bytes()
}

/// The same numbers in every run (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// What every compressed message ends with, and what is not sent of it.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
pub(super) const WINDOW_BITS: u8 = 15;
const LEVEL: i32 = 6;
const SIDES: [&str; 2] = ["buy", "sell"];
const SYMBOLS: [&str; 6] = ["ABCD-EUR", "WXYZ-EUR", "KLMN-USD", "QRST-GBP", "EFGH-JPY", "OPQR-CHF"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_length_asked_for_and_compresses_as_json_does() {
        let payload = Data::Deflated.payload(1_024);
        assert_eq!(payload.len(), 1_024);
        let ratio = compress(&payload).unwrap().len() as f64 / 1_024.0;
        assert!((0.35..0.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn even_what_does_not_compress_fits() {
        let mut random = Random(7);
        let noise: Vec<u8> = (0..100_000).map(|_| random.below(256) as u8).collect();
        assert!(compress(&noise).unwrap().len() > 100_000);
    }
}
