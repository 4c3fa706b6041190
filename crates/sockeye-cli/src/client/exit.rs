//! How clients end: their exit statuses, and failures as one line that says what to do.
//!
//! The statuses are fixed; `docs/cli.md` and `--help` list the same ones, command by command.

use std::process::ExitCode;

use sockeye::{Error, ErrorKind};

/// An exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Success = 0,
    /// The connection was lost, input could not be sent, or `--fail-on-close` applied.
    Failure = 1,
    /// The URL or a flag is wrong. The argument parser uses the same number.
    Usage = 2,
    /// The name has no address, or no address answers.
    Unreachable = 3,
    /// Something took too long.
    Timeout = 4,
    /// The TLS handshake failed.
    Tls = 5,
    /// The server answered with an HTTP status instead of opening a WebSocket.
    Refused = 6,
    /// The server broke the protocol, or a limit of this end.
    Protocol = 7,
    /// Ctrl-C: 128 + SIGINT, as shells count.
    Interrupted = 130,
    /// 128 + SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Returns the number that the process exits with.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A failure: the status, and a line for people.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// Describes why no connection was opened.
    pub(crate) fn opening(error: &Error) -> Self {
        let (exit, advice) = match error.kind() {
            ErrorKind::InvalidUrl => (Exit::Usage, "write ws://HOST[:PORT]/PATH or wss://…"),
            ErrorKind::Misuse => (Exit::Usage, "correct the flag that set it"),
            ErrorKind::Dns => (Exit::Unreachable, "check the host name"),
            ErrorKind::Connect | ErrorKind::Io => {
                (Exit::Unreachable, "check that the server runs, and its host and port")
            }
            ErrorKind::Timeout => (Exit::Timeout, "try again, or raise --connect-timeout"),
            ErrorKind::Tls => {
                (Exit::Tls, "--cacert FILE trusts another authority; ws:// is without TLS")
            }
            ErrorKind::Handshake => return Self::handshake(error),
            _ => (Exit::Protocol, "the server does not speak WebSocket here"),
        };
        Self::new(exit, format!("{error}; {advice}"))
    }

    fn handshake(error: &Error) -> Self {
        let Some(response) = error.response() else {
            let advice = "check that the server speaks WebSocket at this URL";
            return Self::new(Exit::Protocol, format!("{error}; {advice}"));
        };
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = response.status();
        let advice = match status.as_u16() {
            300..=399 => match header("location") {
                Some(location) => format!("connect to {location} instead"),
                None => "connect to where it redirects instead".to_owned(),
            },
            401 | 407 => "send credentials with -H or --bearer".to_owned(),
            403 => "it may want another --origin or other credentials".to_owned(),
            404 => "check the path of the URL".to_owned(),
            429 | 503 => match header("retry-after") {
                Some(after) => format!("try again after {after}"),
                None => "try again later".to_owned(),
            },
            _ => "-v shows the whole answer".to_owned(),
        };
        let text = format!("the server answered {status} instead of opening a WebSocket; {advice}");
        Self::new(Exit::Refused, text)
    }

    /// Describes why an open connection broke.
    pub(crate) fn broken(error: &Error) -> Self {
        let (exit, advice) = match error.kind() {
            ErrorKind::TooBig => (Exit::Protocol, "raise --max-message"),
            ErrorKind::Timeout => (Exit::Timeout, "the server or the network is stuck"),
            ErrorKind::Protocol | ErrorKind::InvalidUtf8 => {
                (Exit::Protocol, "the fault is the server's")
            }
            _ => (Exit::Failure, "connect again"),
        };
        Self::new(exit, format!("{error}; {advice}"))
    }
}
