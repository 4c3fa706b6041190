//! The connection as an event's receiver may use it while the event is borrowed.

use alloc::vec::Vec;

use super::Connection;
use super::send::SendOptions;
use crate::close::{CloseCode, MAX_REASON};
use crate::error::Error;
use crate::handler::Sent;
use crate::message::MessageRef;
use crate::prepared::PreparedMessage;
use crate::role::Role;
use crate::time::Time;

/// What can be done with a connection while one of its events is looked at. Given by
/// [`Events::next_with`](super::Events::next_with).
#[derive(Debug)]
pub struct Reply<'a, R: Role> {
    pub(super) connection: &'a mut Connection<R>,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) now: Time,
}

impl<'a, R: Role> Reply<'a, R> {
    /// Makes one outside of any event, as when a connection has just been opened.
    pub fn new(connection: &'a mut Connection<R>, out: &'a mut Vec<u8>, now: Time) -> Self {
        Self { connection, out, now }
    }

    /// Returns the connection.
    pub fn connection(&self) -> &Connection<R> {
        self.connection
    }

    /// Sends a message, as [`Connection::send_with`] does.
    ///
    /// # Errors
    /// As [`Connection::send_with`].
    pub fn send<'m>(
        &mut self,
        message: impl Into<MessageRef<'m>>,
        options: SendOptions,
    ) -> Result<(), Error> {
        self.connection.send_with(message, options, self.out)
    }

    /// Sends a message that others get as well, as [`Connection::append_prepared`] does.
    ///
    /// # Errors
    /// As [`Connection::append_prepared`].
    pub fn append_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.connection.append_prepared(message, self.out)
    }

    /// Sends a ping, as [`Connection::ping`] does.
    ///
    /// # Errors
    /// As [`Connection::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.connection.ping(payload, self.out)
    }

    /// Starts the closing handshake, as [`Connection::close`] does.
    ///
    /// # Errors
    /// As [`Connection::close`].
    pub fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<(), Error> {
        self.connection.close(code, reason, self.now, self.out)
    }

    /// Sends a message for a [`Handler`](crate::handler::Handler), and tells what became of it.
    pub fn offer(&mut self, message: MessageRef<'_>, options: SendOptions) -> Sent {
        let sent = self.send(message, options);
        self.outcome(sent.is_ok())
    }

    /// As [`offer`](Self::offer), for a transport that takes bytes at once: `write` gets what waits and
    /// the payload behind it, and returns how many bytes have left. A long payload is then not copied
    /// as far as it has left. Nothing may wait elsewhere that is to leave before. `None`, and nothing was
    /// sent, for what does not go out as it is: masked, compressed or in fragments.
    pub fn offer_through(
        &mut self,
        message: MessageRef<'_>,
        options: SendOptions,
        write: impl FnOnce(&[u8], &[u8]) -> usize,
    ) -> Option<Sent> {
        let Self { connection, out, now } = self;
        let sent = connection.send_through(message, options, *now, out, write);
        (sent != Ok(false)).then(|| self.outcome(sent.is_ok()))
    }

    fn outcome(&self, is_taken: bool) -> Sent {
        match is_taken {
            true if self.connection.is_above_high_water() => Sent::Buffered,
            true => Sent::Ok,
            false => Sent::Dropped,
        }
    }

    /// Starts the closing handshake as well as the code and the reason allow: with 1011 for a code
    /// that may not be sent, and as much of the reason as a Close frame has room for.
    pub fn close_in_any_case(&mut self, code: CloseCode, reason: &str) {
        let ends = (0..=MAX_REASON.min(reason.len())).rev();
        let reason = ends.into_iter().find_map(|end| reason.get(..end)).unwrap_or_default();
        if let Err(Error::Misuse(_)) = self.close(Some(code), reason) {
            // 1011 may always be sent.
            let _ = self.close(Some(CloseCode::INTERNAL), reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::message::Event;
    use crate::role::Server;

    const NOW: Time = Time::from_micros(1);

    /// Echoes what a client sent, in reads of so many bytes, and returns what the server wrote.
    fn echo(sent: &[u8], read: usize, close_after: usize) -> Vec<u8> {
        let mut connection = Connection::new(Server, Arc::new(Config::server()), NOW);
        let (mut out, mut echoed) = (Vec::new(), 0);
        for bytes in sent.to_vec().chunks_mut(read) {
            let mut events = connection.receive(bytes, NOW, &mut out);
            while let Some(result) = events.next_with(|event, reply| {
                if let Event::Message(message) = event {
                    reply.send(message.as_ref(), SendOptions::default())?;
                    echoed += 1;
                    if echoed == close_after {
                        reply.close(Some(CloseCode::NORMAL), "enough")?;
                    }
                }
                Ok::<_, Error>(())
            }) {
                result.unwrap().unwrap();
            }
        }
        out
    }

    /// A text in one frame, a ping, bytes in two frames with a pong between; masked with zeros.
    const SENT: &[u8] =
        b"\x81\x82\0\0\0\0hi\x89\x81\0\0\0\0p\x02\x81\0\0\0\0a\x8a\x80\0\0\0\0\x80\x81\0\0\0\0b";

    #[test]
    fn messages_are_answered_while_they_are_borrowed_in_any_split() {
        let expected = b"\x81\x02hi\x8a\x01p\x82\x02ab";
        for read in 1..=SENT.len() {
            assert_eq!(echo(SENT, read, usize::MAX), expected, "{read}");
        }
    }

    #[test]
    fn a_close_from_inside_an_event_ends_the_events() {
        let expected = [&b"\x81\x02hi\x8a\x01p\x82\x02ab\x88\x08\x03\xe8"[..], b"enough"].concat();
        let again = [SENT, SENT].concat();
        for read in 1..=again.len() {
            assert_eq!(echo(&again, read, 2), expected, "{read}");
        }
    }

    #[test]
    fn however_much_of_a_message_leaves_at_once_it_goes_out_as_it_would_in_one_buffer() {
        let (waiting, message) = (b"\x89\x00", MessageRef::Binary(b"0123456789"));
        for leaving in 0..=14 {
            let mut connection = Connection::new(Server, Arc::new(Config::server()), NOW);
            let (mut out, mut left) = (Vec::new(), Vec::new());
            connection.ping(b"", &mut out).unwrap();
            let options = SendOptions::default();
            let mut reply = Reply::new(&mut connection, &mut out, NOW);
            let sent = reply.offer_through(message, options, |waiting, payload| {
                left = [waiting, payload].concat();
                left.truncate(leaving);
                leaving
            });
            assert_eq!((sent, connection.queued()), (Some(Sent::Ok), out.len()));
            left.append(&mut out);
            assert_eq!(left, [waiting, &b"\x82\x0a0123456789"[..]].concat(), "{leaving}");
        }
    }

    #[test]
    fn a_message_in_fragments_does_not_leave_at_once() {
        let mut connection = Connection::new(Server, Arc::new(Config::server()), NOW);
        let mut out = Vec::new();
        let fragment = core::num::NonZeroUsize::new(1);
        let options = SendOptions { fragment, ..SendOptions::default() };
        let mut reply = Reply::new(&mut connection, &mut out, NOW);
        let sent = reply.offer_through(MessageRef::Text("hi"), options, |_, _| unreachable!());
        assert_eq!((sent, &out[..]), (None, &b""[..]));
    }
}
