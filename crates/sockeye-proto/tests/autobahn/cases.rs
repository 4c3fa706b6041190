//! The cases as data: what the fuzzing peer does and what it must see in return.
//!
//! Owns the reading of `cases.json` and its little language of actions. Plays nothing.

use std::time::Duration;

use serde_json::Value;

/// One case of the suite.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) script: Script,
    /// The end that must send the first Close frame.
    pub(crate) starter: Starter,
    /// The close codes that the peer under test may send.
    pub(crate) codes: Vec<u16>,
    /// Whether both ends must have sent a Close frame.
    pub(crate) clean: bool,
}

/// What the fuzzer does in a case.
pub(crate) enum Script {
    /// One action after another.
    Actions {
        send: Vec<Action>,
        /// What must be seen; `None` where the suite only takes note of what happens.
        expect: Option<Vec<Seen>>,
        /// What the suite also lets pass, with a mark. This test does not.
        non_strict: Option<Vec<Seen>>,
        /// The fuzzer starts to close as soon as it has seen what it expects.
        then_close: bool,
    },
    /// Messages whose echoes must come back one by one.
    Echoes(Echoes),
}

/// Messages sent one after another, each when the echo of the one before is in.
pub(crate) struct Echoes {
    pub(crate) text: bool,
    pub(crate) count: usize,
    /// Bytes of binary messages, characters of texts.
    pub(crate) length: usize,
    pub(crate) fragment: Option<usize>,
    pub(crate) chop: Option<usize>,
    /// Simulated time after which the case has failed.
    pub(crate) timeout: Duration,
    pub(crate) source: Source,
}

/// What messages are made of.
pub(crate) enum Source {
    /// Some bytes again and again.
    Pattern(Vec<u8>),
    /// A window that slides over a file; the messages are compressed.
    File { name: String, deflate: Deflate },
}

/// What the fuzzer wants of permessage-deflate.
#[derive(Clone)]
pub(crate) struct Deflate {
    /// As a client: its offers, first choice first.
    pub(crate) offers: Vec<String>,
    /// As a server: what it asks of the client, first choice first.
    pub(crate) requests: Vec<Request>,
}

/// What a fuzzing server asks of the client.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) no_context_takeover: bool,
    /// A power of two; zero asks for nothing.
    pub(crate) window_bits: u8,
}

/// The end that closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    Fuzzer,
    Peer,
}

/// One step of the fuzzer.
#[derive(Clone)]
pub(crate) enum Action {
    Frame(RawFrame),
    Message {
        opcode: u8,
        payload: Vec<u8>,
        fragment: Option<usize>,
    },
    /// The header of an unfinished message's first frame.
    Begin {
        opcode: u8,
        length: usize,
    },
    /// Some of the payload of that frame.
    Part(Vec<u8>),
    /// The empty last frame of that message.
    End,
    Wait {
        time: Duration,
        /// The name under which is noted that the peer has not closed.
        note: Option<String>,
    },
    Close {
        code: Option<u16>,
        reason: Vec<u8>,
    },
    AutoFragment(usize),
    CloseAfter(Duration),
    DropAfter(Duration),
}

/// A frame, whether or not the protocol allows it.
#[derive(Clone, Default)]
pub(crate) struct RawFrame {
    pub(crate) more: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    /// Bytes per write; `None` writes all at once, together with what stands before and behind.
    pub(crate) chop: Option<usize>,
    /// The frame is a write of its own.
    pub(crate) alone: bool,
}

/// What the fuzzer saw of its peer, beside Close frames.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The peer had not closed when the wait of this name ended.
    Open(String),
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, bytes) = match self {
            Self::Text(bytes) => ("TEXT", bytes),
            Self::Binary(bytes) => ("BINARY", bytes),
            Self::Ping(bytes) => ("PING", bytes),
            Self::Pong(bytes) => ("PONG", bytes),
            Self::Open(note) => return write!(f, "open at {note}"),
        };
        let start = &bytes[..bytes.len().min(40)];
        write!(f, "{kind} of {} bytes '{}'", bytes.len(), start.escape_ascii())
    }
}

