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

mod accept;
mod admit;
pub(crate) mod ask;
pub(crate) mod body;
mod format;
mod get;
mod limits;
mod linger;
mod openapi;
mod page;
mod pages;
mod poll;
pub(crate) mod problem;
pub(crate) mod publish;
mod stream;
mod text;
mod visit;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use http::request::Parts;
use http::{Method, Request};
use sockeye_hub::Hub;

use crate::alarms::Alarms;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::policy::{Policies, Policy};
use page::Page;
use problem::Problem;

pub(crate) use format::is_reserved;
pub use limits::HttpLimits;
pub(crate) use stream::Endless;
pub(crate) use text::Query;

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
    /// Who is connected, and what is counted.
    pub clients: Arc<Clients>,
    /// How many there may be.
    pub crowd: Arc<Crowd>,
    /// What wakes streams.
    pub alarms: Arc<Alarms>,
}

/// A request to a topic.
struct Call<'a> {
    topics: &'a Arc<Topics>,
    policy: &'a Arc<Policy>,
    parts: &'a Parts,
    page: &'a Page,
}

impl<'a> Call<'a> {
    /// Returns what tells who asks.
    fn who(&self) -> (&'a Arc<Policy>, &'a Parts, &'a Page) {
        (self.policy, self.parts, self.page)
    }
}

/// Makes the routes: `/t/{topic}` and `/openapi.json`.
pub fn router(state: Arc<Topics>) -> axum::Router {
    axum::Router::new()
        .route("/t/", any(topic))
        .route("/t/{topic}", any(topic))
        .route("/openapi.json", get(openapi::document))
        .with_state(state)
}

/// Answers a request to a topic.
async fn topic(State(topics): State<Arc<Topics>>, request: Request<Body>) -> Response {
    let policy = topics.policies.current();
    let (parts, mut body) = request.into_parts();
    let page = Page::of(&parts, &policy);
    let call = Call { topics: &topics, policy: &policy, parts: &parts, page: &page };
    let answered = answer(&call, &mut body).await;
    let response = answered.unwrap_or_else(|problem| {
        topics.clients.metrics().refused(problem.code);
        linger::refuse(&problem, &parts, body, &topics.limits)
    });
    page.dress(response, &policy)
}

async fn answer(call: &Call<'_>, body: &mut Body) -> Result<Response, Problem> {
    let method = &call.parts.method;
    if matches!(*method, Method::POST | Method::DELETE) && *call.page == Page::Foreign {
        return Err(Problem::foreign_page());
    }
    match *method {
        Method::DELETE => publish::clear(call).await,
        Method::GET => get::get(call).await,
        Method::HEAD => get::head(call).await,
        Method::OPTIONS => Ok(call.page.options(call.parts)),
        Method::POST => publish::publish(call, body).await,
        _ => Err(Problem::method()),
    }
}
