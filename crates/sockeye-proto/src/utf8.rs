//! UTF-8 as it streams (RFC 6455 section 8.1): every byte is checked once, when it arrives, and a
//! bad byte is found at once.
//!
//! This module owns the one conversion from bytes to `str` that is not checked again: a
//! [`MessageBuf`] hands out text only when its validator has seen every byte of it.
#![allow(unsafe_code)] // The conversion in `checked_str`.

mod bytes;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::mask::{self, Key};
use crate::memory::NoMemory;

pub use bytes::Utf8Bytes;

/// Text that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8 {
    /// Bytes before the sequence that is wrong, counted from the start of the text.
    pub valid_up_to: u64,
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not UTF-8 after byte {}", self.valid_up_to)
    }
}

impl core::error::Error for InvalidUtf8 {}

/// Checks text that arrives in pieces, cut anywhere.
///
/// ```
/// use sockeye_proto::Validator;
///
/// let mut validator = Validator::default();
/// validator.push(&[0xe2, 0x82])?; // the first two bytes of a euro sign
/// assert!(!validator.is_complete());
/// validator.push(&[0xac])?;
/// assert!(validator.is_complete());
/// # Ok::<(), sockeye_proto::InvalidUtf8>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Validator {
    check: TextCheck,
    /// Bytes of complete code points so far.
    valid: u64,
}

impl Validator {
    /// Checks the next bytes of the text.
    ///
    /// # Errors
    /// The peer's fault: the first byte that no valid text continues with. Fails at that byte, not
    /// at the end of the code point, and stays of no use after.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        match self.check.push(bytes) {
            Ok(valid) => self.valid += valid as u64,
            Err(valid) => return Err(InvalidUtf8 { valid_up_to: self.valid + valid as u64 }),
        }
        Ok(())
    }

    /// Whether the text may end here: no code point is unfinished.
    pub fn is_complete(&self) -> bool {
        self.check.is_complete()
    }
}

/// A check of text in pieces that keeps the code point it stands in, and not how far it came: five
/// bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextCheck {
    /// The bytes of a code point that is not complete: the first `held` of them.
    pending: [u8; 4],
    held: u8,
}

impl TextCheck {
    /// Checks the next bytes of the text and returns how many bytes of complete code points came
    /// of them and of those that were pending.
    ///
    /// # Errors
    /// The peer's or the caller's fault, as [`Validator::push`] finds it; tells how many bytes were
    /// complete before.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<usize, usize> {
        let mut valid = 0;
        while self.held > 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(valid);
            };
            valid += self.complete(*first).ok_or(valid)?;
            bytes = rest;
        }
        let (whole, tail) = bytes.split_at(bytes.len() - unfinished_tail(bytes));
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(valid + valid_up_to(whole));
        }
        valid += whole.len();
        for byte in tail {
            valid += self.complete(*byte).ok_or(valid)?;
        }
        Ok(valid)
    }

    /// Whether the text may end here: no code point is unfinished.
    pub(crate) fn is_complete(self) -> bool {
        self.held == 0
    }

    /// Adds one byte to the pending code point. Returns the length of the code point if that
    /// completes it, else zero, and `None` if no code point goes on so.
    fn complete(&mut self, byte: u8) -> Option<usize> {
        let end = usize::from(self.held);
        *self.pending.get_mut(end)? = byte;
        let sequence = self.pending.get(..=end)?;
        match core::str::from_utf8(sequence) {
            Ok(_) => {
                self.held = 0;
                Some(sequence.len())
            }
            Err(error) if error.error_len().is_none() => {
                self.held += 1;
                Some(0)
            }
            Err(_) => None,
        }
    }
}

/// Returns how many bytes come before the first that is wrong.
fn valid_up_to(bytes: &[u8]) -> usize {
    core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
}

/// Returns how many bytes at the end belong to a code point that goes on after them. They may still
/// be wrong; their lead byte only says that more must follow.
fn unfinished_tail(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let needs = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if needs > back + 1 { back + 1 } else { 0 };
    }
    0
}

/// A message being put together from its frames, with its UTF-8 checked along the way.
#[derive(Debug, Default)]
pub(crate) struct MessageBuf {
    bytes: Vec<u8>,
    /// Invariant: the validator saw exactly the first `checked` bytes, and refused none of them.
    checked: usize,
    validator: Validator,
    /// Part of the message went by and is not in `bytes`, so they may start inside a code point.
    in_pieces: bool,
}

