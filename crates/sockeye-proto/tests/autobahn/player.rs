//! Plays a case: the fuzzer on one side, the core with an echo application on the other, a
//! transport and a clock that exist only here between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sockeye_proto::{
    Client, CloseInfo, Config, Connection, Delivery, Error, Event, Kind, Message, MessageRef, Next,
    Piece, Position, Role, Server, Time,
};

use super::cases::{Action, Case, Echoes, RawFrame, Script, Seen, Source, repeat};
use super::data::File;
use super::fuzzer::{BINARY, CONTINUATION, Fuzzer, TEXT};
use super::opening;
use super::pmce::Codec;

/// The role that the core plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plays {
    Client,
    Server,
}

/// How a case is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) plays: Plays,
    /// Whether the application takes and sends messages whole or piece by piece.
    pub(crate) echoes: Delivery,
    /// Bytes that one read takes at most.
    pub(crate) read: usize,
}

/// How a case went, for the verdict.
pub(crate) struct Record {
    pub(crate) fuzzer: Fuzzer,
    /// What the core said of the end.
    pub(crate) close_info: Option<CloseInfo>,
    pub(crate) error: Option<Error>,
    pub(crate) dropped: Dropped,
    /// Whether the core lets go of the transport at the end.
    pub(crate) is_over: bool,
    /// What the run of echoes lacks.
    pub(crate) failure: Option<String>,
}

/// The end that dropped the transport first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    Core,
    /// The fuzzer, as a server does after both Close frames.
    FuzzerAfterClose,
    /// The fuzzer, because nothing happened any more.
    FuzzerGaveUp,
}

/// The core with its application, which sends back every message.
struct Endpoint<R: Role> {
    connection: Connection<R>,
    out: Vec<u8>,
    error: Option<Error>,
}

/// A message or a piece of one, out of the core's hands.
struct Taken {
    kind: Kind,
    bytes: Vec<u8>,
    /// `None` for a whole message.
    position: Option<Position>,
}

struct Match<R: Role> {
    core: Endpoint<R>,
    fuzzer: Fuzzer,
    setting: Setting,
    now: Time,
    dropped: Option<Dropped>,
    expect: Option<Vec<Seen>>,
}

/// Plays a case.
pub(crate) fn play(case: &Case, setting: Setting) -> Record {
    let plays = setting.plays;
    let wanted = match &case.script {
        Script::Echoes(Echoes { source: Source::File { deflate, .. }, .. }) => Some(deflate),
        _ => None,
    };
    let mut config = match plays {
        Plays::Client => Config::client(),
        Plays::Server => Config::server(),
    };
    // Cases 9.1.6 and 9.2.6 send messages of this length; a server's default is 1 MiB.
    config.limits.message = 16 << 20;
    if wanted.is_some() {
        config.deflate = Some(opening::config_for(&case.id, plays == Plays::Server));
    }
    let (params, agreed) = match plays {
        Plays::Client => opening::core_connects(&config, wanted),
        Plays::Server => opening::core_serves(&config, wanted),
    };
    assert_eq!(params.is_some(), wanted.is_some(), "{}: both ends want to compress", case.id);
    let codec = agreed.map(|agreed| match plays {
        Plays::Client => Codec::new(agreed.server, agreed.client),
        Plays::Server => Codec::new(agreed.client, agreed.server),
    });
    let fuzzer = Fuzzer::new(plays == Plays::Server, codec);
    let (config, start) = (Arc::new(config), Time::from_micros(0));
    match plays {
        Plays::Client => {
            let mut core = Connection::new(Client::new(next_mask), config, start);
            core = params.into_iter().fold(core, Connection::with_deflate);
            Match::new(core, fuzzer, setting).play(case)
        }
        Plays::Server => {
            let mut core = Connection::new(Server, config, start);
            core = params.into_iter().fold(core, Connection::with_deflate);
            Match::new(core, fuzzer, setting).play(case)
        }
    }
}

/// A counter, scattered: a test needs masking keys that differ, not such that nobody foresees.
fn next_mask() -> [u8; 4] {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1).to_ne_bytes()
}

