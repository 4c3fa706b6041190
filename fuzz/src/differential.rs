//! The same bytes to the core and to tungstenite: the same messages, and the same end.
//!
//! Where the two disagree, [`is_explained`] has to know why.

use std::io::{self, Cursor, Read, Write};

use arbitrary::{Arbitrary, Unstructured};
use sockeye_proto::{Error, PeerError};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::drive::Told;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    is_client: bool,
}

/// How one of the two ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It waits for more.
    Waiting,
    /// The peer closed with this code and reason.
    Closed(u16, String),
    /// The core failed the connection.
    Failed(Error),
    /// tungstenite failed the connection, and says so.
    TheyFailed(String),
}

/// Compares the core with tungstenite.
pub fn differential(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bytes = data.take_rest();
    let (ours, our_end) = ours::run(input.is_client, bytes);
    let (theirs, their_end) = by_tungstenite(input, bytes);
    let common = ours.len().min(theirs.len());
    assert_eq!(ours[..common], theirs[..common], "other messages");
    let difference = theirs.len().cmp(&ours.len());
    assert!(
        is_explained(&our_end, &their_end, difference),
        "core: {our_end:?} after {}, tungstenite: {their_end:?} after {}",
        ours.len(),
        theirs.len()
    );
}

/// Whether the ends agree, or are known to differ. `more` tells whether tungstenite had more
/// messages than the core.
fn is_explained(ours: &Verdict, theirs: &Verdict, more: std::cmp::Ordering) -> bool {
    use Verdict::{Closed, Failed, TheyFailed, Waiting};
    match (ours, theirs) {
        // tungstenite reads a length in any form, also that of a control frame; section 5.2 of RFC
        // 6455 wants the shortest.
        (Failed(Error::Peer(PeerError::LengthNotMinimal | PeerError::ControlTooLong)), _) => {
            more.is_ge()
        }
        _ if more.is_ne() => false,
        (Failed(_), TheyFailed(_)) => true,
        // tungstenite answers a code that may not be sent with 1002, and hands that to its caller.
        (Failed(Error::Peer(PeerError::InvalidCloseCode(_))), Closed(1002, reason)) => {
            reason == VIOLATION
        }
        // 1014 was registered after RFC 6455; tungstenite does not know it.
        (Closed(1014, _), Closed(1002, reason)) => reason == VIOLATION,
        // The core fails with the first byte that is wrong, tungstenite with the end of the frame,
        // which never came; where a limit is passed in fragments, likewise.
        (Failed(error), Waiting) => shows_early(error),
        (ours, theirs) => ours == theirs,
    }
}

/// Whether the core finds this fault before the end of the frame that has it.
fn shows_early(error: &Error) -> bool {
    match error {
        Error::Limit(_) => true,
        Error::Peer(error) => !matches!(
            error,
            PeerError::CloseBodyTooShort
                | PeerError::InvalidCloseCode(_)
                | PeerError::CorruptDeflate
        ),
        _ => false,
    }
}

/// Splits what was told into messages and the end.
fn parted(mut told: Vec<Told>) -> (Vec<Told>, Verdict) {
    let end = match told.last() {
        Some(Told::Close(frame)) => Verdict::Closed(frame.code.get(), frame.reason.clone()),
        Some(Told::Failed(error)) => Verdict::Failed(error.clone()),
        _ => return (told, Verdict::Waiting),
    };
    told.pop();
    (told, end)
}

mod ours {
    //! The core's side, with the limits that tungstenite has too.

    use super::{Verdict, parted};
    use crate::drive::{Driver, Told};
    use crate::setup::Setup;
    use sockeye_proto::{AnyRole, Client};

    pub(super) fn run(is_client: bool, bytes: &[u8]) -> (Vec<Told>, Verdict) {
        let client = AnyRole::Client(Client::new(|| [1, 2, 3, 4]));
        let role = if is_client { client } else { AnyRole::Server };
        let mut driver = Driver::new(role, Setup::plain(super::LONGEST));
        driver.receive(bytes);
        parted(driver.told)
    }
}

fn by_tungstenite(input: Input, bytes: &[u8]) -> (Vec<Told>, Verdict) {
    let role = if input.is_client { Role::Client } else { Role::Server };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST.into()))
        .max_frame_size(Some(LONGEST.into()))
        .read_buffer_size(4096);
    let transport = Transport(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(transport, role, Some(config));
    let mut messages = Vec::new();
    let end = loop {
        messages.push(match socket.read() {
            Ok(Message::Text(text)) => Told::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Told::Binary(bytes.to_vec()),
            Ok(Message::Ping(payload)) => Told::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Told::Pong(payload.to_vec()),
            Ok(Message::Close(None)) => break Verdict::Closed(1005, String::new()),
            Ok(Message::Close(Some(frame))) => {
                break Verdict::Closed(frame.code.into(), frame.reason.as_str().to_owned());
            }
            Ok(Message::Frame(_)) => unreachable!("only written, never read"),
            Err(tungstenite::Error::Io(_)) => break Verdict::Waiting,
            Err(error) => break Verdict::TheyFailed(error.to_string()),
        });
    };
    (messages, end)
}

/// Bytes to read, then nothing for now; what is written goes nowhere.
struct Transport(Cursor<Vec<u8>>);

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            some => Ok(some),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The longest message, in bytes.
const LONGEST: u16 = 4_096;

const VIOLATION: &str = "Protocol violation";