impl MessageBuf {
    #[cfg(feature = "deflate")]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends `data`, unmasked, growing with what arrived and never with what was announced alone.
    /// `announced` is what the message comes to as far as is known, `longest` what it may; the buffer
    /// does not outgrow that.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(crate) fn append(
        &mut self,
        data: &[u8],
        key: Option<Key>,
        announced: u64,
        longest: usize,
    ) -> Result<(), NoMemory> {
        self.reserve(data.len(), usize::try_from(announced).unwrap_or(usize::MAX), longest)?;
        match key {
            Some(key) => mask::append(&mut self.bytes, data, key),
            None => self.bytes.extend_from_slice(data),
        }
        Ok(())
    }

    /// Makes room for `more` bytes: twice the room each time, so that growing costs no more than the
    /// bytes do, or four times what has arrived if so much is announced, so that a long frame is seldom
    /// moved; but no more than `longest` unless it must.
    fn reserve(&mut self, more: usize, announced: usize, longest: usize) -> Result<(), NoMemory> {
        let (len, room) = (self.bytes.len(), self.bytes.capacity());
        if more <= room - len {
            return Ok(());
        }
        let ahead = (len + more).saturating_mul(4).min(announced);
        let whole = room.saturating_mul(2).max(ahead).min(longest);
        let room = more.max(whole.saturating_sub(len));
        self.bytes.try_reserve_exact(room).map_err(|_| NoMemory(room))
    }

    /// Lets `fill` append to the bytes. It must leave those that are there as they are.
    #[cfg(feature = "deflate")]
    pub(crate) fn append_with<T>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.bytes.len();
        let result = fill(&mut self.bytes);
        assert!(self.bytes.len() >= before, "a decoder only appends");
        result
    }

    /// Checks what was appended since the last check.
    pub(crate) fn check(&mut self) -> Result<(), InvalidUtf8> {
        let new = self.bytes.get(self.checked..).unwrap_or_default();
        self.validator.push(new)?;
        self.checked = self.bytes.len();
        Ok(())
    }

    /// Checks text that passes by without being kept.
    pub(crate) fn check_passing(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        self.in_pieces = true;
        self.validator.push(bytes)
    }

    /// Whether the text so far may end here.
    pub(crate) fn is_complete_text(&self) -> bool {
        self.checked == self.bytes.len() && self.validator.is_complete()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hands the gathered text out, if all of it was checked and it ends with a whole code point.
    pub(crate) fn text(&mut self) -> Option<Text<'_>> {
        let whole = !self.in_pieces && self.is_complete_text();
        whole.then_some(Text(TextRepr::Gathered(&mut self.bytes)))
    }

    /// Hands the gathered bytes out as they are.
    pub(crate) fn binary(&mut self) -> Binary<'_> {
        Binary(BinaryRepr::Gathered(&mut self.bytes))
    }

    /// Drops the bytes but remembers where in the text the validator stands: a piece was handed out.
    /// Only pieces may follow, until [`reset`](Self::reset).
    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
        self.checked = 0;
        self.in_pieces = true;
    }

    /// Drops everything, memory included: an idle connection holds no buffer.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A text message: always valid UTF-8, borrowed where it stands.
pub struct Text<'a>(TextRepr<'a>);

