//! Runs a server by its configuration, from the first listener to the last connection.
//!
//! ```text
//!   Config ──► App ──► a listener for each address ──► door of WebSockets ──► the reactor
//!                                                 └──► HTTP: topics, pages
//!   signals, a successor ──► reload: policy, sessions, certificate      stop: drain, spread over time
//! ```

mod http;
mod running;
mod setup;
mod sockets;
mod stream;
mod told;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::{Config, ConfigError};
use crate::metrics::Count;
use crate::signals::{Ending, Signals};
use crate::takeover::TakeoverError;
use crate::tls::CertificateError;

pub(crate) use http::{serve as serve_http, upgrade_required};
pub use setup::Site;

use running::Running;

/// Why a server could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// What the configuration says can't be done.
    Config(ConfigError),
    /// The system has no threads, pollers or random numbers left, or passed what can't be used.
    System(io::Error),
    /// An address can't be listened on.
    Listen(sockeye::Error),
    /// The server that runs does not give way.
    Takeover(TakeoverError),
    /// The certificate or its key can't be used.
    Tls(CertificateError),
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// At once, since it was asked to stop a second time.
    AtOnce(Ending),
    /// In good order.
    InOrder,
}

/// Serves until the process is asked to stop, or a successor has taken over, and its connections have
/// ended, or had their time to. `started` is told where, as URLs, once connections are accepted;
/// `reload` reads the configuration anew, when the process is asked to. `log_dropped` counts the lines
/// of the log that were dropped, and is told among the metrics.
///
/// # Errors
/// The server could not be started; nothing was served.
pub async fn run(
    config: Config,
    site: Site,
    log_dropped: Arc<Count>,
    started: impl FnOnce(&[String]),
    reload: impl Fn() -> Result<Config, ConfigError>,
) -> Result<Stopped, ServeError> {
    raise_descriptors();
    let mut signals = Signals::listen()?;
    let (running, offer) = Running::start(config, site, log_dropped, started).await?;
    let end = running.serve(&mut signals, offer, reload).await;
    tokio::select! {
        () = running.leave(end) => Ok(Stopped::InOrder),
        by = signals.stop_now() => Ok(Stopped::AtOnce(by)),
    }
}

/// Takes as many descriptors as the system grants: each connection is one, and the usual soft limit
/// of 1,024 is there for programs that use `select`.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused the server takes fewer connections, and is none the worse otherwise.
    let _ = setrlimit(Resource::Nofile, limit);
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => write!(f, "cannot start: {error}"),
            Self::Listen(error) => error.fmt(f),
            Self::Takeover(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::System(error) => Some(error),
            Self::Listen(error) => Some(error),
            Self::Takeover(error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

impl From<CertificateError> for ServeError {
    fn from(error: CertificateError) -> Self {
        Self::Tls(error)
    }
}

impl From<ConfigError> for ServeError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<sockeye::Error> for ServeError {
    fn from(error: sockeye::Error) -> Self {
        Self::Listen(error)
    }
}

impl From<TakeoverError> for ServeError {
    fn from(error: TakeoverError) -> Self {
        Self::Takeover(error)
    }
}
