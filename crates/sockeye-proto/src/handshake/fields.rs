//! Header fields: what names and values may hold, comma-separated lists, and a cursor that reads
//! field values in one pass.
//!
//! Knows no field's meaning.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::HandshakeMisuse;

/// Whether a token may hold the byte (RFC 9110 section 5.6.2).
#[inline]
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES.get(usize::from(byte / 64)).is_some_and(|set| set >> (byte % 64) & 1 == 1)
}

/// Whether `text` is a token: not empty, and of token bytes only.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a field value may hold the byte: anything but controls, of which a tab is not one.
#[inline]
pub(super) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7E | 0x80..=0xFF)
}

/// Checks a header that a caller wants to send.
///
/// # Errors
/// The caller's faults: a name that is no token, a control character in the value.
pub(super) fn check_header(name: &str, value: &[u8]) -> Result<(), HandshakeMisuse> {
    if !is_token(name.as_bytes()) {
        Err(HandshakeMisuse::HeaderName(name.into()))
    } else if !value.iter().copied().all(is_value_byte) {
        Err(HandshakeMisuse::HeaderValue(name.into()))
    } else {
        Ok(())
    }
}

/// Whether the field belongs to the handshake or to the framing of HTTP messages, so that no caller
/// sets it.
pub(super) fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["connection", "content-length", "host", "trailer", "transfer-encoding", "upgrade"];
    const PREFIX: &str = "sec-websocket-";
    NAMES.iter().any(|own| name.eq_ignore_ascii_case(own))
        || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Returns bytes that are ASCII as text.
pub(super) fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Cuts spaces and tabs off both ends.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Returns the elements of a comma-separated list, without the empty ones.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Whether one element of the list is `token`, in any case.
pub(super) fn has_token(value: &[u8], token: &str) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// Appends one header line.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The bytes of tokens as a set, a bit for each: names are looked at byte by byte.
const TOKEN_BYTES: [u64; 4] = [token_bytes(0), token_bytes(1), 0, 0];

/// Returns the word of the set that holds the bytes from 64 times `word` on.
const fn token_bytes(word: u8) -> u64 {
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~0123456789\
        ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut set = 0;
    while let [byte, others @ ..] = rest {
        if *byte / 64 == word {
            set |= 1 << (*byte % 64);
        }
        rest = others;
    }
    set
}

/// A place in a field value. It only moves forward, so reading a value takes one pass.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Bytes looked at, for the tests that prove the pass linear.
    #[cfg(test)]
    pub(super) steps: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            #[cfg(test)]
            steps: 0,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over `byte` if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.advance(1);
        } else {
            self.count(1);
        }
        found
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Reads a token; `None` where none starts.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        let bytes = self.take_while(is_token_byte);
        core::str::from_utf8(bytes).ok().filter(|token| !token.is_empty())
    }

    /// Reads a quoted string whose opening quote was eaten, and takes its escapes away. `None` if
    /// it never ends or holds what is not ASCII text.
    pub(super) fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let mut text = Cow::Borrowed("");
        loop {
            let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\'));
            let plain = core::str::from_utf8(plain).ok().filter(|p| p.is_ascii())?;
            if text.is_empty() {
                text = Cow::Borrowed(plain);
            } else {
                text.to_mut().push_str(plain);
            }
            match self.next()? {
                b'"' => return Some(text),
                _ => {
                    let escaped = self.next().filter(u8::is_ascii)?;
                    let owned: &mut String = text.to_mut();
                    owned.push(char::from(escaped));
                }
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.rest.first().copied();
        self.advance(1);
        byte
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| wanted(**byte)).count();
        let (taken, _) = self.rest.split_at_checked(length).unwrap_or_default();
        self.advance(length);
        self.count(1);
        taken
    }

    fn advance(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.count(length);
    }

    #[cfg(test)]
    fn count(&mut self, length: usize) {
        self.steps += length;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests count")]
    fn count(&self, _length: usize) {}
}
