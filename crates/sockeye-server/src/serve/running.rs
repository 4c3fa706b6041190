//! A server that runs: what it does between its start and its end.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use sockeye::{CloseCode, Drain, Listening};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::sockets::{Given, Sockets};
use super::{ServeError, Site, setup, told};
use crate::admin::Admin;
use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::metrics::Count;
use crate::signals::{Asked, Signals};
use crate::systemd::Notifier;
use crate::takeover::Takeover;
use crate::tls::{Certificates, Files};

/// A server that accepts connections.
pub(super) struct Running {
    app: Arc<App>,
    listening: Vec<Listening>,
    certificates: Option<Certificates>,
    /// Tells how the end goes, to the end.
    admin: Option<Admin>,
    notifier: Notifier,
    given: Given,
    status: String,
    /// Ends when no more connections come in.
    closed: mpsc::Receiver<Infallible>,
    /// Ends with the server.
    _alive: JoinSet<()>,
}

/// Why a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was asked to.
    Asked,
    /// A successor accepts in its place.
    Taken,
}

impl Running {
    /// Starts: takes over from the server that ran before, if there is one, and offers the same to the
    /// next.
    pub(super) async fn start(
        config: Config,
        site: Site,
        log_dropped: Arc<Count>,
        started: impl FnOnce(&[String]),
    ) -> Result<(Self, Option<Takeover>), ServeError> {
        let notifier = Notifier::from_env().unwrap_or_else(|error| {
            tracing::warn!(%error, "systemd.notify_failed");
            Notifier::default()
        });
        let (mut sockets, given) = Sockets::activated()?;
        let config = given.apply(config)?;
        sockets.inherit(&config).await?;
        let certificates = setup::certificates(&config)?;
        let app = App::start(&config)?;
        app.metrics().count_log_dropped(log_dropped);
        let certified = certificates.as_ref();
        let mut listening = setup::listen(&app, &config, site, &mut sockets, certified).await?;
        let urls = urls(&listening, &config)?;
        let (open, closed) = mpsc::channel(1);
        let listeners = accept(&app, &mut listening, &open)?;
        let offer = offer(&config, listeners, sockets).await?;
        let admin = admin(&app, &config).await?;
        told::started(&app, site, &urls, admin.as_ref().map(Admin::address));
        started(&urls);
        let status = format!("serving on {}", urls.join(", "));
        notifier.ready(&status);
        let mut alive = JoinSet::new();
        let feeding = notifier.clone();
        alive.spawn(async move { feeding.keep_alive(|| true).await });
        alive.spawn(told::slow_readers(app.clone()));
        let running = Self {
            app,
            listening,
            certificates,
            admin,
            notifier,
            given,
            status,
            closed,
            _alive: alive,
        };
        Ok((running, offer))
    }

    /// Serves until there is a reason to end. The sockets that were on offer are let go then.
    pub(super) async fn serve(
        &self,
        signals: &mut Signals,
        offer: Option<Takeover>,
        reload: impl Fn() -> Result<Config, ConfigError>,
    ) -> End {
        let mut taken = std::pin::pin!(taken(offer));
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Reload => self.reload(reload()),
                    Asked::Stop(_) | Asked::StopNow(_) => return End::Asked,
                },
                () = self.app.drain.notified() => return End::Asked,
                () = &mut taken => return End::Taken,
            }
        }
    }

    /// Takes leave of all connections.
    pub(super) async fn leave(mut self, end: End) {
        let deadline = self.app.config().time.drain;
        self.app.plane.unlisten();
        if end == End::Taken {
            tracing::info!("takeover.taken");
            // It is the successor's turn to be operated.
            self.admin = None;
            // Whoever came before the successor did is not turned away.
            let _ = timeout(LATECOMERS, self.settle()).await;
        }
        let over = leave_time(self.app.clients.len(), deadline / 2);
        told::drain_began(&self.app, over, deadline);
        self.notifier.stopping("closing connections");
        self.app.clients.stop(over);
        let mut draining = JoinSet::new();
        for one in self.listening {
            let drain = Drain::new(RESTART, over, deadline);
            draining.spawn(one.serve_and_drain(std::future::ready(()), drain));
        }
        let closing = self.app.plane.close_over(RESTART, over);
        let ((), left) = tokio::join!(closing, draining.join_all());
        told::drain_forced(left.into_iter().sum());
        told::drain_ended(&self.app);
    }

    /// Waits until nobody accepts any more and everybody who was accepted has been answered.
    async fn settle(&mut self) {
        let None = self.closed.recv().await;
        let mut looks = interval(LOOK);
        while self.listening.iter().any(|one| one.pending_handshakes() > 0) {
            looks.tick().await;
        }
    }

    /// Takes on a new configuration, and what the certificate's files hold now.
    fn reload(&self, config: Result<Config, ConfigError>) {
        self.notifier.reloading();
        self.app.reload(config.and_then(|config| self.given.apply(config)));
        if let Some(certificates) = &self.certificates {
            let reloaded = match Files::of(&self.app.config().tls) {
                Some(files) => certificates.reload_from(files),
                None => certificates.reload(),
            };
            match reloaded {
                Ok(()) => tracing::info!("tls.reloaded"),
                Err(error) => tracing::error!(%error, "tls.reload_failed"),
            }
        }
        self.notifier.ready(&self.status);
    }
}