impl<R: Role> Endpoint<R> {
    /// Reads bytes and answers each message before it reads on.
    fn receive(&mut self, input: &mut [u8], now: Time) {
        let mut at = 0;
        loop {
            let mut events = self.connection.receive(&mut input[at..], now, &mut self.out);
            let taken = match events.next() {
                None => {
                    at += events.consumed();
                    assert_eq!(at, input.len(), "bytes are left that hold no event");
                    return;
                }
                Some(Err(error)) => {
                    assert!(self.error.is_none(), "a connection fails once");
                    self.error = Some(error);
                    return;
                }
                Some(Ok(Event::Message(message))) => Some(Taken::whole(message)),
                Some(Ok(Event::Piece(piece))) => Some(Taken::piece(piece)),
                Some(Ok(_)) => None,
            };
            at += events.consumed();
            if let Some(taken) = taken {
                self.send_back(&taken);
            }
        }
    }

    fn send_back(&mut self, taken: &Taken) {
        let Taken { kind, bytes, position } = taken;
        let (connection, out) = (&mut self.connection, &mut self.out);
        let result = match (position, kind) {
            (Some(position), _) => connection.send_piece(*kind, bytes, *position, out),
            (None, Kind::Text) => connection.send(std::str::from_utf8(bytes).unwrap(), out),
            (None, Kind::Binary) => connection.send(MessageRef::Binary(bytes), out),
        };
        result.unwrap();
    }

    /// Returns what is to be written, as if the transport had taken all of it.
    fn take_output(&mut self, now: Time) -> Vec<u8> {
        let mut taken = std::mem::take(&mut self.out);
        let mut count = taken.len();
        while count > 0 {
            self.connection.written(count, now, &mut self.out);
            count = self.out.len();
            taken.append(&mut self.out);
        }
        assert_eq!(self.connection.queued(), 0);
        taken
    }
}

impl Taken {
    fn whole(message: Message<'_>) -> Self {
        let (kind, bytes) = match message {
            Message::Text(text) => (Kind::Text, text.into_string().into_bytes()),
            Message::Binary(bytes) => (Kind::Binary, bytes.into_vec()),
        };
        Self { kind, bytes, position: None }
    }

    fn piece(piece: Piece<'_>) -> Self {
        Self { kind: piece.kind, bytes: piece.bytes.to_vec(), position: Some(piece.position) }
    }
}

impl<R: Role> Match<R> {
    fn new(mut connection: Connection<R>, fuzzer: Fuzzer, setting: Setting) -> Self {
        connection.set_delivery(setting.echoes);
        let core = Endpoint { connection, out: Vec::new(), error: None };
        let now = Time::from_micros(0);
        Self { core, fuzzer, setting, now, dropped: None, expect: None }
    }