enum TextRepr<'a> {
    InPlace(&'a str),
    /// Invariant: valid UTF-8.
    Gathered(&'a mut Vec<u8>),
}

impl<'a> Text<'a> {
    pub(crate) fn in_place(text: &'a str) -> Self {
        Self(TextRepr::InPlace(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            TextRepr::InPlace(text) => text,
            TextRepr::Gathered(bytes) => checked_str(bytes),
        }
    }

    /// Returns the text as a string of its own; a message that was put together from fragments is
    /// moved, not copied.
    pub fn into_string(self) -> String {
        match self.0 {
            TextRepr::InPlace(text) => text.into(),
            TextRepr::Gathered(bytes) => {
                // SAFETY: the variant's invariant.
                unsafe { String::from_utf8_unchecked(core::mem::take(bytes)) }
            }
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// A binary message, borrowed where it stands.
pub struct Binary<'a>(BinaryRepr<'a>);

enum BinaryRepr<'a> {
    InPlace(&'a [u8]),
    Gathered(&'a mut Vec<u8>),
}

impl<'a> Binary<'a> {
    pub(crate) fn in_place(bytes: &'a [u8]) -> Self {
        Self(BinaryRepr::InPlace(bytes))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            BinaryRepr::InPlace(bytes) => bytes,
            BinaryRepr::Gathered(bytes) => bytes,
        }
    }

    /// Returns the bytes as a vector of its own; a message that was put together from fragments is
    /// moved, not copied.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            BinaryRepr::InPlace(bytes) => bytes.into(),
            BinaryRepr::Gathered(bytes) => core::mem::take(bytes),
        }
    }
}

impl fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

/// Unmasks a whole text in place and checks it, in one pass when it is ASCII.
pub(crate) fn unmask_text(bytes: &mut [u8], key: Option<Key>) -> Result<&str, InvalidUtf8> {
    if key.is_some_and(|key| mask::apply_is_ascii(bytes, key)) {
        return Ok(checked_str(bytes));
    }
    let bytes: &[u8] = bytes;
    simdutf8::basic::from_utf8(bytes)
        .map_err(|_| InvalidUtf8 { valid_up_to: valid_up_to(bytes) as u64 })
}

/// Turns bytes that were checked into a string. Private to this module, whose callers vouch for it:
/// ASCII throughout, or the invariants of `TextRepr::Gathered` and `Utf8Bytes`.
fn checked_str(bytes: &[u8]) -> &str {
    debug_assert!(core::str::from_utf8(bytes).is_ok());
    // SAFETY: every caller has had all of the bytes checked.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(pieces: &[&[u8]]) -> Result<bool, u64> {
        let mut validator = Validator::default();
        for piece in pieces {
            validator.push(piece).map_err(|error| error.valid_up_to)?;
        }
        Ok(validator.is_complete())
    }

    // UTF-001
    #[test]
    fn impossible_and_overlong_sequences_are_refused() {
        for bad in
            [&[0xff][..], &[0x80], &[0xc0, 0xaf], &[0xe0, 0x80, 0xaf], &[0xf0, 0x80, 0x80, 0xaf]]
        {
            assert_eq!(feed(&[bad]), Err(0), "{bad:x?}");
        }
    }

    // UTF-002
    #[test]
    fn surrogates_alone_and_in_pairs_are_refused() {
        for second in 0xa0..=0xbf {
            for third in 0x80..=0xbf {
                assert_eq!(feed(&[&[0xed, second, third]]), Err(0));
            }
        }
        assert_eq!(feed(&[&[0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]]), Err(0));
    }

    // UTF-003
    #[test]
    fn code_points_beyond_the_last_are_refused() {
        assert_eq!(feed(&[&[0xf4, 0x90, 0x80, 0x80]]), Err(0));
        for lead in 0xf5..=0xff {
            assert_eq!(feed(&[&[lead]]), Err(0));
        }
    }

    // UTF-004
    #[test]
    fn a_sequence_cut_short_is_not_complete() {
        for whole in ["é", "€", "😀"] {
            for cut in 1..whole.len() {
                assert_eq!(feed(&[&whole.as_bytes()[..cut]]), Ok(false));
            }
            assert_eq!(feed(&[whole.as_bytes()]), Ok(true));
        }
    }

    // UTF-007
    #[test]
    fn the_bad_byte_itself_fails_and_not_the_one_before() {
        let good = "κόσμε".as_bytes();
        for (prefix, bad) in
            [(&[0xf4][..], 0x90), (&[0xed], 0xa0), (&[0xe0], 0x9f), (&[0xf0, 0x90], 0x20)]
        {
            let mut validator = Validator::default();
            for byte in good.iter().chain(prefix) {
                validator.push(&[*byte]).unwrap();
            }
            assert_eq!(validator.push(&[bad]).unwrap_err().valid_up_to, good.len() as u64);
        }
    }

    // UTF-008
    #[test]
    fn nul_the_last_code_point_and_non_characters_are_valid() {
        for point in
            ['\0', '\u{feff}', '\u{fffe}', '\u{ffff}', '\u{fdd0}', '\u{1fffe}', '\u{10ffff}']
        {
            let mut bytes = [0; 4];
            assert_eq!(feed(&[point.encode_utf8(&mut bytes).as_bytes()]), Ok(true));
        }
    }

    // UTF-012
    #[test]
    fn a_buffer_hands_out_text_only_when_every_byte_was_checked() {
        let mut buffer = MessageBuf::default();
        buffer.append("é".as_bytes(), None, 2, 100).unwrap();
        assert!(buffer.text().is_none(), "not checked yet");
        buffer.check().unwrap();
        assert_eq!(buffer.text().unwrap().as_str(), "é");
        buffer.append(&[0xe2, 0x82], None, 4, 100).unwrap();
        buffer.check().unwrap();
        assert!(buffer.text().is_none(), "the euro sign is not complete");
        buffer.append(&[0xac], None, 5, 100).unwrap();
        buffer.check().unwrap();
        assert_eq!(buffer.text().unwrap().into_string(), "é€");
        assert!(buffer.is_empty(), "moved out, not copied");
    }

    /// Text with a few bytes changed: nearly valid, so that errors sit anywhere.
    fn near_valid() -> impl Strategy<Value = Vec<u8>> {
        let text = proptest::collection::vec(any::<char>(), 0..120)
            .prop_map(|chars| chars.into_iter().collect::<String>().into_bytes());
        (text, proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3))
            .prop_map(|(mut bytes, changes)| {
                for (at, value) in changes {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = value;
                    }
                }
                bytes
            })
    }

    proptest! {
        // UTF-010
        #[test]
        fn any_split_gives_the_verdict_and_position_of_the_standard_library(
            bytes in prop_oneof![near_valid(), proptest::collection::vec(any::<u8>(), 0..200)],
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let expected = match core::str::from_utf8(&bytes) {
                Ok(_) => Ok(true),
                Err(error) if error.error_len().is_none() => Ok(false),
                Err(error) => Err(error.valid_up_to() as u64),
            };
            prop_assert_eq!(feed(&pieces), expected);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(feed(&single), expected);
        }

        #[test]
        fn unmasking_text_in_place_gives_the_verdict_of_the_standard_library(
            bytes in prop_oneof![near_valid(), "[ -~]{0,200}".prop_map(String::into_bytes)],
            key in any::<[u8; 4]>(),
        ) {
            let mut masked = bytes.clone();
            mask::apply(&mut masked, key);
            let text = unmask_text(&mut masked, Some(key));
            let expected = core::str::from_utf8(&bytes);
            prop_assert_eq!(text.map_err(|e| e.valid_up_to), expected.map_err(|e| e.valid_up_to() as u64));
        }
    }
}
