//! The callback form: a handler whose connection one future drives.
//!
//! Messages are handed over where they stand in the thread's read buffer, and the answers to one read
//! leave with one write. The order of calls and what becomes of panics are those of every host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, mem};

use sockeye_proto::handler::{Handler, Out, Outlet, Sender, Sent};
use sockeye_proto::{
    AnyRole, CloseCode, CloseInfo, Event as CoreEvent, MessageRef, Next, Reply, SendOptions,
};
use tokio::io::ReadBuf;

use super::way::Way;
use super::{Arrival, Failure, Link, Receiving};
use crate::handler::{Delivery, Order, Places, Topics};
use crate::io::Io;
use crate::log::{self, Stage};
use crate::message::Event;
use crate::{buffers, clock};

/// A handler, and what its connection needs beside the link.
pub(crate) struct Driver<H: Handler> {
    /// `None` once it has been told of the end.
    handler: Option<H>,
    places: Places,
    /// The handler has been called.
    is_begun: bool,
    /// The handler waits to hear that there is room again.
    wants_drain: bool,
}

/// Whether there may be more to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Flowing,
    Dry,
}

impl<H: Handler> Driver<H> {
    pub(crate) fn new(handler: H, topics: Topics) -> Self {
        let places = Places::new(topics);
        Self { handler: Some(handler), places, is_begun: false, wants_drain: false }
    }