    fn play(mut self, case: &Case) -> Record {
        let failure = match &case.script {
            Script::Actions { send, expect, then_close, .. } => {
                self.expect = expect.clone().filter(|_| *then_close);
                for action in send {
                    if self.dropped.is_some() {
                        break;
                    }
                    self.act(action);
                }
                None
            }
            Script::Echoes(echoes) => {
                let failure = self.play_echoes(echoes).err();
                if self.fuzzer.sent.is_none() && self.dropped.is_none() {
                    self.fuzzer.close(Some(1000), &[]);
                    self.exchange();
                }
                failure
            }
        };
        self.finish(failure)
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Frame(frame) => self.fuzzer.frame(frame),
            Action::Message { opcode, payload, fragment } => {
                self.fuzzer.message(*opcode, payload, *fragment);
            }
            Action::Begin { opcode, length } => self.fuzzer.begin(*opcode, *length),
            Action::Part(payload) => self.fuzzer.part(payload),
            Action::End => {
                self.fuzzer.frame(&RawFrame { opcode: CONTINUATION, ..RawFrame::default() });
            }
            Action::AutoFragment(length) => self.fuzzer.auto_fragment(*length),
            Action::Close { code, reason } => self.fuzzer.close(*code, reason),
            Action::Wait { time, note } => {
                self.pass(*time);
                if let (Some(note), None, None) = (note, self.dropped, self.fuzzer.received) {
                    self.fuzzer.seen.push(Seen::Open(note.clone()));
                }
            }
            Action::CloseAfter(time) => {
                self.pass(*time);
                if self.fuzzer.sent.is_none() && self.dropped.is_none() {
                    self.fuzzer.close(Some(1000), &[]);
                    self.exchange();
                }
            }
            Action::DropAfter(time) => self.pass(*time),
        }
    }

    fn play_echoes(&mut self, echoes: &Echoes) -> Result<(), String> {
        let file = match &echoes.source {
            Source::File { name, .. } => Some(File::new(name, echoes.text)),
            Source::Pattern(_) => None,
        };
        let constant = match &echoes.source {
            Source::Pattern(pattern) => repeat(pattern, echoes.length),
            Source::File { .. } => Vec::new(),
        };
        let end = self.now + echoes.timeout;
        let opcode = if echoes.text { TEXT } else { BINARY };
        for number in 0..echoes.count {
            let payload =
                file.as_ref().map_or(&constant[..], |file| file.window(number, echoes.length));
            if let Some(chop) = echoes.chop {
                let payload = payload.to_vec();
                let chop = Some(chop);
                self.fuzzer.frame(&RawFrame { opcode, payload, chop, ..RawFrame::default() });
            } else {
                self.fuzzer.message(opcode, payload, echoes.fragment);
            }
            self.exchange();
            let is_echo = match self.fuzzer.seen.as_slice() {
                [Seen::Text(echo)] => echoes.text && echo == payload,
                [Seen::Binary(echo)] => !echoes.text && echo == payload,
                _ => false,
            };
            if !is_echo {
                return Err(format!("instead of echo {number}: {:?}", self.fuzzer.seen));
            }
            self.fuzzer.seen.clear();
            if self.now > end {
                return Err(format!("time is up at echo {number}"));
            }
        }
        if file.is_some() && echoes.length >= 4096 && self.fuzzer.inflated() == Some(0) {
            return Err("no echo was compressed".into());
        }
        Ok(())
    }

    /// Carries bytes both ways until there are none, then the end of the transport if one end
    /// dropped it: the server does so once both Close frames are there.
    fn exchange(&mut self) {
        while let Some(mut bytes) = self.fuzzer.next_write() {
            for read in bytes.chunks_mut(self.setting.read) {
                self.now = self.now + READ_TIME;
                self.core.receive(read, self.now);
                self.deliver();
            }
        }
        let is_closed = self.fuzzer.sent.is_some() && self.fuzzer.received.is_some();
        if self.dropped.is_none() && self.setting.plays == Plays::Client && is_closed {
            self.dropped = Some(Dropped::FuzzerAfterClose);
        }
        if self.dropped.is_some() {
            self.core.connection.receive_eof();
        }
    }

    /// Carries the core's output to the fuzzer, and the end of the transport after it.
    fn deliver(&mut self) {
        let output = self.core.take_output(self.now);
        if !output.is_empty() {
            assert!(self.dropped.is_none(), "bytes after the core dropped the transport");
            let before = self.fuzzer.seen.len();
            self.fuzzer.receive(&output);
            if self.fuzzer.seen.len() > before
                && self.fuzzer.sent.is_none()
                && self.expect.as_ref() == Some(&self.fuzzer.seen)
            {
                self.fuzzer.close(Some(1000), &[]);
            }
        }
        if matches!(self.core.connection.next(), Next::Shutdown | Next::Close) {
            self.dropped.get_or_insert(Dropped::Core);
        }
    }

    /// Carries what waits, then lets time pass with all that falls due in it.
    fn pass(&mut self, time: Duration) {
        self.exchange();
        let end = self.now + time;
        while let Some(due) = self.core.connection.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let result = self.core.connection.handle_timeout(self.now, &mut self.core.out);
            self.core.error = self.core.error.take().or(result.err());
            self.deliver();
            self.exchange();
        }
        self.now = self.now.max(end);
    }

    /// Waits a second for the end of the transport, then drops it.
    fn finish(mut self, failure: Option<String>) -> Record {
        self.exchange();
        if self.dropped.is_none() {
            self.pass(Duration::from_secs(1));
        }
        let dropped = self.dropped.unwrap_or(Dropped::FuzzerGaveUp);
        self.core.connection.receive_eof();
        self.deliver();
        Record {
            close_info: self.core.connection.close_info().cloned(),
            is_over: self.core.connection.next() == Next::Close,
            error: self.core.error,
            fuzzer: self.fuzzer,
            dropped,
            failure,
        }
    }
}

/// How long a read takes: 4 MiB in frames of 64 bytes then take about a second.
const READ_TIME: Duration = Duration::from_micros(20);
