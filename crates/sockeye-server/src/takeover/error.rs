//! Why sockets do not change hands.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why sockets do not change hands.
#[derive(Debug)]
#[non_exhaustive]
pub enum TakeoverError {
    /// The other one says what is not in the protocol.
    Broken(&'static str),
    /// The other one has gone.
    Gone,
    /// The system does not let us talk.
    Io(io::Error),
    /// A step took too long.
    Late,
    /// The path cannot be used.
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        fault: io::Error,
    },
    /// The other one does not hand its sockets over, or not to us.
    Refused(String),
    /// The other one belongs to another user, by number.
    User(u32),
    /// The other one speaks another version of the protocol.
    Version(u64),
}

impl TakeoverError {
    pub(super) fn at(path: &Path, fault: io::Error) -> Self {
        Self::Path { path: path.to_owned(), fault }
    }

    /// Makes the error of a path at which there is something else than a socket.
    pub(super) fn no_socket(path: &Path) -> Self {
        Self::at(path, io::Error::new(io::ErrorKind::AlreadyExists, "is there and no socket"))
    }
}

impl From<io::Error> for TakeoverError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("takeover: ")?;
        match self {
            Self::Broken(what) => {
                write!(f, "the other process does not speak the protocol: {what}")
            }
            Self::Gone => f.write_str("the other process has gone"),
            Self::Io(error) => error.fmt(f),
            Self::Late => f.write_str("the other process takes too long"),
            Self::Path { path, fault } => write!(f, "{}: {fault}", path.display()),
            Self::Refused(reason) => write!(f, "the other process refuses: {reason}"),
            Self::User(user) => write!(f, "the other process belongs to user {user}"),
            Self::Version(version) => {
                write!(f, "the other process speaks version {version} of the protocol")
            }
        }
    }
}

impl std::error::Error for TakeoverError {}