/// Returns all cases in the suite's order.
pub(crate) fn all() -> Vec<Case> {
    let data: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
    data["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| read_case(case, &data["sections"]))
        .collect()
}

/// Returns the cases of one section, such as `9.3`, or of a chapter, such as `6`.
pub(crate) fn of(section: &str) -> Vec<Case> {
    let prefix = format!("{section}.");
    all().into_iter().filter(|case| case.id.starts_with(&prefix)).collect()
}

/// Returns how many cases each section has, as the suite's own count tells.
pub(crate) fn counts() -> Vec<(String, usize)> {
    let data: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
    let sections = data["sections"].as_object().unwrap();
    sections.iter().map(|(name, section)| (name.clone(), number(&section["cases"]))).collect()
}

fn read_case(case: &Value, sections: &Value) -> Case {
    let id = string(&case["id"]);
    let Some(send) = case["send"].as_array() else {
        let section = id.rsplit_once('.').unwrap().0;
        let script = Script::Echoes(read_echoes(case, &sections[section]));
        return Case { id, script, starter: Starter::Fuzzer, codes: vec![1000], clean: true };
    };
    let script = Script::Actions {
        send: send.iter().map(|action| read_action(action.as_str().unwrap())).collect(),
        expect: read_seen(&case["expect"]),
        non_strict: read_seen(&case["non_strict"]),
        then_close: case["then_close"].as_bool().unwrap_or(false),
    };
    assert!(case["informational"].is_boolean() == case["expect"].is_null(), "{id}");
    let mut end = case["end"].as_str().unwrap().split(' ');
    let starter = match end.next() {
        Some("fuzzer") => Starter::Fuzzer,
        Some("peer") => Starter::Peer,
        other => panic!("{id}: nobody of the name {other:?} closes"),
    };
    let codes = end.next().unwrap().split(',').map(|code| code.parse().unwrap()).collect();
    Case { id, script, starter, codes, clean: end.next() == Some("clean") }
}

fn read_echoes(case: &Value, section: &Value) -> Echoes {
    let optional = |name: &str| case[name].as_u64().map(|n| usize::try_from(n).unwrap());
    let kind = case["kind"].as_str().or(section["kind"].as_str()).unwrap();
    let source = match section["data"].as_str() {
        Some(name) => Source::File { name: name.into(), deflate: read_deflate(section) },
        None => Source::Pattern(unhex(case["pattern"].as_str().unwrap_or_default())),
    };
    Echoes {
        text: kind == "TEXT",
        count: number(&case["count"]),
        length: number(&case["length"]),
        fragment: optional("fragment"),
        chop: optional("chop"),
        timeout: Duration::from_secs(case["timeout"].as_u64().unwrap()),
        source,
    }
}

fn read_deflate(section: &Value) -> Deflate {
    let requests = section["requests"].as_array().unwrap().iter().map(|request| Request {
        no_context_takeover: request[0].as_bool().unwrap(),
        window_bits: u8::try_from(number(&request[1])).unwrap(),
    });
    Deflate {
        offers: section["offers"].as_array().unwrap().iter().map(string).collect(),
        requests: requests.collect(),
    }
}

fn read_seen(list: &Value) -> Option<Vec<Seen>> {
    let read = |item: &Value| {
        let (kind, rest) = split(item.as_str().unwrap());
        match kind {
            "TEXT" => Seen::Text(payload(rest)),
            "BINARY" => Seen::Binary(payload(rest)),
            "PONG" => Seen::Pong(payload(rest)),
            "open" => Seen::Open(rest.into()),
            other => panic!("unknown event {other}"),
        }
    };
    Some(list.as_array()?.iter().map(read).collect())
}

fn read_action(action: &str) -> Action {
    let (verb, rest) = split(action);
    match verb {
        "message" => {
            let (opcode, rest) = split(rest);
            let (fragment, rest) = match rest.strip_prefix("fragment=") {
                Some(rest) => {
                    let (count, rest) = split(rest);
                    (Some(count.parse().unwrap()), rest)
                }
                None => (None, rest),
            };
            Action::Message { opcode: read_opcode(opcode), payload: payload(rest), fragment }
        }
        "begin" => {
            let (opcode, length) = split(rest);
            Action::Begin { opcode: read_opcode(opcode), length: length.parse().unwrap() }
        }
        "part" => Action::Part(payload(rest)),
        "end" => Action::End,
        "wait" => {
            let (time, note) = split(rest);
            let note = Some(note.to_owned()).filter(|note| !note.is_empty());
            Action::Wait { time: seconds(time), note }
        }
        "close" => {
            let (code, reason) = split(rest);
            let code = (code != "-").then(|| code.parse().unwrap());
            Action::Close { code, reason: payload(reason) }
        }
        "auto-fragment" => Action::AutoFragment(rest.parse().unwrap()),
        "close-after" => Action::CloseAfter(seconds(rest)),
        "drop-after" => Action::DropAfter(seconds(rest)),
        opcode => Action::Frame(read_frame(read_opcode(opcode), rest)),
    }
}

fn read_frame(opcode: u8, mut rest: &str) -> RawFrame {
    let mut frame = RawFrame { opcode, ..RawFrame::default() };
    loop {
        let (word, behind) = split(rest);
        if word == "more" {
            frame.more = true;
        } else if word == "alone" {
            frame.alone = true;
        } else if let Some(rsv) = word.strip_prefix("rsv=") {
            frame.rsv = rsv.parse().unwrap();
        } else if let Some(chop) = word.strip_prefix("chop=") {
            frame.chop = Some(chop.parse().unwrap());
        } else {
            frame.payload = payload(rest);
            return frame;
        }
        rest = behind;
    }
}

fn read_opcode(name: &str) -> u8 {
    match name {
        "CONT" => 0,
        "TEXT" => 1,
        "BINARY" => 2,
        "CLOSE" => 8,
        "PING" => 9,
        "PONG" => 10,
        other => other.strip_prefix("OP").unwrap().parse().unwrap(),
    }
}

/// Reads `'some characters'`, `x:` and hexadecimal digits, or those with `*` and the length up to
/// which they are repeated.
fn payload(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.strip_suffix('\'').unwrap().into();
    }
    let hex = text.strip_prefix("x:").unwrap();
    match hex.split_once('*') {
        Some((pattern, length)) => repeat(&unhex(pattern), length.parse().unwrap()),
        None => unhex(hex),
    }
}

/// Returns `length` bytes that repeat the pattern.
pub(crate) fn repeat(pattern: &[u8], length: usize) -> Vec<u8> {
    pattern.iter().copied().cycle().take(length).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().unwrap())
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
