//! What all doors of a server share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};

use sockeye_hub::{Epoch, Hub, Limits, Listener, Publication, Published, Refused, Rules};
use sockeye_proto::handler::Sender;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::http::HttpLimits;
use crate::plane::{Alarms, DataPlane, Form};
use crate::policy::{Policies, Policy};
use crate::protocol::{Service, Settings};

/// One server: its topics, who may do what with them, and where its connections live.
pub struct App {
    /// The topics.
    pub hub: Arc<Hub>,
    /// The time that messages get.
    pub clock: Clock,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// How topics behave.
    pub rules: Rules,
    /// Where WebSockets live.
    pub plane: DataPlane,
    pub(crate) feeds: Feeds,
    /// Where what takes waiting is waited for.
    pub(crate) runtime: Handle,
    /// What sessions work with.
    service: RwLock<Arc<Service>>,
    /// What requests may take.
    pub(crate) http_limits: HttpLimits,
    alarms: Arc<Alarms>,
    clients: AtomicU64,
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
    /// The system has no threads, pollers or random numbers left.
    pub fn start(policy: Policy, rules: Rules, limits: Limits) -> io::Result<Arc<Self>> {
        let bits = crate::random::bits().ok_or_else(|| io::Error::other("no random numbers"))?;
        let epoch = Epoch::from_random(bits);
        let hub = Arc::new(Hub::new(epoch, rules.clone(), limits));
        let plane = DataPlane::start()?;
        let (auth, settings) = (Arc::new(policy.auth.clone()), Settings::default());
        let service = Service { hub: hub.clone(), auth, settings };
        let app = Arc::new(Self {
            clock: Clock::start(),
            policies: Arc::new(Policies::new(policy)),
            rules,
            feeds: Feeds::new(&plane),
            plane,
            runtime: Handle::current(),
            service: RwLock::new(Arc::new(service)),
            http_limits: HttpLimits::default(),
            alarms: Arc::default(),
            clients: AtomicU64::new(0),
            epoch,
            hub,
        });
        app.runtime.spawn(app.alarms.clone().ring());
        app.runtime.spawn(tick(app.hub.clone(), app.clock.clone()));
        Ok(app)
    }

    /// Publishes a message now.
    ///
    /// # Errors
    /// As [`Hub::publish`].
    pub fn publish(&self, publication: Publication) -> Result<Published, Refused> {
        self.hub.publish(publication, self.clock.now())
    }

    /// Makes a name for a client that no other has, in this life of the server and in others.
    pub(crate) fn name_client(&self) -> String {
        format!("{}-{}", self.epoch, self.clients.fetch_add(1, Ordering::Relaxed))
    }

    /// Wakes a connection when the wall's clock, as it is set now, shows `at`.
    pub(crate) fn wake_at(&self, at: SystemTime, connection: Sender) {
        let wait = at.duration_since(self.clock.wall()).unwrap_or_default();
        // Further ahead than a clock can tell is never.
        if let Some(at) = Instant::now().checked_add(wait) {
            self.set_alarm(at, connection);
        }
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

/// How often the hub does what is due: what is told of ages is exact to this.
const TICK: Duration = Duration::from_secs(1);
