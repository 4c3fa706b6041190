//! Topics over HTTP: one URL for each, and what it answers is chosen by what is asked for.
//!
//! ```text
//!   GET /t/{topic}   Accept ──► text/event-stream   ┐
//!                               application/x-ndjson ├─► Streaming ◄── Subscriber ◄── hub
//!                               multipart/*          ┘
//!                               anything else ──► long poll
//!                    ?info ?history ?presence ──► a page of JSON
//!   POST             the body as it is ──► hub          DELETE ──► the history is cleared
//! ```
//!
//! Owns what HTTP says and means here. Who may do what is for [`crate::auth`], which pages may ask
//! for [`crate::policy`], and connections are the host's: it hands in requests with the client's
//! address as the extension [`ClientAddr`].

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod counters;
mod limits;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye_hub::Hub;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::policy::Policies;

pub use counters::Counters;
pub use limits::HttpLimits;

/// Where a client is, as the host knows it: an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

/// What the routes work with.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The topics.
    pub hub: Arc<Hub>,
    /// The time that messages get.
    pub clock: Clock,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// What requests may take.
    pub limits: HttpLimits,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Whether the server is stopping, and then over how much time its clients are to come back.
    /// Streams end then.
    pub stopping: watch::Receiver<Option<Duration>>,
}

/// Makes the routes: `/t/{topic}` and `/openapi.json`.
pub fn router(state: Arc<Topics>) -> axum::Router {
    axum::Router::new().with_state(state)
}
