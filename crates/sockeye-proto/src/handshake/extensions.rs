//! The syntax of `Sec-WebSocket-Extensions` and `Sec-WebSocket-Protocol` (RFC 6455 sections 9.1
//! and 11.3.4), read in one pass.
//!
//! Knows no extension; what permessage-deflate's parameters mean is with that module.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::fields::{Cursor, is_token};

/// One extension as it was offered or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its parameters in order, at most [`MAX_PARAMS`](Self::MAX_PARAMS); a value comes without
    /// quotes, and is empty where nothing follows the equals sign.
    pub params: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

impl Extension<'_> {
    /// The most parameters kept of one extension. permessage-deflate has four and allows none
    /// twice, so one that has more is declined whatever they are.
    pub const MAX_PARAMS: usize = 8;
}

/// The field does not follow the syntax of an extension list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionSyntax;

/// Parses one field value. The first 16 extensions are kept; the rest only has to follow the
/// syntax. Empty list elements are skipped.
///
/// # Errors
/// The peer's fault: [`ExtensionSyntax`].
pub fn parse_extensions(value: &[u8]) -> Result<Vec<Extension<'_>>, ExtensionSyntax> {
    read_extensions(&mut Cursor::new(value)).ok_or(ExtensionSyntax)
}

/// Parses the subprotocols that one field value lists, and appends them.
///
/// `None` for an empty element, one that is no token, one that is there already, or more than 64.
pub(super) fn parse_subprotocols(value: &[u8], names: &mut Vec<String>) -> Option<()> {
    read_subprotocols(&mut Cursor::new(value), names)
}

fn read_extensions<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<Extension<'a>>> {
    let mut extensions = Vec::new();
    loop {
        cursor.skip_spaces();
        if cursor.is_at_end() {
            return Some(extensions);
        }
        if cursor.eat(b',') {
            continue;
        }
        let extension = read_extension(cursor)?;
        if extensions.len() < MAX_EXTENSIONS {
            extensions.push(extension);
        }
        if !(cursor.is_at_end() || cursor.eat(b',')) {
            return None;
        }
    }
}

fn read_extension<'a>(cursor: &mut Cursor<'a>) -> Option<Extension<'a>> {
    let name = cursor.token()?;
    let mut params = Vec::new();
    loop {
        cursor.skip_spaces();
        if !cursor.eat(b';') {
            return Some(Extension { name, params });
        }
        cursor.skip_spaces();
        let param = cursor.token()?;
        cursor.skip_spaces();
        let value = match cursor.eat(b'=') {
            true => Some(read_value(cursor)?),
            false => None,
        };
        if params.len() < Extension::MAX_PARAMS {
            params.push((param, value));
        }
    }
}

fn read_value<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    cursor.skip_spaces();
    if cursor.eat(b'"') {
        let text = cursor.quoted()?;
        let valid = text.is_empty() || is_token(text.as_bytes());
        return valid.then_some(text);
    }
    Some(Cow::Borrowed(cursor.token().unwrap_or_default()))
}

fn read_subprotocols(cursor: &mut Cursor<'_>, names: &mut Vec<String>) -> Option<()> {
    loop {
        cursor.skip_spaces();
        let name = cursor.token()?;
        if names.len() == MAX_SUBPROTOCOLS || names.iter().any(|known| known == name) {
            return None;
        }
        names.push(name.into());
        cursor.skip_spaces();
        if cursor.is_at_end() {
            return Some(());
        }
        if !cursor.eat(b',') {
            return None;
        }
    }
}

impl fmt::Display for ExtensionSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed list of extensions")
    }
}

impl core::error::Error for ExtensionSyntax {}

/// The most extensions considered in one handshake; browsers offer one.
pub(super) const MAX_EXTENSIONS: usize = 16;

/// The most subprotocols in one handshake, so that the search for duplicates stays short.
pub(super) const MAX_SUBPROTOCOLS: usize = 64;

/// Returns how many bytes are looked at to read the value as either list.
#[cfg(test)]
pub(super) fn steps_of(value: &[u8]) -> usize {
    let mut extensions = Cursor::new(value);
    let _ = read_extensions(&mut extensions);
    let mut subprotocols = Cursor::new(value);
    let _ = read_subprotocols(&mut subprotocols, &mut Vec::new());
    extensions.steps.max(subprotocols.steps)
}
