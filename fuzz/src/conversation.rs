//! A client and a server of the core, wired to each other: what the one sends the other echoes, and
//! all of it comes back, in order, however it was framed and compressed.

use std::num::NonZeroUsize;

use arbitrary::{Arbitrary, Unstructured};
use sockeye_proto::{
    Client, CloseCode, Compress, Connection, Kind, MessageRef, Position, PreparedMessage,
    SendOptions, Server,
};

use crate::drive::{Driver, Told, chunks, delivery, joined};
use crate::setup::Setup;
use crate::wire::Frame;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    switches: u8,
    windows: u8,
    level: u8,
    chunk: u8,
    actions: Vec<Action<'a>>,
}

/// What the client does next.
#[derive(Arbitrary, Debug)]
enum Action<'a> {
    /// Sends a message whole, or in fragments of some bytes.
    Send {
        payload: Payload<'a>,
        fragment: u8,
        compress: bool,
    },
    /// Sends a message in pieces of some bytes.
    Pieces {
        payload: Payload<'a>,
        length: u8,
    },
    /// Puts frames of our own on the wire, with pings between them.
    Frames {
        payload: Payload<'a>,
        length: u8,
        ping: bool,
    },
    Ping(&'a [u8]),
}

/// A payload that may repeat itself, so that it outgrows a small window.
#[derive(Arbitrary, Debug)]
struct Payload<'a> {
    is_text: bool,
    times: u8,
    bytes: &'a [u8],
}

/// The two ends and what is on its way.
struct Wires {
    client: Driver<Client>,
    server: Driver<Server>,
    chunk: u8,
    prepares: bool,
    /// Bytes of each end that have left it, and events of the server that were answered.
    from_client: usize,
    from_server: usize,
    echoed: usize,
}

/// Holds a conversation.
pub fn conversation(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut wires = Wires::new(&input);
    let mut expected = Vec::new();
    for action in &input.actions {
        wires.act(action, &mut expected);
        wires.deliver();
    }
    wires.client.close();
    wires.deliver();
    wires.check(&expected);
}

impl Payload<'_> {
    fn message(&self) -> Told {
        let bytes = self.bytes.repeat(usize::from(self.times).max(1));
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        if self.is_text {
            let text = String::from_utf8_lossy(bytes);
            let fits = text.char_indices().map(|(at, _)| at).take_while(|at| *at < LONGEST).last();
            Told::Text(text[..fits.unwrap_or_default()].to_owned())
        } else {
            Told::Binary(bytes.to_vec())
        }
    }
}

impl Wires {
    fn new(input: &Input<'_>) -> Self {
        let setup = Setup::agreed(input.switches, input.windows, input.level);
        let mut client = Driver::new(Client::new(|| [0x11, 0x22, 0x33, 0x44]), setup);
        client.connection.set_delivery(delivery(setup.in_pieces()));
        Self {
            client,
            server: Driver::new(Server, setup),
            chunk: input.chunk,
            prepares: !setup.drains(),
            from_client: 0,
            from_server: 0,
            echoed: 0,
        }
    }

    /// Lets the client act, and notes what must come back.
    fn act(&mut self, action: &Action<'_>, expected: &mut Vec<Told>) {
        let Driver { connection, out, .. } = &mut self.client;
        match action {
            Action::Send { payload, fragment, compress } => {
                let message = payload.message();
                let options = SendOptions {
                    compress: if *compress { Compress::Auto } else { Compress::Never },
                    fragment: NonZeroUsize::new((*fragment).into()),
                };
                connection.send_with(as_ref(&message), options, out).expect("open, and not full");
                expected.push(message);
            }
            Action::Pieces { payload, length } => {
                let message = payload.message();
                send_pieces(connection, as_ref(&message), *length, out);
                expected.push(message);
            }
            Action::Frames { payload, length, ping } => {
                let message = payload.message();
                write_frames(as_ref(&message), *length, *ping, out, expected);
                expected.push(message);
            }
            Action::Ping(payload) => {
                let payload = &payload[..payload.len().min(125)];
                connection.ping(payload, out).expect("open, and short enough");
                expected.push(Told::Pong(payload.to_vec()));
            }
        }
    }

