//! Events in an owned form, as a link hands them on or keeps them.

use bytes::Bytes;
use sockeye_proto::{AnyRole, Connection, Error, Kind, Position, Time};

use crate::message::Event;

/// What the core found, in an owned form.
#[derive(Debug)]
pub(crate) enum Arrival {
    Event(Event),
    Piece { kind: Kind, bytes: Bytes, position: Position },
}

impl Arrival {
    /// Returns what keeping it costs in bytes; even an empty message takes its place in the queue.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.len()
    }

    fn len(&self) -> usize {
        match self {
            Self::Event(Event::Message(message)) => message.as_bytes().len(),
            Self::Event(Event::Ping(bytes) | Event::Pong { payload: bytes, .. })
            | Self::Piece { bytes, .. } => bytes.len(),
            Self::Event(Event::Closing(_)) => 0,
        }
    }
}

/// Takes the first event out of `bytes`, which were read at `now`; returns it with how many of them were used.
pub(super) fn next_event(
    core: &mut Connection<AnyRole>,
    bytes: &mut [u8],
    now: Time,
    out: &mut Vec<u8>,
) -> (Option<Result<Arrival, Error>>, usize) {
    let mut events = core.receive(bytes, now, out);
    let found = events.next().map(|event| event.map(own));
    (found, events.consumed())
}

/// Makes an event the application's own.
fn own(event: sockeye_proto::Event<'_>) -> Arrival {
    use sockeye_proto::Event as Core;
    Arrival::Event(match event {
        Core::Message(message) => Event::Message(message.into()),
        Core::Piece(piece) => {
            let bytes = Bytes::copy_from_slice(piece.bytes);
            return Arrival::Piece { kind: piece.kind, bytes, position: piece.position };
        }
        Core::Ping(payload) => Event::Ping(Bytes::copy_from_slice(payload)),
        Core::Pong { payload, rtt } => {
            Event::Pong { payload: Bytes::copy_from_slice(payload), rtt }
        }
        Core::Close(frame) => Event::Closing(frame),
    })
}
