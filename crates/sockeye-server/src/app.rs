//! What all doors of a server share.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use sockeye_hub::{Epoch, Hub, Listener, Publication, Published, Refused};
use sockeye_proto::handler::Sender;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::alarms::Alarms;
use crate::auth::Grant;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::crowd::{Crowd, CrowdLimits};
use crate::fetch::Fetcher;
use crate::hook::Hooks;
use crate::http::{HttpLimits, Topics};
use crate::metrics::Metrics;
use crate::plane::{DataPlane, Form};
use crate::policy::{Policies, Policy};
use crate::protocol::{Rate, Service, Settings};
use crate::random;
use crate::serve::ServeError;

/// One server: its topics, who may do what with them, and where its connections live.
pub struct App {
    /// The topics.
    pub hub: Arc<Hub>,
    /// The time that messages get.
    pub clock: Clock,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// Where WebSockets live.
    pub plane: DataPlane,
    /// Who is connected, and what is counted.
    pub clients: Arc<Clients>,
    /// The configuration of the moment.
    pub(crate) config: RwLock<Arc<Config>>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) feeds: Feeds,
    /// What requests may take.
    pub(crate) http_limits: HttpLimits,
    /// Where what takes waiting is waited for.
    pub(crate) runtime: Handle,
    fetcher: Fetcher,
    /// What sessions work with.
    service: RwLock<Arc<Service>>,
    /// Asks whoever runs the server to stop it.
    pub(crate) drain: Notify,
    alarms: Arc<Alarms>,
    epoch: Epoch,
}

/// The listeners that stand for all WebSockets, by the form in which these get messages.
pub(crate) struct Feeds {
    raw: Arc<dyn Listener>,
    json: Arc<dyn Listener>,
}

impl Feeds {
    fn new(plane: &DataPlane) -> Self {
        Self { raw: plane.feed(Form::Raw), json: plane.feed(Form::Json) }
    }

    pub(crate) fn of(&self, form: Form) -> &Arc<dyn Listener> {
        match form {
            Form::Raw => &self.raw,
            Form::Json => &self.json,
        }
    }
}

impl App {
    /// Starts a server without doors, on the runtime that this is called on.
    ///
    /// # Errors
    /// What the configuration says can't be done, or the system has no threads, pollers or random
    /// numbers left.
    pub fn start(config: &Config) -> Result<Arc<Self>, ServeError> {
        let no_random = || std::io::Error::other("the system has no random numbers");
        let epoch = Epoch::from_random(random::bits().ok_or_else(no_random)?);
        let hub = Arc::new(Hub::new(epoch, config.rules(), config.hub_limits()));
        let fetcher = Fetcher::new().map_err(std::io::Error::other)?;
        let policy = policy(config, &fetcher)?;
        let (clients, clock) = (Arc::new(Clients::new(epoch)), Clock::start());
        let plane = DataPlane::start(clients.clone())?;
        let app = Arc::new(Self {
            service: RwLock::new(Arc::new(service(config, (&hub, &clock, &clients), &policy))),
            policies: Arc::new(Policies::new(policy)),
            clock,
            clients,
            drain: Notify::new(),
            config: RwLock::new(Arc::new(config.clone())),
            crowd: Arc::new(Crowd::new(crowd_limits(config))),
            feeds: Feeds::new(&plane),
            plane,
            http_limits: http_limits(config),
            runtime: Handle::current(),
            fetcher,
            alarms: Arc::default(),
            epoch,
            hub,
        });
        app.runtime.spawn(app.alarms.clone().ring());
        app.runtime.spawn(tick(app.hub.clone(), app.clock.clone()));
        Ok(app)
    }

