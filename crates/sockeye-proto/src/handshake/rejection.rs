//! Refusals.
use super::HandshakeMisuse;
use alloc::{string::String, vec::Vec};
/// The HTTP answer that refuses a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
}
impl Rejection {
    /// Refuses with a status from 300 to 599 and a plain text; other statuses become 500.
    pub fn new(_status: u16, _text: impl Into<String>) -> Self {
        todo!()
    }
    /// Adds a header.
    pub fn header(self, _name: &str, _value: impl AsRef<[u8]>) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
    /// Sets another body.
    pub fn body(
        self,
        _content_type: &str,
        _body: impl Into<Vec<u8>>,
    ) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }
    /// A stable label for logs and metrics, such as `origin`.
    pub fn rule(&self) -> &'static str {
        todo!()
    }
    /// The body.
    pub fn text(&self) -> &[u8] {
        todo!()
    }
    /// All headers that `write` sends.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        core::iter::empty()
    }
    /// Appends the whole response.
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}
impl From<HandshakeMisuse> for Rejection {
    fn from(_: HandshakeMisuse) -> Self {
        todo!()
    }
}