/// Returns over how much time so many clients take leave, at most `most`: none comes back in a crowd.
fn leave_time(clients: usize, most: Duration) -> Duration {
    let count = u32::try_from(clients).unwrap_or(u32::MAX);
    (Duration::from_secs(1) / LEAVING).saturating_mul(count).min(most)
}

/// Returns where a server is found.
fn urls(listening: &[Listening], config: &Config) -> sockeye::Result<Vec<String>> {
    let scheme = setup::scheme(config);
    listening.iter().map(|one| Ok(format!("{scheme}://{}", one.local_addr()?))).collect()
}

/// Begins to accept on the reactor; returns the listeners, to be offered.
fn accept(
    app: &App,
    listening: &mut [Listening],
    open: &mpsc::Sender<Infallible>,
) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for one in listening {
        if let Some((listener, doorstep)) = one.let_accept()? {
            listeners.push(listener.try_clone()?);
            app.plane.listen(listener, doorstep, open.clone());
        }
    }
    Ok(listeners)
}

/// Takes the place of the server that ran before, and offers the sockets to the next.
async fn offer(
    config: &Config,
    listeners: Vec<TcpListener>,
    sockets: Sockets,
) -> Result<Option<Takeover>, ServeError> {
    let is_successor = sockets.ready().await?;
    let Some(path) = &config.takeover else { return Ok(None) };
    let addresses = config.listen.iter().map(ToString::to_string);
    match Takeover::offer(path, addresses.zip(listeners).collect()) {
        Ok(offer) => Ok(Some(offer)),
        // There is no way back for a successor.
        Err(error) if is_successor => {
            tracing::error!(%error, "takeover.not_offered");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Starts the admin's listener. Where one server may follow another, the one before lets go of the
/// address a moment later.
async fn admin(app: &Arc<App>, config: &Config) -> Result<Option<Admin>, ServeError> {
    let mut looks = interval(LOOK);
    let follows = config.takeover.is_some();
    for _ in 0..LOOKS {
        looks.tick().await;
        match Admin::listen(app, config).await {
            Err(_) if follows => {}
            listening => return Ok(listening?),
        }
    }
    // There is no way back for a successor.
    tracing::error!("admin.not_listening");
    Ok(None)
}

/// Waits until a successor has taken over, for ever where that is not offered.
async fn taken(offer: Option<Takeover>) {
    match offer {
        Some(offer) => offer.taken().await,
        None => std::future::pending().await,
    }
}

/// The code that clients are told when the server stops: they are to come back (1012, service
/// restart, of the IANA registry).
const RESTART: CloseCode = CloseCode::new(1012);

/// How many clients take leave in a second, unless that would take too long.
const LEAVING: u32 = 1_000;

/// How long those who were accepted last may take to ask for something, once a successor accepts.
const LATECOMERS: Duration = Duration::from_secs(5);

/// How often it is looked whether they have, or whether an address is free.
const LOOK: Duration = Duration::from_millis(10);

/// How often it is looked whether an address is free before that is given up: for 5 s.
const LOOKS: u32 = 500;
