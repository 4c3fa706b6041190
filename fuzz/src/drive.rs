//! A connection that is driven as a host drives one, and watched at each step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::{
    CloseCode, CloseFrame, Config, Connection, Delivery, Error, Event, Kind, Limit, Message, Next,
    PeerError, Piece, Position, Role, Time, Timeout,
};

use crate::setup::Setup;
use crate::wire;

/// What a connection told, kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Text(String),
    Binary(Vec<u8>),
    Piece(Kind, Vec<u8>, Position),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseFrame),
    /// A failure, of [`Events`](sockeye_proto::Events) or of the clock.
    Failed(Error),
}

/// Payloads are cut, so that a failed comparison fits a screen.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes) = match self {
            Self::Text(text) => ("Text", text.as_bytes()),
            Self::Binary(bytes) => ("Binary", bytes.as_slice()),
            Self::Piece(_, bytes, Position::More) => ("Piece", bytes.as_slice()),
            Self::Piece(_, bytes, Position::Last) => ("LastPiece", bytes.as_slice()),
            Self::Ping(payload) => ("Ping", payload.as_slice()),
            Self::Pong(payload) => ("Pong", payload.as_slice()),
            Self::Close(frame) => return frame.fmt(f),
            Self::Failed(error) => return write!(f, "Failed({error:?})"),
        };
        let start = bytes.get(..24).unwrap_or(bytes);
        write!(f, "{name}({} bytes: \"{}\")", bytes.len(), start.escape_ascii())
    }
}

/// A connection and its host.
pub(crate) struct Driver<R: Role> {
    pub(crate) connection: Connection<R>,
    pub(crate) told: Vec<Told>,
    /// Every byte that was to be written.
    pub(crate) out: Vec<u8>,
    /// How many events are taken before the rest of the bytes is given again.
    pub(crate) per_call: usize,
    config: Arc<Config>,
    from_client: bool,
    received: usize,
    now: Time,
}

impl<R: Role> Driver<R> {
    pub(crate) fn new(role: R, setup: Setup) -> Self {
        let (config, now) = (setup.config(), Time::from_micros(0));
        let from_client = !role.is_server();
        let mut connection = Connection::new(role, Arc::clone(&config), now);
        if let Some(params) = setup.deflate() {
            connection = connection.with_deflate(params);
        }
        Self {
            connection,
            told: Vec::new(),
            out: Vec::new(),
            per_call: usize::MAX,
            config,
            from_client,
            received: 0,
            now,
        }
    }

    /// Gives bytes to the connection and takes all events.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        let (was_over, written) = (self.is_over(), self.out.len());
        let mut input = bytes.to_vec();
        let mut at = 0;
        loop {
            let (used, finished) = self.take_events(&mut input[at..]);
            at += used;
            if finished {
                break;
            }
        }
        assert_eq!(at, input.len(), "all bytes are used once there is no further event");
        assert!(!was_over || self.out.len() == written, "output after the end");
        // An event takes a header or a byte, or is 16 KiB that a few bytes inflated to.
        assert!(self.told.len() <= self.received + 2, "more events than bytes");
    }

    /// Lets time pass and does what falls due, when it falls due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.connection.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let (was_over, written) = (self.is_over(), self.out.len());
            if let Err(error) = self.connection.handle_timeout(self.now, &mut self.out) {
                check_timeout(&error);
                self.told.push(Told::Failed(error));
            }
            assert!(!was_over || self.out.len() == written, "output after the end");
            let next = self.connection.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "what was done is due again");
        }
        self.now = until;
    }

    /// Lets the transport take at most `count` bytes.
    pub(crate) fn write(&mut self, count: usize) {
        let count = count.min(self.connection.queued());
        self.connection.written(count, self.now, &mut self.out);
    }

    /// Starts to close.
    pub(crate) fn close(&mut self) {
        let code = Some(CloseCode::NORMAL);
        self.connection.close(code, "", self.now, &mut self.out).expect("1000 may be sent");
    }

    /// Ends the transport and checks what the connection did in its life.
    pub(crate) fn finish(&mut self) {
        self.connection.receive_eof();
        assert_eq!(self.connection.next(), Next::Close);
        assert_eq!(self.connection.poll_timeout(), None);
        assert!(self.connection.close_info().is_some(), "an end without a cause");
        let ends = self.told.iter().filter(|told| is_end(told)).count();
        assert!(ends <= 1, "more than one end");
        self.check_output();
    }

    /// Whether the connection told its end.
    fn is_over(&self) -> bool {
        self.told.last().is_some_and(is_end)
    }

    /// Takes some events; returns the bytes used, and whether there are no more.
    fn take_events(&mut self, input: &mut [u8]) -> (usize, bool) {
        let longest = self.config.limits.message.max(16 << 10).max(input.len());
        let mut was_over = self.is_over();
        let mut events = self.connection.receive(input, self.now, &mut self.out);
        for _ in 0..self.per_call {
            let before = events.consumed();
            let told = match events.next() {
                None => return (events.consumed(), true),
                Some(Ok(event)) => own(event),
                Some(Err(error)) => {
                    check_failure(&error);
                    Told::Failed(error)
                }
            };
            assert!(!was_over, "an event after the end");
            assert!(events.consumed() >= before, "bytes given back");
            let len = match &told {
                Told::Text(text) => text.len(),
                Told::Binary(bytes) => bytes.len(),
                Told::Piece(_, bytes, _) => {
                    assert!(bytes.len() <= longest, "a piece of {} bytes", bytes.len());
                    0
                }
                _ => 0,
            };
            assert!(len <= self.config.limits.message, "a message above the limit");
            was_over = is_end(&told);
            self.told.push(told);
        }
        (events.consumed(), false)
    }

    fn check_output(&self) {
        let frames = wire::read_all(&self.out, self.from_client);
        let closes = frames.iter().filter(|frame| frame.opcode() == 8).count();
        assert!(closes <= 1, "more than one Close frame");
        let mut pings = self.told.iter().filter_map(|told| match told {
            Told::Ping(payload) => Some(payload),
            _ => None,
        });
        for pong in frames.iter().filter(|frame| frame.opcode() == 10) {
            assert!(pings.any(|ping| *ping == pong.payload), "a pong that answers no ping");
        }
        if let Some(Told::Failed(error)) = self.told.last()
            && let (Some(code), Some(close)) = (error.close_code(), frames.last())
            && close.opcode() == 8
            && !self.said_goodbye(&close.payload)
        {
            assert_eq!(close.payload[..2], code.get().to_be_bytes(), "the code of {error:?}");
        }
    }

    /// Whether our Close frame went out of our own will, before anything failed.
    fn said_goodbye(&self, body: &[u8]) -> bool {
        [CloseCode::NORMAL, CloseCode::AWAY]
            .iter()
            .any(|c| body.starts_with(&c.get().to_be_bytes()))
    }
}

