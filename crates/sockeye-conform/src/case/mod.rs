//! A case: how a connection is opened, what the tester does, and what the peer must do in return.
//!
//! Owns the meaning of the cases. `language.rs` reads them from the files in `cases/`, `suite.rs`
//! gathers them; playing them is the player's work.

mod language;
mod samples;
mod suite;

use std::time::Duration;

pub use suite::{Suite, SuiteError};

pub(crate) use samples::{Random, SampleKind};

use crate::report::{AgentRole, CaseInfo};
#[cfg(feature = "net")]
use crate::wire::frame;

/// One case of the suite.
#[derive(Clone, Debug)]
pub struct Case {
    pub(crate) info: CaseInfo,
    /// The only role of a peer that the case is for; `None` for both.
    pub(crate) only: Option<AgentRole>,
    pub(crate) opening: Opening,
    pub(crate) script: Script,
    /// What must be seen; `None` where nothing is expected.
    pub(crate) expect: Option<Vec<Seen>>,
    /// What may be seen instead, which is then not strict.
    pub(crate) lenient: Option<Vec<Seen>>,
    pub(crate) end: End,
    /// The case is one of Autobahn's, which judges some ends more mildly.
    pub(crate) autobahn: bool,
}

impl Case {
    /// Makes a case that tells a client one text and closes, as the control connections do; an
    /// empty text is left out.
    #[cfg(feature = "net")]
    pub(crate) fn answer(text: &str) -> Self {
        let payload = Payload::Bytes(text.as_bytes().to_vec());
        let tell = Action::Message { opcode: frame::TEXT, payload, fragment: None };
        let close = Action::Close { code: Some(1000), reason: Payload::default() };
        let tell = (!text.is_empty()).then_some(tell);
        Self {
            info: CaseInfo::default(),
            only: None,
            opening: Opening::default(),
            script: Script::Actions {
                send: tell.into_iter().chain([close]).collect(),
                then_close: false,
            },
            expect: None,
            lenient: None,
            end: End {
                starter: Starter::Tester,
                right: vec![Ending::Any],
                lenient: Vec::new(),
                clean: false,
            },
            autobahn: false,
        }
    }

    /// Returns its name, such as `6.4.1`.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// Returns what a reader has to know of it.
    pub fn info(&self) -> &CaseInfo {
        &self.info
    }

    /// Tells whether a peer in this role can be put through it.
    pub fn is_for(&self, role: AgentRole) -> bool {
        self.only.is_none_or(|only| only == role)
    }

    /// Tells whether the handshake itself is at stake, so that a client may never get to a message.
    pub fn breaks_handshake(&self) -> bool {
        self.opening.client != Client::Works
    }
}

/// How the connection is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The case needs compression.
    pub(crate) deflate: Option<Deflate>,
    /// Lines to add to a right request or response.
    pub(crate) headers: String,
    /// The whole request in place of a right one.
    pub(crate) request: Option<String>,
    /// The statuses with which a server must answer.
    pub(crate) answer: Answers,
    /// A field that a refusal must have, and the element that must be in it.
    pub(crate) field: Option<(String, String)>,
    /// Behind a refusal the connection must end.
    pub(crate) last: bool,
    /// How long the answer may take.
    pub(crate) patience: Option<Duration>,
    /// The whole response in place of a right one.
    pub(crate) response: Option<String>,
    pub(crate) client: Client,
    /// Bytes of the head per write.
    pub(crate) chop: Option<usize>,
    /// The pause between these writes.
    pub(crate) pause: Duration,
}

/// What the tester wants of permessage-deflate.
#[derive(Clone, Debug)]
pub(crate) struct Deflate {
    /// As a client: its offers, first choice first.
    pub(crate) offers: Vec<String>,
    /// As a server: what it asks of the client, first choice first.
    pub(crate) requests: Vec<Request>,
    /// As a server: its answer, word for word, in place of one made from the requests.
    pub(crate) answer: Option<String>,
}

/// What the tester as a server asks of the client's compression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request {
    pub(crate) no_context_takeover: bool,
    /// A power of two; zero asks for nothing.
    pub(crate) window_bits: u8,
}

/// The answers of a server that are right, and those that are tolerable.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) right: Vec<Answer>,
    pub(crate) lenient: Vec<Answer>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { right: vec![Answer::Status(101)], lenient: Vec::new() }
    }
}

/// An answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Any status of a hundred, given by its first digit.
    Class(u16),
    /// No answer: the connection ends.
    Drop,
    /// Whatever, no answer included.
    Any,
}

impl Answer {
    pub(crate) fn fits(self, status: Option<u16>) -> bool {
        match self {
            Self::Status(right) => status == Some(right),
            Self::Class(class) => status.is_some_and(|status| status / 100 == class),
            Self::Drop => status.is_none(),
            Self::Any => true,
        }
    }
}

