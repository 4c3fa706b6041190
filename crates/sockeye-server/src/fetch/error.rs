//! Why an answer can't be had.

use std::error::Error as _;
use std::fmt;
use std::io;

/// Why an answer can't be had. Holds nothing of the answer or the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no connection, or it broke.
    Connect(io::ErrorKind),
    /// The answer is longer than it may be.
    Long {
        /// The bytes that it may have.
        max: usize,
    },
    /// The answer is not HTTP/1.1, or breaks off.
    Protocol,
    /// The answer sends us elsewhere, and we don't go.
    Redirect(u16),
    /// The host has no address, or none that may be asked.
    Resolve,
    /// The answer has another status than 200.
    Status(u16),
    /// It took too long.
    Timeout,
    /// The certificate is not trusted, or TLS fails otherwise.
    Tls,
}

impl FetchError {
    pub(super) fn hyper(error: &hyper::Error) -> Self {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            None | Some(io::ErrorKind::UnexpectedEof) => Self::Protocol,
            Some(kind) => Self::Connect(kind),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(kind) => write!(f, "no connection: {kind}"),
            Self::Long { max } => write!(f, "the answer is longer than {max} bytes"),
            Self::Protocol => f.write_str("the answer is not whole HTTP/1.1"),
            Self::Redirect(status) => write!(f, "a redirect ({status}), which is not followed"),
            Self::Resolve => f.write_str("the host has no address that may be asked"),
            Self::Status(status) => write!(f, "the answer has the status {status}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Tls => f.write_str("TLS failed"),
        }
    }
}

impl std::error::Error for FetchError {}