/// Puts the pieces of messages together; a message that is not complete is left out.
pub(crate) fn joined(told: &[Told]) -> Vec<Told> {
    let mut whole = Vec::new();
    let mut message = Vec::new();
    for told in told {
        let Told::Piece(kind, bytes, position) = told else {
            whole.push(told.clone());
            continue;
        };
        message.extend_from_slice(bytes);
        if *position == Position::Last {
            let message = std::mem::take(&mut message);
            whole.push(match kind {
                Kind::Text => Told::Text(String::from_utf8(message).expect("text in pieces")),
                Kind::Binary => Told::Binary(message),
            });
        }
    }
    whole
}

/// Cuts bytes into chunks of `length` bytes, or leaves them whole.
pub(crate) fn chunks(bytes: &[u8], length: u8) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(match length {
        0 => usize::MAX,
        some => some.into(),
    })
}

/// Returns the delivery that messages in pieces, or whole ones, ask for.
pub(crate) fn delivery(in_pieces: bool) -> Delivery {
    if in_pieces { Delivery::Pieces } else { Delivery::Whole }
}

fn own(event: Event<'_>) -> Told {
    match event {
        Event::Message(Message::Text(text)) => Told::Text(text.into_string()),
        Event::Message(Message::Binary(bytes)) => Told::Binary(bytes.into_vec()),
        Event::Piece(Piece { kind, bytes, position }) => {
            Told::Piece(kind, bytes.to_vec(), position)
        }
        Event::Ping(payload) => Told::Ping(payload.to_vec()),
        Event::Pong { payload, .. } => Told::Pong(payload.to_vec()),
        Event::Close(frame) => Told::Close(frame),
    }
}

fn is_end(told: &Told) -> bool {
    matches!(told, Told::Close(_) | Told::Failed(_))
}

/// Checks that bytes fail a connection with a cause that bytes can have, and with its close code.
fn check_failure(error: &Error) {
    let expected = match error {
        Error::Peer(PeerError::InvalidUtf8 | PeerError::CorruptDeflate) => 1007,
        Error::Peer(_) => 1002,
        Error::Limit(limit) => match limit.limit {
            Limit::Message | Limit::Fragments | Limit::InflateRatio => 1009,
            Limit::EmptyFragments | Limit::ControlRate => 1008,
            other => panic!("bytes reached {other:?}"),
        },
        other => panic!("bytes caused {other:?}"),
    };
    assert_eq!(error.close_code().map(CloseCode::get), Some(expected));
}

fn check_timeout(error: &Error) {
    let expected = match error {
        Error::Timeout(Timeout::Message | Timeout::WriteStall) => Some(1008),
        Error::Timeout(Timeout::Keepalive | Timeout::Close) => None,
        other => panic!("the clock caused {other:?}"),
    };
    assert_eq!(error.close_code().map(CloseCode::get), expected);
}
