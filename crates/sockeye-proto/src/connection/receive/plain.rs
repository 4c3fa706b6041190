//! The short way for what nearly every message is: one final, uncompressed frame that stands in the
//! input from its first byte to its last, while nothing else is unfinished.
//!
//! It accepts nothing that the long way would not, and refuses nothing: whatever it does not know at a
//! glance is read the long way, which also finds out what is wrong.

use core::ops::Range;

use super::{Delivery, Events, Found};
use crate::connection::Phase;
use crate::frame::FIN;
use crate::mask::Key;
use crate::message::Kind;
use crate::role::Role;

impl<R: Role> Events<'_, R> {
    /// Finds a message, if one stands at the front in that form.
    #[inline]
    pub(super) fn find_plain(&mut self) -> Option<Found> {
        let connection = &mut *self.connection;
        let is_at_rest = connection.phase == Phase::Open
            && connection.delivery == Delivery::Whole
            && connection.inbound.get().is_none();
        if !is_at_rest {
            return None;
        }
        let rest = self.input.get(self.at..)?;
        let (kind, payload, mask) = read_plain(rest, connection.role.is_server())?;
        let limits = &connection.config.limits;
        if payload.len() > limits.message || limits.fragments == 0 {
            return None;
        }
        let range = self.at + payload.start..self.at + payload.end;
        self.at = range.end;
        connection.clock.hear_message(self.now);
        Some(Found::InPlace(kind, range, mask))
    }
}

/// Reads a frame of up to 65,535 bytes that stands whole at the front of `bytes`: returns where its
/// payload does.
#[inline]
fn read_plain(bytes: &[u8], from_client: bool) -> Option<(Kind, Range<usize>, Option<Key>)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let kind = match *first {
        TEXT => Kind::Text,
        BINARY => Kind::Binary,
        _ => return None,
    };
    if (second & MASKED != 0) != from_client {
        return None;
    }
    let (len, start) = match second & !MASKED {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => return None,
        short => (usize::from(short), 2),
    };
    if start == 4 && len < 126 {
        return None;
    }
    let (mask, start) = if from_client {
        (Some(*bytes.get(start..)?.first_chunk()?), start + 4)
    } else {
        (None, start)
    };
    let end = start + len;
    (end <= bytes.len()).then_some((kind, start..end, mask))
}

/// First bytes of a frame: final, no reserved bit, the opcode (RFC 6455 section 5.2).
const TEXT: u8 = FIN | 1;
const BINARY: u8 = FIN | 2;

/// The mark of a masked payload, in the second byte.
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::connection::Connection;
    use crate::frame::{Header, LengthForm, Rules};
    use crate::message::Event;
    use crate::role::Server;
    use crate::time::Time;

    /// Reads one frame the long way.
    fn read_long(bytes: &[u8], from_client: bool) -> Option<(Header, Range<usize>)> {
        let rules = Rules { from_client, compression: false, lengths: LengthForm::Minimal };
        let (header, start) = Header::read(bytes, rules).ok()??;
        let end = start + usize::try_from(header.len).ok()?;
        (end <= bytes.len()).then_some((header, start..end))
    }

    proptest! {
        /// What the short way reads, the long way reads the same.
        #[test]
        fn the_short_way_agrees_with_the_long_one(
            first in prop_oneof![Just(0x81_u8), Just(0x82), any::<u8>()],
            second in any::<u8>(),
            rest in prop::collection::vec(any::<u8>(), 0..300),
            from_client in any::<bool>(),
        ) {
            let bytes = [&[first, second][..], &rest].concat();
            if let Some((kind, range, mask)) = read_plain(&bytes, from_client) {
                let (header, expected) = read_long(&bytes, from_client).expect("a legal frame");
                prop_assert_eq!(range, expected);
                prop_assert_eq!(header.mask, mask);
                prop_assert_eq!(header.opcode, kind.into());
                prop_assert!(header.fin && !header.compressed);
            }
        }
    }

    #[test]
    fn lengths_up_to_65_535_go_the_short_way_and_one_byte_less_than_all_does_not() {
        for len in [0_usize, 1, 125, 126, 127, 65_535] {
            for from_client in [false, true] {
                let mask = from_client.then_some([1, 2, 3, 4]);
                let opcode = Kind::Binary.into();
                let header = Header { fin: true, compressed: false, opcode, mask, len: len as u64 };
                let mut bytes = Vec::new();
                header.append_to(&mut bytes);
                let start = bytes.len();
                bytes.resize(start + len, 7);
                let expected = Some((Kind::Binary, start..start + len, mask));
                assert_eq!(read_plain(&bytes, from_client), expected, "{len}");
                bytes.pop();
                assert_eq!(read_plain(&bytes, from_client), None, "{len}");
                assert_eq!(read_plain(&bytes, !from_client), None, "{len}");
            }
        }
    }

    #[test]
    fn a_message_over_the_limit_is_left_to_the_long_way_to_refuse() {
        let mut config = Config::server();
        config.limits.message = 3;
        let now = Time::from_micros(1);
        let mut connection = Connection::new(Server, Arc::new(config), now);
        let (mut bytes, mut out) = (*b"\x82\x83\0\0\0\0abc\x82\x84\0\0\0\0abcd", Vec::new());
        let mut events = connection.receive(&mut bytes, now, &mut out);
        assert!(matches!(events.next(), Some(Ok(Event::Message(_)))));
        assert!(events.next().unwrap().is_err());
    }
}
