//! Reading the head of an HTTP message as it arrives: where it ends, and whether it is well-formed.
//!
//! Owns the strictness: a head that passes here holds no bare CR or LF, no control character, no
//! folded line and no name that another parser could read otherwise. It keeps no copy of the bytes
//! and gives them no meaning; [`RequestHead`](super::RequestHead) does, of the parts that it is told.

use core::fmt;

use super::fields::{is_token_byte, is_value_byte, trim};
use super::{Rejection, Version};
use crate::Limits;

/// Finds the end of a head, byte by byte, and stops at the first byte that cannot belong to one.
///
/// Each byte is looked at once, however the head is cut into reads.
///
/// ```
/// use sockeye_proto::Limits;
/// use sockeye_proto::handshake::{HeadError, HeadReader};
///
/// let limits = Limits::default();
/// let mut reader = HeadReader::request();
/// assert_eq!(reader.read(b"GET / HTTP/1.1\r\nHo", &limits), Ok(None));
/// assert_eq!(reader.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nmore", &limits), Ok(Some(27)));
///
/// // What is not HTTP is told at once, not after a time-out.
/// assert_eq!(HeadReader::request().read(&[0x16, 0x03], &limits), Err(HeadError::Tls));
/// ```
#[derive(Clone, Debug)]
pub struct HeadReader {
    state: State,
    scanned: usize,
    /// Where the part that is being read begins, and the colon in it if it is a header.
    part: usize,
    colon: usize,
    target: usize,
    headers: usize,
    version: (u8, u8),
    status: u16,
    failed: Option<HeadError>,
    #[cfg(test)]
    steps: usize,
}

/// Why bytes are not the head of an HTTP/1.1 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// A TLS handshake on a port without TLS.
    Tls,
    /// Something other than HTTP.
    NotHttp,
    /// More than four empty lines before the request line.
    EmptyLines,
    /// A request line that is not `method SP target SP HTTP/n.n`, or a status line that is not
    /// `HTTP/1.n SP status SP reason`.
    StartLine,
    /// A version of HTTP that this end does not speak.
    Version,
    /// A byte in the request target that is not visible ASCII.
    Target,
    /// A CR or LF that does not end a line together with the other.
    LineEnding,
    /// A header line that starts with a space or tab (obsolete line folding).
    Folded,
    /// A header name that is empty, is no token, or is not followed by a colon at once.
    HeaderName,
    /// A control character in a header value.
    HeaderValue,
    /// The request target is longer than this many bytes.
    TargetTooLong(usize),
    /// The head is longer than this many bytes.
    HeadTooLong(usize),
    /// The head has more header lines than this.
    TooManyHeaders(usize),
    /// The head ends before its empty line.
    Incomplete,
}

/// A part of a head that has been read to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Method(&'a [u8]),
    Target(&'a [u8]),
    Header { name: &'a [u8], value: &'a [u8] },
}

/// Where in a head the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the request line, after this many empty lines.
    Start(u8),
    /// After the CR of a leading empty line; the count includes it.
    StartLf(u8),
    /// In the method, after this many bytes.
    Method(u8),
    Target,
    /// In a request's version, after this many bytes.
    Version(u8),
    /// In a response's version and status, after this many bytes.
    Status(u8),
    Reason,
    /// After the CR of the first line.
    FirstLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

impl HeadReader {
    /// Expects a request.
    pub const fn request() -> Self {
        Self::starting(State::Start(0))
    }

    /// Expects a response.
    pub const fn response() -> Self {
        Self::starting(State::Status(0))
    }

