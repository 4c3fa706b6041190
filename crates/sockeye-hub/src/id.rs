//! Ids of messages, and where a subscriber wants to go on.
//!
//! Owns the text form `<epoch>-<seq>`. One sequence numbers all messages of a hub; the epoch names
//! the hub's life, since a restart in memory begins to count anew.

use std::fmt;
use std::str::FromStr;

/// The highest sequence number: JavaScript holds every whole number up to it.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// Epochs there can be: ten digits of base 36, so that an id has 27 bytes at most.
const EPOCHS: u64 = 36_u64.pow(10);

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The name of one life of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Makes an epoch of random bits. They must differ from start to start: a cursor of an earlier
    /// life is known by its epoch alone.
    pub const fn from_random(bits: u64) -> Self {
        Self(bits % EPOCHS)
    }
}

/// The id of a message, which is also a cursor: everything up to it has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// The life of the hub that gave it.
    pub epoch: Epoch,
    /// The number of the message among all of that life, from 1; 0 stands before the first.
    pub seq: u64,
}

/// A text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Since {
    /// After the message of this id.
    After(Id),
    /// With what is published from now on.
    Now,
    /// With the oldest message that is still kept.
    Oldest,
    /// The subscriber named a place, but not so that it can be read. It is told of a gap.
    Unreadable,
}

impl Since {
    /// Reads what a subscriber gave as its cursor. Never fails: what can't be read is
    /// [`Since::Unreadable`], so that a gap is told and nothing passed over in silence.
    pub fn parse(cursor: &str) -> Self {
        cursor.parse().map_or(Self::Unreadable, Self::After)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut text = [b'0'; 10];
        let mut from = text.len();
        for (at, place) in text.iter_mut().enumerate().rev() {
            *place = usize::try_from(rest % 36)
                .ok()
                .and_then(|d| DIGITS.get(d))
                .copied()
                .unwrap_or(b'0');
            rest /= 36;
            from = at;
            if rest == 0 {
                break;
            }
        }
        let digits = text.get(from..).and_then(|digits| std::str::from_utf8(digits).ok());
        f.write_str(digits.unwrap_or_default())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    /// Reads the one text that an id has: no sign, no leading zero, no capital.
    ///
    /// # Errors
    /// [`InvalidId`] for every other text.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (epoch, seq) = text.split_once('-').ok_or(InvalidId)?;
        let id = Self { epoch: Epoch(number(epoch, 36)?), seq: number(seq, 10)? };
        if id.epoch.0 < EPOCHS && id.seq <= MAX_SEQ { Ok(id) } else { Err(InvalidId) }
    }
}

/// Reads a number that is written in the one way that [`fmt::Display`] writes it.
fn number(text: &str, radix: u32) -> Result<u64, InvalidId> {
    let digit = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if leading_zero || !text.bytes().all(digit) {
        return Err(InvalidId);
    }
    u64::from_str_radix(text, radix).map_err(|_| InvalidId)
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is `<epoch>-<seq>`")
    }
}

impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_reads_back_from_its_text() {
        for bits in [0, 1, 35, 36, EPOCHS - 1, EPOCHS, u64::MAX, 0x1234_5678_9abc_def0] {
            for seq in [0, 1, 1_000_000, MAX_SEQ] {
                let id = Id { epoch: Epoch::from_random(bits), seq };
                let text = id.to_string();
                assert!(text.len() <= 27, "{text}");
                assert_eq!(text.parse(), Ok(id), "{text}");
            }
        }
        assert_eq!(Id { epoch: Epoch(36 * 36 + 35), seq: 7 }.to_string(), "10z-7");
    }

    #[test]
    fn text_that_is_no_id_is_refused_and_as_a_cursor_unreadable() {
        for text in [
            "",
            "-",
            "7",
            "a-",
            "-7",
            "a-b",
            "A-7",
            "a-07",
            "0a-7",
            "a-+7",
            "a--7",
            "a- 7",
            "a-7\n",
            "a-9007199254740992",
            "a-99999999999999999999999",
            "zzzzzzzzzzz-1",
            "a_b-1",
            "é-1",
        ] {
            assert_eq!(text.parse::<Id>(), Err(InvalidId), "{text:?}");
            assert_eq!(Since::parse(text), Since::Unreadable);
        }
        assert_eq!(Since::parse("a-7"), Since::After(Id { epoch: Epoch(10), seq: 7 }));
    }
}