    /// Carries bytes both ways, and lets the server echo, until nothing moves.
    fn deliver(&mut self) {
        loop {
            let (client, server) = (self.client.out.len(), self.server.out.len());
            if (client, server) == (self.from_client, self.from_server) {
                return;
            }
            let sent = self.client.out[self.from_client..].to_vec();
            self.from_client = client;
            self.client.write(usize::MAX);
            for chunk in chunks(&sent, self.chunk) {
                self.server.receive(chunk);
                self.echo();
            }
            let answer = self.server.out[self.from_server..].to_vec();
            self.from_server = self.server.out.len();
            self.server.write(usize::MAX);
            chunks(&answer, self.chunk).for_each(|chunk| self.client.receive(chunk));
        }
    }

    fn echo(&mut self) {
        let Driver { connection, told, out, .. } = &mut self.server;
        for message in &told[self.echoed..] {
            if !matches!(message, Told::Text(_) | Told::Binary(_)) {
                continue;
            }
            if self.prepares {
                let prepared = PreparedMessage::new(as_ref(message));
                out.extend(connection.send_prepared(&prepared).expect("open, and not full"));
            } else {
                connection.send(as_ref(message), out).expect("open, and not full");
            }
        }
        self.echoed = told.len();
    }

    /// Checks that all came back, and that both ends closed as they should.
    fn check(mut self, expected: &[Told]) {
        let mut told = joined(&self.client.told);
        assert!(matches!(told.pop(), Some(Told::Close(frame)) if frame.code == CloseCode::NORMAL));
        // A pong overtakes the message it was sent into, so the two are compared apart.
        let is_pong = |told: &&Told| matches!(told, Told::Pong(_));
        assert!(told.iter().filter(is_pong).eq(expected.iter().filter(is_pong)), "other pongs");
        let is_message = |told: &&Told| !is_pong(told);
        let (ours, sent) = (told.iter().filter(is_message), expected.iter().filter(is_message));
        assert!(ours.eq(sent), "other messages");
        for end in [self.client.connection.close_info(), self.server.connection.close_info()] {
            assert!(end.is_some_and(|end| end.clean));
        }
        self.client.finish();
        self.server.finish();
    }
}

fn send_pieces(
    connection: &mut Connection<Client>,
    message: MessageRef<'_>,
    length: u8,
    out: &mut Vec<u8>,
) {
    let mut pieces = pieces(message.as_bytes(), length).peekable();
    while let Some(piece) = pieces.next() {
        let position = if pieces.peek().is_some() { Position::More } else { Position::Last };
        connection.send_piece(message.kind(), piece, position, out).expect("open, and not full");
    }
}

/// Writes a message in frames of some bytes, with a ping behind each of the first few but the last.
fn write_frames(
    message: MessageRef<'_>,
    length: u8,
    ping: bool,
    out: &mut Vec<u8>,
    expected: &mut Vec<Told>,
) {
    let mut opcode = if message.kind() == Kind::Text { 1 } else { 2 };
    let mask = Some([0xa5, 0x5a, 0x00, 0xff]);
    let mut pieces = pieces(message.as_bytes(), length).enumerate().peekable();
    while let Some((index, piece)) = pieces.next() {
        let fin = if pieces.peek().is_some() { 0 } else { 0x80 };
        Frame { first: fin | opcode, payload: piece.to_vec() }.write(mask, out);
        opcode = 0;
        if ping && fin == 0 && index < 8 {
            let payload = piece[..piece.len().min(125)].to_vec();
            expected.push(Told::Pong(payload.clone()));
            Frame { first: 0x89, payload }.write(mask, out);
        }
    }
}

/// Cuts a payload; an empty one is one piece.
fn pieces(bytes: &[u8], length: u8) -> impl Iterator<Item = &[u8]> {
    chunks(bytes, length).chain(bytes.is_empty().then_some(bytes))
}

fn as_ref(message: &Told) -> MessageRef<'_> {
    match message {
        Told::Text(text) => MessageRef::Text(text),
        Told::Binary(bytes) => MessageRef::Binary(bytes),
        other => panic!("{other:?} is no message"),
    }
}

/// The longest message, in bytes: above the largest window.
const LONGEST: usize = 40_000;