    const fn starting(state: State) -> Self {
        Self {
            state,
            scanned: 0,
            part: 0,
            colon: 0,
            target: 0,
            headers: 0,
            version: (1, 1),
            status: 0,
            failed: None,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Looks at what is new in `received`, which holds every byte since the start, and returns the
    /// length of the head once it is complete. What follows it belongs to the connection.
    ///
    /// # Errors
    /// The peer's faults: anything but a well-formed head, told at the first wrong byte, and limits
    /// told at the first byte beyond them. A reader that failed fails again.
    pub fn read(&mut self, received: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        self.read_parts(received, limits, |_| {})
    }

    /// As [`read`](Self::read), and calls `found` with the parts of the head.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn read_parts<'a>(
        &mut self,
        received: &'a [u8],
        limits: &Limits,
        mut found: impl FnMut(Part<'a>),
    ) -> Result<Option<usize>, HeadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let within = received.get(..limits.head).unwrap_or(received);
        while !matches!(self.state, State::Done)
            && let Some(byte) = within.get(self.scanned)
        {
            let next = self.step(*byte, limits).map_err(|error| self.fail(error))?;
            if let Some(part) = self.end_part(next, within) {
                found(part);
            }
            self.state = next;
            self.scanned += 1;
            self.skip_run(within);
        }
        match self.state {
            State::Done => Ok(Some(self.scanned)),
            _ if within.len() < received.len() => {
                Err(self.fail(HeadError::HeadTooLong(limits.head)))
            }
            _ => Ok(None),
        }
    }

    fn fail(&mut self, error: HeadError) -> HeadError {
        *self.failed.insert(error)
    }

    /// Passes over bytes that leave the reader in the state it is in: most of a head is names and
    /// values.
    fn skip_run(&mut self, received: &[u8]) {
        let rest = received.get(self.scanned..).unwrap_or_default();
        let run = match self.state {
            State::Name => run_of(rest, is_token_byte),
            State::Value => run_of_value(rest),
            _ => return,
        };
        self.scanned += run;
        #[cfg(test)]
        {
            self.steps += run;
        }
    }

    /// Notes where parts begin, as the next state tells; returns the one that this byte ends.
    fn end_part<'a>(&mut self, next: State, received: &'a [u8]) -> Option<Part<'a>> {
        match (self.state, next) {
            (State::Start(_), State::Method(_)) | (State::LineStart, State::Name) => {
                self.part = self.scanned;
                None
            }
            (State::Name, State::Value) => {
                self.colon = self.scanned;
                None
            }
            (State::Method(_), State::Target) => {
                let method = received.get(self.part..self.scanned)?;
                self.part = self.scanned + 1;
                Some(Part::Method(method))
            }
            (State::Target, State::Version(_)) => {
                received.get(self.part..self.scanned).map(Part::Target)
            }
            (State::Value, State::ValueLf) => {
                let name = received.get(self.part..self.colon)?;
                let value = trim(received.get(self.colon + 1..self.scanned)?);
                Some(Part::Header { name, value })
            }
            _ => None,
        }
    }

    /// Returns the version that the first line names.
    pub(super) fn version(&self) -> Version {
        if self.version.1 == 0 { Version::Http10 } else { Version::Http11 }
    }

    /// Returns the status that a status line names.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, HeadError> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        match (self.state, byte) {
            (State::Start(_), TLS_HANDSHAKE) => Err(HeadError::Tls),
            (State::Start(MAX_EMPTY_LINES), b'\r') => Err(HeadError::EmptyLines),
            (State::Start(lines), b'\r') => Ok(State::StartLf(lines + 1)),
            (State::StartLf(lines), b'\n') => Ok(State::Start(lines)),
            (State::Start(_), b'\n') | (State::StartLf(_), _) => Err(HeadError::LineEnding),
            (State::Start(_), byte) if is_token_byte(byte) => Ok(State::Method(1)),
            (State::Start(_), _) => Err(HeadError::NotHttp),
            (State::Method(_), b' ') => Ok(State::Target),
            (State::Method(len), byte) if len < MAX_METHOD && is_token_byte(byte) => {
                Ok(State::Method(len + 1))
            }
            (State::Method(_), _) => Err(HeadError::NotHttp),
            (State::Target, byte) => self.step_target(byte, limits),
            (State::Version(at), byte) => self.step_version(at, byte),
            (State::Status(at), byte) => self.step_status(at, byte),
            (State::Reason, byte) => step_text(byte, State::Reason, State::FirstLf),
            (State::FirstLf, b'\n') if self.version.0 != 1 || self.version.1 > 1 => {
                Err(HeadError::Version)
            }
            (State::FirstLf | State::ValueLf, b'\n') => Ok(State::LineStart),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::FirstLf | State::ValueLf | State::EndLf, _) => Err(HeadError::LineEnding),
            (State::LineStart, byte) => self.step_line_start(byte, limits),
            (State::Name, b':') => Ok(State::Value),
            (State::Name, byte) if is_token_byte(byte) => Ok(State::Name),
            (State::Name, _) => Err(HeadError::HeaderName),
            (State::Value, byte) => step_text(byte, State::Value, State::ValueLf),
            (State::Done, _) => Ok(State::Done),
        }
    }

    fn step_target(&mut self, byte: u8, limits: &Limits) -> Result<State, HeadError> {
        match byte {
            b' ' if self.target > 0 => Ok(State::Version(0)),
            0x21..=0x7E if self.target < limits.target => {
                self.target += 1;
                Ok(State::Target)
            }
            0x21..=0x7E => Err(HeadError::TargetTooLong(limits.target)),
            b' ' | b'\r' | b'\n' => Err(HeadError::StartLine),
            _ => Err(HeadError::Target),
        }
    }

    fn step_version(&mut self, at: u8, byte: u8) -> Result<State, HeadError> {
        let valid = match at {
            0..5 => PROTOCOL.get(usize::from(at)) == Some(&byte),
            5 | 7 => byte.is_ascii_digit(),
            6 => byte == b'.',
            _ if byte == b'\r' => return Ok(State::FirstLf),
            _ if byte == b'\n' => return Err(HeadError::LineEnding),
            _ => false,
        };
        if !valid {
            return Err(HeadError::StartLine);
        }
        match at {
            5 => self.version.0 = byte - b'0',
            7 => self.version.1 = byte - b'0',
            _ => {}
        }
        Ok(State::Version(at + 1))
    }

    fn step_status(&mut self, at: u8, byte: u8) -> Result<State, HeadError> {
        let valid = match (at, byte) {
            (0, TLS_ALERT | TLS_HANDSHAKE) => return Err(HeadError::Tls),
            (0..5, _) if PROTOCOL.get(usize::from(at)) == Some(&byte) => true,
            (0..5, _) => return Err(HeadError::NotHttp),
            (5, b'0' | b'2'..=b'9') => return Err(HeadError::Version),
            (5, b'1') | (6, b'.') | (7, b'0' | b'1') | (8, b' ') | (9, b'1'..=b'9') => true,
            (10 | 11, b'0'..=b'9') => true,
            (12, b' ') => return Ok(State::Reason),
            (12, b'\r') => return Ok(State::FirstLf),
            _ => false,
        };
        if !valid {
            return Err(HeadError::StartLine);
        }
        match at {
            7 => self.version.1 = byte - b'0',
            9..12 => self.status = self.status * 10 + u16::from(byte - b'0'),
            _ => {}
        }
        Ok(State::Status(at + 1))
    }

    fn step_line_start(&mut self, byte: u8, limits: &Limits) -> Result<State, HeadError> {
        match byte {
            b'\r' => Ok(State::EndLf),
            b'\n' => Err(HeadError::LineEnding),
            b' ' | b'\t' => Err(HeadError::Folded),
            byte if !is_token_byte(byte) => Err(HeadError::HeaderName),
            _ if self.headers == limits.headers => Err(HeadError::TooManyHeaders(limits.headers)),
            _ => {
                self.headers += 1;
                Ok(State::Name)
            }
        }
    }
}

