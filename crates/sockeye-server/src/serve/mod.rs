//! Runs a server by its configuration, from the first listener to the last connection.
//!
//! ```text
//!   Config ──► App ──► a listener for each address ──► door of WebSockets ──► the reactor
//!                                                 └──► HTTP: topics, pages
//!   signals ──► reload: policy, sessions      stop: drain, spread over time
//! ```

mod http;
mod setup;
mod told;

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use sockeye::{CloseCode, Drain, Listening};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::Admin;
use crate::app::App;
use crate::config::{Config, ConfigError};

pub(crate) use http::{serve as serve_http, upgrade_required};
pub use setup::Site;

/// Why a server could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// What the configuration says can't be done.
    Config(ConfigError),
    /// The system has no threads, pollers or random numbers left.
    System(io::Error),
    /// An address can't be listened on, or a certificate can't be used.
    Server(sockeye::Error),
}

/// Serves until the process is asked to stop and its connections have ended, or had their time to.
/// `started` is told where, as URLs, once connections are accepted; `reload` reads the configuration
/// anew, when the process is asked to.
///
/// # Errors
/// The server could not be started; nothing was served.
pub async fn run(
    config: Config,
    site: Site,
    started: impl FnOnce(&[String]),
    reload: impl Fn() -> Result<Config, ConfigError>,
) -> Result<(), ServeError> {
    raise_descriptors();
    let app = App::start(&config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut listening = setup::listen(&app, &config, site).await?;
    let admin = Admin::listen(&app, &config).await?;
    let mut urls = Vec::new();
    for one in &mut listening {
        urls.push(format!("{}://{}", setup::scheme(&config), one.local_addr()?));
        if let Some((listener, doorstep)) = one.let_accept()? {
            app.plane.listen(listener, doorstep);
        }
    }
    told::started(&app, site, &urls, admin.as_ref().map(Admin::address));
    tokio::spawn(told::slow_readers(app.clone()));
    started(&urls);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = app.drain.notified() => break,
            _ = hangup.recv() => app.reload(reload()),
        }
    }
    drain(&app, listening, config.time.drain).await;
    // It has told how the end went up to here.
    drop(admin);
    Ok(())
}

/// Takes leave of all connections.
async fn drain(app: &App, listening: Vec<Listening>, deadline: Duration) {
    let over = app.plane.leave_time(deadline / 2);
    app.stopping.send_replace(Some(over));
    app.plane.unlisten();
    told::drain_began(app, over, deadline);
    let mut draining = JoinSet::new();
    for one in listening {
        let drain = Drain::new(RESTART, over, deadline.saturating_add(LATER));
        draining.spawn(one.serve_until(std::future::ready(()), drain));
    }
    let closing = app.plane.close_over(RESTART, over);
    let ended = async { tokio::join!(closing, draining.join_all()) };
    if timeout(deadline, ended).await.is_err() {
        told::drain_forced(app);
    }
    told::drain_ended(app);
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
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::System(error) => Some(error),
            Self::Server(error) => Some(error),
        }
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
        Self::Server(error)
    }
}

/// By how much the listeners wait longer for their connections than is waited for the listeners, so that
/// those that are still there can be counted.
const LATER: Duration = Duration::from_secs(1);

/// The code that clients are told when the server stops: they are to come back (1012, service
/// restart, of the IANA registry).
const RESTART: CloseCode = CloseCode::new(1012);
