//! Reading a head.
use crate::Limits;
/// Reads a head.
#[derive(Clone, Debug)]
pub struct HeadReader;
/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// TLS on a plain port.
    Tls,
}
impl HeadReader {
    /// Reads a request's head.
    pub fn request() -> Self {
        todo!()
    }
    /// Reads a response's head.
    pub fn response() -> Self {
        todo!()
    }
    /// Looks at what is new in `received`, which holds all bytes so far; returns the head's length once complete.
    pub fn read(&mut self, _received: &[u8], _limits: &Limits) -> Result<Option<usize>, HeadError> {
        todo!()
    }
}
impl core::fmt::Display for HeadError {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        todo!()
    }
}
impl core::error::Error for HeadError {}
impl From<HeadError> for super::Rejection {
    fn from(_: HeadError) -> Self {
        todo!()
    }
}
