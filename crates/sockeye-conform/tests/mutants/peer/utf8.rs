//! UTF-8 checked byte by byte as it comes (RFC 3629), with the faults that validators have.

use crate::fault::Fault;

/// A text that is not all there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    fault: Option<Fault>,
    /// Continuation bytes that the character still lacks, and the range of the next one.
    missing: u8,
    range: (u8, u8),
    /// The code point as far as it is there.
    point: u32,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Utf8 {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// Takes in the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let mut rest = bytes;
        loop {
            if self.missing == 0 {
                let ascii = rest.iter().take_while(|byte| byte.is_ascii()).count();
                rest = &rest[ascii..];
            }
            let Some((byte, behind)) = rest.split_first() else { return Ok(()) };
            self.take(*byte)?;
            rest = behind;
        }
    }

    /// Takes in the end of the text.
    pub(crate) fn end(&self) -> Result<(), NotUtf8> {
        match self.missing {
            0 => Ok(()),
            _ if self.fault == Some(Fault::Utf8CutAtEndAccepted) => Ok(()),
            _ => Err(NotUtf8),
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), NotUtf8> {
        if self.missing == 0 {
            return self.take_lead(byte);
        }
        if !(self.range.0..=self.range.1).contains(&byte) {
            if self.fault == Some(Fault::Utf8InterruptedAccepted) {
                self.missing = 0;
                return self.take(byte);
            }
            return Err(NotUtf8);
        }
        self.missing -= 1;
        self.range = CONTINUATION;
        self.point = self.point << 6 | u32::from(byte & 0x3f);
        let ended = self.missing == 0;
        match self.fault {
            Some(Fault::Utf8NonCharactersRefused) if ended && self.point & 0xfffe == 0xfffe => {
                Err(NotUtf8)
            }
            Some(Fault::Utf8AstralRefused) if ended && self.point > 0xffff => Err(NotUtf8),
            Some(Fault::Utf8SpecialsRefused) if ended && self.point >> 4 == 0xfff => Err(NotUtf8),
            _ => Ok(()),
        }
    }

    fn take_lead(&mut self, byte: u8) -> Result<(), NotUtf8> {
        let has = |fault| self.fault == Some(fault);
        let low = |strict| if has(Fault::Utf8OverlongAccepted) { 0x80 } else { strict };
        let high = |fault, strict| if has(fault) { 0xbf } else { strict };
        let (missing, range) = match byte {
            0..=0x7f => return Ok(()),
            0xc0 | 0xc1 if has(Fault::Utf8OverlongAccepted) => (1, CONTINUATION),
            0xc2..=0xdf => (1, CONTINUATION),
            0xe0 => (2, (low(0xa0), 0xbf)),
            0xed => (2, (0x80, high(Fault::Utf8SurrogatesAccepted, 0x9f))),
            0xe1..=0xef => (2, CONTINUATION),
            0xf0 => (3, (low(0x90), 0xbf)),
            0xf1..=0xf3 => (3, CONTINUATION),
            0xf4 => (3, (0x80, high(Fault::Utf8BeyondLastAccepted, 0x8f))),
            0xf5..=0xf7 if has(Fault::Utf8BeyondLastAccepted) => (3, CONTINUATION),
            0xf8..=0xfb if has(Fault::Utf8LongFormsAccepted) => (4, CONTINUATION),
            0xfc..=0xfd if has(Fault::Utf8LongFormsAccepted) => (5, CONTINUATION),
            0xfe..=0xff if has(Fault::Utf8FeFfAccepted) => return Ok(()),
            0x80..=0xbf if has(Fault::Utf8LoneContinuationAccepted) => return Ok(()),
            _ => return Err(NotUtf8),
        };
        (self.missing, self.range) = (missing, range);
        self.point = u32::from(byte) & (0x3f >> missing);
        Ok(())
    }

    /// Tells whether the last character lacks bytes.
    pub(crate) fn is_inside_character(&self) -> bool {
        self.missing > 0
    }
}

const CONTINUATION: (u8, u8) = (0x80, 0xbf);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(bytes: &[u8], step: usize) -> bool {
        let mut utf8 = Utf8::default();
        bytes.chunks(step).all(|part| utf8.push(part).is_ok()) && utf8.end().is_ok()
    }

    #[test]
    fn says_what_the_standard_library_says_of_all_short_sequences() {
        let tails: [&[u8]; 4] = [b"", b"\x80", b"\x80\xbf", b"a"];
        for first in 0x7f..=u8::MAX {
            for second in 0x7f..=u8::MAX {
                for tail in tails {
                    let bytes = [&[first, second], tail].concat();
                    let valid = std::str::from_utf8(&bytes).is_ok();
                    assert_eq!(is_valid(&bytes, 9), valid, "{bytes:x?}");
                    assert_eq!(is_valid(&bytes, 1), valid, "{bytes:x?}");
                }
            }
        }
    }
}
