//! The syntax of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).
use alloc::borrow::Cow;
use alloc::vec::Vec;
/// One extension as offered or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its parameters in order; a value without its quotes.
    pub params: Vec<(&'a str, Option<Cow<'a, str>>)>,
}
/// The field does not follow the syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionSyntax;
/// Parses one field value.
pub fn parse_extensions(_value: &[u8]) -> Result<Vec<Extension<'_>>, ExtensionSyntax> {
    todo!()
}
