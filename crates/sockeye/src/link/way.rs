//! The way out for messages that are too long to be gathered with others: straight to the transport.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use sockeye_proto::handler::Sent;
use sockeye_proto::{AnyRole, Connection, MessageRef, Reply, SendOptions};

use super::{Link, Sending};
use crate::buffers;
use crate::io::Io;

/// A transport that may take a message while it is offered.
pub(super) struct Way<'l, 'c, S> {
    io: &'l mut S,
    cx: &'l mut Context<'c>,
    sending: &'l mut Sending,
    unflushed: &'l mut bool,
    /// Nothing waits from before.
    is_free: bool,
}

impl<S: Io> Link<S> {
    /// Returns the connection, the bytes for the transport, and the way past them.
    pub(super) fn part<'l, 'c>(
        &'l mut self,
        cx: &'l mut Context<'c>,
    ) -> (&'l mut Connection<AnyRole>, &'l mut Vec<u8>, Way<'l, 'c, S>) {
        self.lend_buffer();
        let Self { io, core, out, unflushed, sending, .. } = self;
        let is_free = out.is_empty();
        (core, out, Way { io, cx, sending, unflushed, is_free })
    }
}

impl<S: Io> Way<'_, '_, S> {
    /// Sends a message that is long straight away, as far as the transport takes it.
    pub(super) fn try_long(
        &mut self,
        reply: &mut Reply<'_, AnyRole>,
        message: MessageRef<'_>,
        options: SendOptions,
    ) -> Option<Sent> {
        if !self.is_free || message.as_bytes().len() < buffers::READ {
            return None;
        }
        reply.offer_through(message, options, |waiting, payload| self.write(waiting, payload))
    }

    /// Writes as much as leaves at once; returns how much need not be written any more.
    fn write(&mut self, waiting: &[u8], payload: &[u8]) -> usize {
        let (all, both) = (waiting.len() + payload.len(), [waiting, payload].map(IoSlice::new));
        if *self.sending == Sending::Over {
            return all;
        }
        match Pin::new(&mut *self.io).poll_write_vectored(self.cx, &both) {
            Poll::Ready(Ok(count)) => {
                *self.unflushed = true;
                count
            }
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::Interrupted => {
                *self.sending = Sending::Over;
                all
            }
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        }
    }
}