/// Returns limits that let any head pass.
pub(super) fn unlimited() -> Limits {
    let (head, headers, target) = (usize::MAX, usize::MAX, usize::MAX);
    Limits { head, headers, target, ..Limits::default() }
}

/// Returns how many bytes stand at the front that pass a test.
fn run_of(bytes: &[u8], passes: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !passes(*byte)).unwrap_or(bytes.len())
}

/// Returns how many bytes stand at the front that values may hold. Without branches within a block the
/// compiler looks at its bytes together, and most of what browsers send are long values.
fn run_of_value(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_of_value =
        |block: &[u8; BLOCK]| block.iter().fold(true, |all, byte| all & is_value_byte(*byte));
    let run = blocks.iter().take_while(|block| is_of_value(block)).count() * BLOCK;
    run + run_of(bytes.get(run..).unwrap_or_default(), is_value_byte)
}

fn step_text(byte: u8, here: State, end: State) -> Result<State, HeadError> {
    match byte {
        b'\r' => Ok(end),
        b'\n' => Err(HeadError::LineEnding),
        byte if is_value_byte(byte) => Ok(here),
        _ => Err(HeadError::HeaderValue),
    }
}

impl HeadError {
    fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TargetTooLong(_) => 414,
            Self::HeadTooLong(_) | Self::TooManyHeaders(_) => 431,
            _ => 400,
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Tls => "tls_on_plain_port",
            Self::NotHttp => "not_http",
            Self::EmptyLines => "empty_lines",
            Self::StartLine => "request_line",
            Self::Version => "http_version",
            Self::Target => "target",
            Self::LineEnding => "line_ending",
            Self::Folded => "folded_header",
            Self::HeaderName => "header_name",
            Self::HeaderValue => "header_value",
            Self::TargetTooLong(_) => "target_too_long",
            Self::HeadTooLong(_) => "head_too_long",
            Self::TooManyHeaders(_) => "too_many_headers",
            Self::Incomplete => "head_incomplete",
        }
    }
}

impl From<HeadError> for Rejection {
    fn from(error: HeadError) -> Self {
        Self::by_rule(error.status(), error.rule(), alloc::format!("{error}.\n"))
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("TLS was spoken where plain HTTP is expected"),
            Self::NotHttp => f.write_str("This is not HTTP"),
            Self::EmptyLines => f.write_str("More than four empty lines precede the request"),
            Self::StartLine => f.write_str("The first line is malformed"),
            Self::Version => f.write_str("This version of HTTP is not spoken here, use HTTP/1.1"),
            Self::Target => f.write_str("The request target holds more than visible ASCII"),
            Self::LineEnding => f.write_str("A line ends in something other than CRLF"),
            Self::Folded => f.write_str("A header is folded over lines"),
            Self::HeaderName => f.write_str("A header name is malformed"),
            Self::HeaderValue => f.write_str("A header value holds a control character"),
            Self::TargetTooLong(max) => write!(f, "The request target exceeds {max} bytes"),
            Self::HeadTooLong(max) => write!(f, "The head exceeds {max} bytes"),
            Self::TooManyHeaders(max) => write!(f, "The head exceeds {max} headers"),
            Self::Incomplete => f.write_str("The head ends too early"),
        }
    }
}

impl core::error::Error for HeadError {}

/// The first byte of a TLS record that carries a handshake, and of one that carries an alert.
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_ALERT: u8 = 0x15;

/// RFC 9112 section 2.2 asks to ignore at least one; broken clients of old send a few.
const MAX_EMPTY_LINES: u8 = 4;

/// The longest registered method, `UPDATEREDIRECTREF`, has 17 letters.
const MAX_METHOD: u8 = 32;

const PROTOCOL: &[u8] = b"HTTP/";

/// Bytes of a value that are looked at together.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests;
