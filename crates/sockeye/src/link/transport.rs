//! A link's dealings with its transport and its timer: reading, writing, shutting down.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::arrival::{Arrival, next_event};
use super::{Failure, Link, Receiving, Sending};
use sockeye_proto::Next;

use crate::error::{Error, ErrorKind};
use crate::io::Io;
use crate::{buffers, clock};

impl<S: Io> Link<S> {
    /// Moves something: writes, reads, or lets a deadline act. Pending when nothing can move. Returns
    /// the first event of what was read.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arrival>> {
        self.obey_control(cx);
        let _ = self.poll_write(cx);
        // While open, what can be read may be what a deadline waits for; while closing, nothing is,
        // and a peer that never stops sending must not outrun the deadline.
        if !self.core.is_open() && self.is_due() {
            return self.poll_timer(cx).map(|()| None);
        }
        match self.poll_read(cx, usize::MAX) {
            Poll::Ready(first) => Poll::Ready(first),
            Poll::Pending => self.poll_timer(cx).map(|()| None),
        }
    }

    /// Reads once, at most `most` bytes, and returns the first event. The others are for
    /// [`take`](Self::take).
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Arrival>> {
        if self.receiving == Receiving::Over {
            return Poll::Pending;
        }
        let read = buffers::with_read_buffer(|buffer| {
            let most = most.min(buffer.len());
            let mut read = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            let filled = read.filled_mut();
            if filled.is_empty() {
                return Poll::Ready(io::Result::Ok(None));
            }
            // The first event is taken from the shared buffer; only what follows it is copied.
            self.read_at = clock::now();
            self.lend_buffer();
            let (found, used) = next_event(&mut self.core, filled, self.read_at, &mut self.out);
            self.give_back_buffer();
            let rest = filled.get(used..).unwrap_or_default();
            self.unread.extend_from_slice(rest);
            Poll::Ready(Ok(Some(found.and_then(|found| self.sift(found)))))
        });
        match ready!(read) {
            Ok(Some(first)) => return Poll::Ready(first),
            Ok(None) => self.lose_transport(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.lose_transport(Some(error)),
        }
        Poll::Ready(None)
    }

    /// Writes as much as the transport takes.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.written < self.out.len() && self.sending == Sending::Open {
            let rest = self.out.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.io).poll_write(cx, rest) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.unflushed = true;
                    self.core.written(count, clock::now(), &mut self.out);
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // What has been received is still delivered: reading finds the end by itself.
                Poll::Ready(_) => {
                    self.sending = Sending::Over;
                    let lost = self.out.len() - self.written;
                    self.core.written(lost, clock::now(), &mut self.out);
                }
                Poll::Pending => {
                    self.core.written(0, clock::now(), &mut self.out);
                    self.drop_written();
                    return Poll::Pending;
                }
            }
        }
        (self.out, self.written) = (self.emptied(), 0);
        self.give_back_buffer();
        if self.unflushed && self.sending == Sending::Open {
            ready!(Pin::new(&mut self.io).poll_flush(cx)).ok();
            self.unflushed = false;
        }
        Poll::Ready(())
    }

    /// Lets go of bytes that have left, once they are at least half: a queue that is refilled before
    /// it is ever empty must not keep them for ever.
    fn drop_written(&mut self) {
        if self.written >= self.out.len().div_ceil(2) {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    /// Whether all that was sent has left.
    pub(super) fn is_all_written(&self) -> bool {
        self.written == self.out.len() && !self.unflushed
    }

    fn emptied(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        out
    }

    /// Writes the last frames of a connection that is over. Ready too when they cannot be written.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.poll_write(cx).is_ready() || self.is_over() {
                return Poll::Ready(());
            }
            ready!(self.poll_timer(cx));
        }
    }

    /// Shuts the sending half down, once.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sending == Sending::Open {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx)).ok();
            self.sending = Sending::Over;
        }
        Poll::Ready(())
    }

    /// Lets the core act when a deadline has come. The timer is only moved forward when it fires:
    /// deadlines mostly move away, and a timer that fires early costs less than one that is moved
    /// with every message.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.core.poll_timeout() else { return Poll::Pending };
        if self.is_due() {
            if self.is_stash_full() || self.receiving == Receiving::Paused {
                // The peer's silence is ours.
                self.core.reading_paused(clock::now());
            }
            if let Err(error) = self.core.handle_timeout(clock::now(), &mut self.out) {
                self.fail_by_core(error);
            }
            return Poll::Ready(());
        }
        let due = clock::instant(due);
        match &mut self.timer {
            Some(timer) if timer.deadline() > due => timer.as_mut().reset(due),
            Some(_) => {}
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(due))),
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }

    pub(super) fn is_due(&self) -> bool {
        self.core.poll_timeout().is_some_and(|due| due <= clock::now())
    }

    /// Takes note that the transport is gone.
    pub(super) fn lose_transport(&mut self, error: Option<io::Error>) {
        self.receiving = Receiving::Over;
        let was_alive = self.core.next() == Next::Continue;
        self.core.receive_eof();
        if was_alive {
            let gone = match error {
                Some(error) => Error::new(ErrorKind::Closed, "connection lost").with_source(error),
                None => Error::new(ErrorKind::Closed, "peer went away without a Close frame"),
            };
            self.failure.get_or_insert(Failure::Lost(gone));
        }
    }

    /// Takes the thread's write buffer while the link has none of its own.
    pub(super) fn lend_buffer(&mut self) {
        if self.out.capacity() == 0 {
            self.out = buffers::take_write_buffer();
        }
    }

    /// Gives the write buffer back if nothing waits in it.
    pub(super) fn give_back_buffer(&mut self) {
        if self.out.is_empty() && self.out.capacity() > 0 {
            buffers::give_write_buffer(std::mem::take(&mut self.out));
        }
    }
}
