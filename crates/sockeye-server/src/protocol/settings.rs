//! What an operator may set about sessions.

use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::Hub;

use super::rate::Rate;
use crate::auth::Auth;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::hook::Hooks;

/// What all sessions of a server share.
#[derive(Debug)]
pub struct Service {
    /// Holds the topics.
    pub hub: Arc<Hub>,
    /// Tells the time of the hub.
    pub clock: Clock,
    /// What is counted.
    pub clients: Arc<Clients>,
    /// Decides who may do what.
    pub auth: Arc<Auth>,
    /// Who answers what is published; `None` for nobody.
    pub hooks: Option<Arc<Hooks>>,
    /// How sessions behave.
    pub settings: Settings,
}

impl Service {
    /// Makes what sessions of a server need that has nothing but topics and rules for them.
    pub fn new(hub: Arc<Hub>, auth: Auth, settings: Settings) -> Self {
        let clients = Arc::new(Clients::new(hub.cursor().epoch));
        Self { hub, clock: Clock::start(), clients, auth: Arc::new(auth), hooks: None, settings }
    }
}

/// How sessions behave.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What one session may hold.
    pub limits: SessionLimits,
    /// How many commands a client may send; default 100 a second. `None` bounds nothing.
    pub rate: Option<Rate>,
    /// How long before its end a client is told that its grant ends; default 25 s, enough for a
    /// page to fetch a token.
    pub grace: Duration,
    /// How often the host sends a Ping, as clients are told; default 25 s. A client that hears
    /// nothing for longer than that knows that its connection is dead.
    pub ping: Duration,
    /// The longest frame that the host takes, as clients are told; default 64 KiB.
    pub message: usize,
}

/// What one session may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Topics that it is subscribed to, and topics that one command names; default 128, a few
    /// hundred bytes each.
    pub topics: usize,
    /// Commands that wait for a back end; default 16, each of up to a frame's bytes.
    pub questions: usize,
    /// Bytes of messages that one command, or one return of a slow reader, brings at once; default
    /// 512 KiB, half of what may wait in a connection. One message always comes. What is older is
    /// told as a gap and can be read page by page.
    pub burst: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: SessionLimits::default(),
            rate: Some(Rate::default()),
            grace: Duration::from_secs(25),
            ping: Duration::from_secs(25),
            message: 64 << 10,
        }
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { topics: 128, questions: 16, burst: 512 << 10 }
    }
}