    /// Takes on what a new configuration says of what can change while the server runs. One that is
    /// wrong changes nothing.
    pub(crate) fn reload(&self, config: Result<Config, ConfigError>) {
        let taken = config.and_then(|config| Ok((policy(&config, &self.fetcher)?, config)));
        let (policy, config) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                self.metrics().reload_failures.add(1);
                return tracing::error!(%error, "config.reload_failed");
            }
        };
        let old = self.config();
        let difference = old.difference(&config);
        let restart = difference.restart.join(", ");
        if !restart.is_empty() {
            tracing::warn!(keys = restart, "config.needs_restart");
        }
        let service = Arc::new(service(&config, (&self.hub, &self.clock, &self.clients), &policy));
        *self.service.write().unwrap_or_else(PoisonError::into_inner) = service;
        self.policies.replace(policy);
        self.crowd.set_limits(crowd_limits(&config));
        if old.rules() != config.rules() {
            self.hub.set_rules(config.rules(), self.clock.now());
        }
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        tracing::info!(keys = difference.live.join(", "), "config.reloaded");
    }

    /// Returns the configuration of the moment.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many messages a plain WebSocket may send; `None` for any number.
    pub(crate) fn message_rate(&self) -> Option<Rate> {
        message_rate(&self.config())
    }

    /// Returns what the routes of topics over HTTP work with.
    pub(crate) fn topics(&self) -> Arc<Topics> {
        Arc::new(Topics {
            hub: self.hub.clone(),
            clock: self.clock.clone(),
            policies: self.policies.clone(),
            limits: self.http_limits.clone(),
            clients: self.clients.clone(),
            crowd: self.crowd.clone(),
            alarms: self.alarms.clone(),
        })
    }

    /// Publishes a message now.
    ///
    /// # Errors
    /// As [`Hub::publish`].
    pub fn publish(&self, publication: Publication) -> Result<Published, Refused> {
        self.metrics().publish(&self.hub, publication, self.clock.now())
    }

    /// Returns what is counted.
    pub fn metrics(&self) -> &Metrics {
        self.clients.metrics()
    }

    /// Tells whether the server takes leave of its connections.
    pub(crate) fn is_draining(&self) -> bool {
        self.clients.stopping().is_some()
    }

    /// Takes note that a reader was too slow for a topic, which it has left for a while.
    pub(crate) fn held_back(&self, form: Form, channel: &str) {
        if let Some(topic) = form.topic(channel) {
            self.metrics().slow(self.hub.slow(&topic)).add(1);
        }
    }

    /// Wakes a connection to look whether its grant has ended by the wall's clock; returns when.
    pub(crate) fn wake_before(&self, end: SystemTime, connection: Sender) -> Instant {
        let wait = end.duration_since(self.clock.wall()).unwrap_or_default();
        let at = Instant::now() + wait.min(Grant::LOOK_AGAIN);
        self.set_alarm(at, connection);
        at
    }

    /// Wakes a connection at a moment.
    pub(crate) fn set_alarm(&self, at: Instant, connection: Sender) {
        self.alarms.set(at, connection);
    }

    /// Returns what sessions of `sockeye.v1.json` that begin now work with.
    pub(crate) fn service(&self) -> Arc<Service> {
        self.service.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Lets the hub forget what is too old, for as long as it is awaited.
async fn tick(hub: Arc<Hub>, clock: Clock) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        hub.handle_timeout(clock.now());
    }
}

fn policy(config: &Config, fetcher: &Fetcher) -> Result<Policy, ConfigError> {
    let mut policy = Policy::new(config.auth(fetcher)?);
    policy.api_keys = config.api_keys()?;
    policy.credential_rules = config.credential_rules();
    policy.origins = config.origins();
    let hooks = config.hooks()?;
    if !hooks.is_empty() {
        let (secret, timeout) = (config.hook_secret()?, config.auth.webhook.timeout);
        policy.hooks = Some(Arc::new(Hooks::new(fetcher.clone(), hooks, secret, timeout)));
    }
    Ok(policy)
}

fn service(
    config: &Config,
    (hub, clock, clients): (&Arc<Hub>, &Clock, &Arc<Clients>),
    policy: &Policy,
) -> Service {
    let mut settings = Settings {
        grace: config.time.refresh,
        ping: config.time.ping,
        message: config.max_message,
        ..Settings::default()
    };
    settings.limits.topics = config.limits.topics_per_connection;
    settings.rate = message_rate(config).or(settings.rate);
    Service {
        hub: hub.clone(),
        clock: clock.clone(),
        clients: clients.clone(),
        hooks: policy.hooks.clone(),
        auth: Arc::new(policy.auth.clone()),
        settings,
    }
}

fn message_rate(config: &Config) -> Option<Rate> {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let per_second = count(config.limits.messages_per_second?);
    Some(Rate { per_second, burst: count(config.limits.message_burst), ..Rate::default() })
}

fn http_limits(config: &Config) -> HttpLimits {
    HttpLimits {
        body: config.limits.publish_body.min(config.max_message),
        topics: config.limits.topics_per_connection,
        queue: config.queue_limits(),
        wait: HttpLimits::default().wait.max(config.time.poll),
        default_wait: config.time.poll,
        ..HttpLimits::default()
    }
}

fn crowd_limits(config: &Config) -> CrowdLimits {
    let new_per_second = u32::try_from(config.limits.new_per_second).unwrap_or(u32::MAX);
    CrowdLimits { per_ip: config.limits.per_ip, new_per_second }
}

/// How often the hub does what is due: what is told of ages is exact to this.
const TICK: Duration = Duration::from_secs(1);