/// What a client must make of the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Client {
    #[default]
    Works,
    Fails,
    /// It must work; that it fails is tolerable.
    MayFail,
    /// It must fail; that it works is tolerable.
    MayWork,
}

/// What the tester does once the connection is open.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// One action after another.
    Actions {
        send: Vec<Action>,
        /// The tester starts to close as soon as it has seen what it expects.
        then_close: bool,
    },
    /// Messages whose echoes must come back one by one.
    Echoes(Echoes),
}

/// Messages sent one after another, each when the echo of the one before is in.
#[derive(Clone, Debug)]
pub(crate) struct Echoes {
    pub(crate) text: bool,
    pub(crate) count: usize,
    /// Bytes of binary messages, characters of texts.
    pub(crate) length: usize,
    pub(crate) fragment: Option<usize>,
    pub(crate) chop: Option<usize>,
    pub(crate) timeout: Duration,
    pub(crate) source: Source,
}

/// What messages are made of.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Some bytes again and again.
    Pattern(Vec<u8>),
    /// A window that slides over a sample; the messages are compressed.
    Sample(SampleKind),
}

/// One step of the tester.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Frame(FrameForm),
    Message {
        opcode: u8,
        payload: Payload,
        fragment: Option<usize>,
    },
    /// The header of an unfinished message's first frame.
    Begin {
        opcode: u8,
        length: usize,
    },
    /// Some of the payload of that frame.
    Part(Payload),
    /// The empty last frame of that message.
    End,
    /// Bytes as they are.
    Raw(Payload),
    /// What these actions send, once for each place where it can be cut in two.
    Cuts(Vec<Action>),
    Repeat(usize, Box<Action>),
    AutoFragment(usize),
    Close {
        code: Option<u16>,
        reason: Payload,
    },
    Wait {
        time: Duration,
        /// The name under which is noted that the peer has not closed.
        note: Option<String>,
    },
    /// Neither reads nor writes.
    Stall(Duration),
    HalfClose,
    CloseAfter(Duration),
    DropAfter(Duration),
}

impl Action {
    /// Tells whether it is done at once, by writing.
    pub(crate) fn only_sends(&self) -> bool {
        !matches!(
            self,
            Self::Wait { .. }
                | Self::Stall(_)
                | Self::HalfClose
                | Self::CloseAfter(_)
                | Self::DropAfter(_)
        )
    }
}

/// A frame, whether or not the protocol allows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameForm {
    pub(crate) more: bool,
    /// The reserved bits as a number; RSV1 is 4.
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) payload: Payload,
    pub(crate) mask: MaskForm,
    pub(crate) length: LengthForm,
    /// The length that the header tells, where it is not the payload's.
    pub(crate) declare: Option<u64>,
    /// The payload is compressed before it is sent.
    pub(crate) packed: bool,
    /// Bytes per write; `None` writes all at once, together with what stands before and behind.
    pub(crate) chop: Option<usize>,
    /// The frame is a write of its own.
    pub(crate) alone: bool,
}

/// How a frame is masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MaskForm {
    /// As the tester's role demands.
    #[default]
    Duty,
    Unmasked,
    Masked,
    /// With a key of four zeros.
    Zeros,
}

/// How a header writes its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LengthForm {
    #[default]
    Shortest,
    /// In 16 bits, needed or not.
    Medium,
    /// In 64 bits, needed or not.
    Long,
}

/// The bytes of a payload, kept as they were written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Bytes(Vec<u8>),
    /// A pattern, repeated up to a length.
    Repeated(Vec<u8>, usize),
    /// Characters in which `{n}` stands for the number of the turn.
    Numbered(String),
}

impl Default for Payload {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Payload {
    /// Returns the bytes as they are sent in a turn.
    pub(crate) fn bytes(&self, turn: usize) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Repeated(pattern, length) => {
                pattern.iter().copied().cycle().take(*length).collect()
            }
            Self::Numbered(text) => text.replace("{n}", &turn.to_string()).into_bytes(),
        }
    }
}

/// What the tester saw of its peer, beside Close frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The peer had not closed when the wait of this name ended.
    Open(String),
    /// In an expectation: any number of pongs.
    Pongs,
    /// In an expectation: whatever comes from there on.
    Anything,
}

/// How the connection must end.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) starter: Starter,
    pub(crate) right: Vec<Ending>,
    /// Tolerable as well, though not strict.
    pub(crate) lenient: Vec<Ending>,
    /// Both ends must have sent a Close frame, and the server must have dropped TCP first.
    pub(crate) clean: bool,
}

/// The end that closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    Tester,
    Peer,
}

/// One way in which a peer ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A Close frame with this code.
    Code(u16),
    /// A Close frame without a code.
    NoCode,
    /// The end of TCP without a Close frame.
    Drop,
    /// Any of these.
    Ends,
    /// Whatever happens, no end included.
    Any,
}
