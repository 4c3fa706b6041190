//! A message for many connections: framed once, and compressed once for each way of compressing.

use alloc::vec::Vec;

use bytes::Bytes;
#[cfg(feature = "deflate")]
use std::sync::OnceLock;

use crate::connection::{Connection, SendOptions};
#[cfg(feature = "deflate")]
use crate::deflate::{Context, Deflater, Pool};
use crate::error::Error;
use crate::frame::{Header, Opcode};
use crate::memory;
use crate::message::{Kind, MessageRef};
use crate::role::{Role, Server};

/// A message that a server sends to many connections.
///
/// Its frames are made when the first connection needs them and shared by reference count after:
/// one plain frame, and one compressed frame for each window size among the connections that keep
/// no context. A connection whose compressor keeps its context gets the plain frame, since its
/// compressed form would be its own.
#[derive(Debug)]
pub struct PreparedMessage {
    kind: Kind,
    payload_at: usize,
    plain: Bytes,
    #[cfg(feature = "deflate")]
    deflated: Deflated,
}

/// The compressed frames, by window bits from 8 on; `None` inside where compressing did not pay.
#[cfg(feature = "deflate")]
type Deflated = [OnceLock<Option<Bytes>>; 8];

impl PreparedMessage {
    /// Frames a message.
    pub fn new<'m>(message: impl Into<MessageRef<'m>>) -> Self {
        let message = message.into();
        let payload = message.as_bytes();
        let plain = frame_of(message.kind(), payload, Form::Plain);
        Self {
            kind: message.kind(),
            payload_at: plain.len() - payload.len(),
            plain,
            #[cfg(feature = "deflate")]
            deflated: Deflated::default(),
        }
    }

    /// Returns the kind of the message.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        self.plain.get(self.payload_at..).unwrap_or_default()
    }

    /// Returns how many times the message was compressed.
    #[cfg(feature = "deflate")]
    pub fn times_compressed(&self) -> usize {
        self.deflated.iter().filter(|frame| frame.get().is_some()).count()
    }

    #[cfg(feature = "deflate")]
    fn deflated(&self, window_bits: u8, level: u8, pool: &Pool) -> Option<&Bytes> {
        let slot = self.deflated.get(usize::from(window_bits.checked_sub(8)?))?;
        let frame = slot.get_or_init(|| {
            let mut deflated = Vec::new();
            let mut deflater = Deflater::new(window_bits, Context::Forget, level, pool);
            // Without memory the plain frame, which is there, goes out.
            let is_made = deflater.compress(self.payload(), &mut deflated).is_ok();
            let pays = is_made && deflated.len() < self.payload().len();
            pays.then(|| frame_of(self.kind, &deflated, Form::Compressed))
        });
        frame.as_ref()
    }
}

impl Connection<Server> {
    /// Sends a prepared message: returns the bytes to write, which the connection accounts for as
    /// if they had been appended to the caller's buffer. They go out after what is in there.
    ///
    /// # Errors
    /// The caller's faults: as [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<Bytes, Error> {
        self.check_whole(message.payload().len())?;
        let frame = self.prepared_frame(message).clone();
        self.account(frame.len());
        Ok(frame)
    }
}

impl<R: Role> Connection<R> {
    /// Appends a prepared message to `out`. A client masks each frame with a key of its own, so for
    /// one it is framed anew.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn append_prepared(
        &mut self,
        message: &PreparedMessage,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let payload = message.payload();
        if !self.is_server() {
            return self.send_payload(message.kind, payload, SendOptions::default(), out);
        }
        self.check_whole(payload.len())?;
        let frame = self.prepared_frame(message);
        memory::reserve(out, frame.len())?;
        out.extend_from_slice(frame);
        self.account(frame.len());
        Ok(())
    }

    #[cfg(feature = "deflate")]
    fn prepared_frame<'m>(&self, message: &'m PreparedMessage) -> &'m Bytes {
        let Some((window_bits, level, pool)) = self.shared_compression(message.payload().len())
        else {
            return &message.plain;
        };
        message.deflated(window_bits, level, pool).unwrap_or(&message.plain)
    }

    #[cfg(not(feature = "deflate"))]
    fn prepared_frame<'m>(&self, message: &'m PreparedMessage) -> &'m Bytes {
        &message.plain
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    #[cfg(feature = "deflate")]
    Compressed,
}

fn frame_of(kind: Kind, payload: &[u8], form: Form) -> Bytes {
    let compressed = form != Form::Plain;
    let opcode = Opcode::from(kind);
    let header = Header { fin: true, compressed, opcode, mask: None, len: payload.len() as u64 };
    let mut out = Vec::with_capacity(Header::size(payload.len(), false) + payload.len());
    header.append_to(&mut out);
    out.extend_from_slice(payload);
    out.into()
}