    /// Gives the connection a turn: reads, hands on, writes, lets deadlines act. Ready when it has
    /// ended, which the handler has been told of then.
    pub(crate) fn poll<S: Io>(
        &mut self,
        link: &mut Link<S>,
        cx: &mut Context<'_>,
    ) -> Poll<CloseInfo> {
        if !mem::replace(&mut self.is_begun, true) {
            self.call(link, cx, H::open);
        }
        link.obey_control(cx);
        let _ = link.poll_write(cx);
        let is_dry = (0..READS).any(|_| self.read_once(link, cx) == Source::Dry);
        link.hear_end();
        if self.has_drained(link) {
            self.wants_drain = false;
            self.call(link, cx, H::drain);
        }
        // Behind all calls: what the handler published may be for itself.
        self.take_post(link, cx);
        self.pass_time(link, cx);
        if let Poll::Ready(info) = link.poll_next_step(cx) {
            self.end(&info);
            return Poll::Ready(info);
        }
        if !is_dry || link.may_resume() || self.has_drained(link) {
            // Others want their turn as well.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Says goodbye to the handler, unless that has been done or it was never called.
    pub(crate) fn end(&mut self, info: &CloseInfo) {
        let Some(mut handler) = self.handler.take() else { return };
        let is_begun = self.is_begun;
        let goodbye = || {
            if is_begun {
                handler.close(info);
            }
        };
        let closed = catch_unwind(AssertUnwindSafe(goodbye));
        // What it drops may panic as well, and must not meet a panic that is still on its way.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(handler)));
        if closed.and(dropped).is_err() {
            log::handler_panic(Stage::Handler);
        }
    }

    /// Hands on what was kept, or reads once.
    fn read_once<S: Io>(&mut self, link: &mut Link<S>, cx: &mut Context<'_>) -> Source {
        if !link.core.has_room() {
            link.pause();
            return Source::Dry;
        }
        if let Some(arrival) = link.pop_ready() {
            self.hand_on_kept(&arrival, link, cx);
            return Source::Flowing;
        }
        if link.receiving == Receiving::Paused || !link.unread.is_empty() {
            link.resume();
            let (mut unread, taken) = (mem::take(&mut link.unread), mem::take(&mut link.taken));
            if let Some(taken) = self.receive(&mut unread, taken, link, cx) {
                (link.unread, link.taken) = (unread, taken);
            }
            return Source::Flowing;
        }
        if link.receiving == Receiving::Over {
            return Source::Dry;
        }
        let read = buffers::with_read_buffer(|buffer| {
            let mut read = ReadBuf::new(buffer);
            Pin::new(&mut link.io).poll_read(cx, &mut read).map_ok(|()| {
                let filled = read.filled_mut();
                if let Some(taken) = self.receive(filled, 0, link, cx) {
                    link.unread.extend_from_slice(filled.get(taken..).unwrap_or_default());
                }
                filled.len()
            })
        });
        match read {
            Poll::Ready(Ok(count)) if count > 0 => Source::Flowing,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                Source::Flowing
            }
            Poll::Ready(Ok(_)) => {
                link.receiving = Receiving::Over;
                Source::Dry
            }
            Poll::Ready(Err(_)) => {
                link.receiving = Receiving::Over;
                link.core.receive_eof();
                Source::Dry
            }
            Poll::Pending => Source::Dry,
        }
    }

    /// Hands on the messages in `bytes` from `at` on, and writes the answers. Returns how far it came
    /// if it stopped for want of room for answers.
    fn receive<S: Io>(
        &mut self,
        bytes: &mut [u8],
        mut at: usize,
        link: &mut Link<S>,
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        loop {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let (used, goes_on) = self.hand_on(rest, link, cx);
            at += used;
            let _ = link.poll_write(cx);
            if !goes_on {
                return None;
            }
            if !link.core.has_room() {
                link.pause();
                return Some(at);
            }
        }
    }

    /// Hands messages on while there is room for answers. Returns how many bytes they took, and
    /// whether there may be more events.
    fn hand_on<S: Io>(
        &mut self,
        bytes: &mut [u8],
        link: &mut Link<S>,
        cx: &mut Context<'_>,
    ) -> (usize, bool) {
        let Self { handler: Some(handler), places, wants_drain, .. } = self else {
            return (bytes.len(), false);
        };
        let (core, out, mut way) = link.part(cx);
        let mut events = core.receive(bytes, clock::now(), out);
        while let Some(result) = events.next_with(|event, reply| {
            if let CoreEvent::Message(message) = event {
                Outbox { reply, places, wants_drain, way: &mut way }
                    .call(handler, |handler, out| handler.message(message.as_ref(), out));
            }
            !reply.connection().has_room()
        }) {
            match result {
                Ok(false) => {}
                Ok(true) => return (events.consumed(), true),
                Err(error) => {
                    // The core has told the peer, and no event follows.
                    let used = events.consumed();
                    link.fail_by_core(error);
                    self.tell_failure(link);
                    return (used, false);
                }
            }
        }
        (events.consumed(), false)
    }

    /// Hands on what arrived before there was a handler.
    fn hand_on_kept<S: Io>(&mut self, arrival: &Arrival, link: &mut Link<S>, cx: &mut Context<'_>) {
        if let Arrival::Event(Event::Message(message)) = arrival
            && link.core.is_open()
        {
            self.call(link, cx, |handler, out| handler.message(message.as_ref(), out));
        }
    }

    /// Calls the handler outside of any event, and writes what it sends.
    fn call<S: Io>(
        &mut self,
        link: &mut Link<S>,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut H, &mut Out<'_>),
    ) {
        let Self { handler: Some(handler), places, wants_drain, .. } = self else { return };
        let (core, out, mut way) = link.part(cx);
        let reply = &mut Reply::new(core, out, clock::now());
        Outbox { reply, places, wants_drain, way: &mut way }.call(handler, act);
        let _ = link.poll_write(cx);
    }

    /// Does what others ask for. Several messages leave with one write.
    fn take_post<S: Io>(&mut self, link: &mut Link<S>, cx: &mut Context<'_>) {
        let Some(mailbox) = self.places.mailbox() else { return };
        let Delivery { orders, is_cut } = mailbox.take(cx);
        for order in orders {
            if link.core.is_above_high_water() {
                // Only what the transport does not take counts against the peer.
                let _ = link.poll_write(cx);
            }
            match order {
                Order::Send(message) => {
                    link.lend_buffer();
                    if link.core.append_prepared(&message, &mut link.out).is_err() {
                        link.close_slow();
                        break;
                    }
                }
                Order::Wake => self.call(link, cx, H::wake),
                Order::Close(code, reason) => {
                    link.reply(|reply| reply.close_in_any_case(code, &reason));
                }
            }
        }
        if is_cut {
            link.close_slow();
        }
        let _ = link.poll_write(cx);
    }

    /// Lets the deadlines act that have come.
    fn pass_time<S: Io>(&mut self, link: &mut Link<S>, cx: &mut Context<'_>) {
        while link.poll_timer(cx).is_ready() {
            self.tell_failure(link);
            let _ = link.poll_write(cx);
        }
    }

    /// Tells the handler if the core failed the connection.
    fn tell_failure<S: Io>(&mut self, link: &mut Link<S>) {
        if let Some(Failure::Core(error)) = link.failure.take()
            && let Some(handler) = &mut self.handler
        {
            guard(handler, |handler| handler.fail(&error));
        }
    }

    /// Whether the handler waits for room that is there.
    fn has_drained<S: Io>(&self, link: &Link<S>) -> bool {
        self.wants_drain && link.is_all_written() && link.core.is_open()
    }
}

impl<S: Io> Link<S> {
    /// Answers the peer outside of any event.
    fn reply(&mut self, act: impl FnOnce(&mut Reply<'_, AnyRole>)) {
        self.lend_buffer();
        act(&mut Reply::new(&mut self.core, &mut self.out, clock::now()));
    }

    /// Closes a connection that reads too slowly, so that it notices what it missed.
    fn close_slow(&mut self) {
        self.reply(|reply| reply.close_in_any_case(CloseCode::POLICY, "slow consumer"));
    }

    /// Reads no more, for want of room for answers.
    fn pause(&mut self) {
        if self.receiving == Receiving::Open {
            self.receiving = Receiving::Paused;
        }
    }

    fn resume(&mut self) {
        if self.receiving == Receiving::Paused {
            self.receiving = Receiving::Open;
        }
    }

    fn may_resume(&self) -> bool {
        self.receiving == Receiving::Paused && self.core.has_room()
    }

    /// Takes note of the end of the peer's stream, once all has left: a peer that sends no more may
    /// still read what is due to it.
    fn hear_end(&mut self) {
        if self.receiving == Receiving::Over && self.is_all_written() {
            self.core.receive_eof();
        }
    }

    /// Does with the transport what the core says. Ready when the connection has ended.
    fn poll_next_step(&mut self, cx: &mut Context<'_>) -> Poll<CloseInfo> {
        match self.core.next() {
            Next::Close => {
                let _ = Pin::new(&mut self.io).poll_shutdown(cx);
                return Poll::Ready(self.close_info());
            }
            Next::Shutdown if self.is_all_written() => {
                // The end of the stream and the deadline come even if this never does.
                let _ = self.poll_shutdown(cx);
            }
            Next::Shutdown | Next::AwaitEof | Next::Continue => {}
        }
        Poll::Pending
    }
}

/// What a handler sends through, during its turn.
struct Outbox<'t, 'r, 'l, 'c, S> {
    reply: &'t mut Reply<'r, AnyRole>,
    places: &'t mut Places,
    wants_drain: &'t mut bool,
    way: &'t mut Way<'l, 'c, S>,
}

impl<S: Io> Outbox<'_, '_, '_, '_, S> {
    /// Calls the handler; where it panics, its connection closes.
    fn call<H: Handler>(mut self, handler: &mut H, act: impl FnOnce(&mut H, &mut Out<'_>)) {
        if !guard(handler, |handler| act(handler, &mut Out::new(&mut self))) {
            self.reply.close_in_any_case(CloseCode::INTERNAL, "");
        }
    }

    /// Returns how many bytes may wait for a turn of this connection. Its own queue is what counts
    /// against a slow peer; this is for a thread that is late, and so has room for several queues.
    fn most_post(&self) -> usize {
        self.reply.connection().config().limits.queue.saturating_mul(4)
    }
}

impl<S: Io> Outlet for Outbox<'_, '_, '_, '_, S> {
    fn send(&mut self, message: MessageRef<'_>, options: SendOptions) -> Sent {
        let long_one = self.way.try_long(self.reply, message, options);
        let sent = long_one.unwrap_or_else(|| self.reply.offer(message, options));
        *self.wants_drain |= sent != Sent::Ok;
        sent
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.reply.close_in_any_case(code, reason);
    }

    fn subscribe_after(&mut self, topic: &str, _: u64) {
        self.places.subscribe(topic, self.most_post());
    }

    fn catch_up(&mut self, _: u64) {}

    fn unsubscribe(&mut self, topic: &str) {
        self.places.unsubscribe(topic);
    }

    fn publish(&mut self, topic: &str, message: MessageRef<'_>) {
        self.places.publish(topic, message);
    }

    fn queued(&self) -> usize {
        self.reply.connection().queued()
    }

    fn sender(&self) -> Sender {
        self.places.sender(self.most_post())
    }
}

/// Calls a handler; tells whether it returned. One that panics is told, and what it is told may
/// panic as well.
fn guard<H: Handler>(handler: &mut H, act: impl FnOnce(&mut H)) -> bool {
    let returned = catch_unwind(AssertUnwindSafe(|| act(handler))).is_ok();
    if !returned {
        log::handler_panic(Stage::Handler);
        let _ = catch_unwind(AssertUnwindSafe(|| handler.panicked()));
    }
    returned
}

/// Reads per turn, so that a peer that never stops sending leaves room for others.
const READS: usize = 16;
