//! The server's answer, as the client reads it.
#[cfg(feature = "deflate")]
use crate::deflate::Params;
use alloc::{boxed::Box, string::String, vec::Vec};
/// Waits for the answer.
#[derive(Clone, Debug)]
pub struct ClientHandshake {}
impl ClientHandshake {
    /// Looks at what is new in `received`, all bytes so far.
    pub fn read(&mut self, _received: &[u8]) -> Result<Option<Established>, ClientError> {
        todo!()
    }
}
/// An open WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Established {
    /// Bytes of `received` up to the first frame.
    pub head_len: usize,
    /// The server's choice.
    pub subprotocol: Option<String>,
    /// What was agreed.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Params>,
    /// All headers of the 101.
    pub headers: Vec<(String, Vec<u8>)>,
}
/// Why the server's answer opens no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// Another status than 101.
    Refused(Box<Refusal>),
}
impl core::fmt::Display for ClientError {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        todo!()
    }
}
impl core::error::Error for ClientError {}
/// The server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body so far, at most 64 KiB; the rest is dropped.
    pub body: Vec<u8>,
}
impl Refusal {
    /// Adds bytes of the body that arrived later.
    pub fn receive(&mut self, _bytes: &[u8]) {
        todo!()
    }
    /// Whether nothing more of the body is needed.
    pub fn is_complete(&self) -> bool {
        todo!()
    }
    /// How the body ends.
    pub fn body_length(&self) -> BodyLength {
        todo!()
    }
    /// The first header of that name.
    pub fn header(&self, _name: &str) -> Option<&[u8]> {
        todo!()
    }
}
/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// After this many bytes.
    Known(u64),
    /// With the connection.
    UntilEof,
    /// In chunks.
    Chunked,
}
