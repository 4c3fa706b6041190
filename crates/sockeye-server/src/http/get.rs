//! `GET`: a stream, a poll or a page, as the request asks.

use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sockeye_hub::{Id, Since, TopicName};

use super::accept::{Form, choose};
use super::admit::Admitted;
use super::format::{Breadth, Events, Format, Lines, Parts, Replacement};
use super::problem::Problem;
use super::stream::{Endless, Phase, Streaming, Timer};
use super::visit::Visit;
use super::{Call, ask, pages, poll};
use crate::auth::Act;
use crate::random;
use crate::subscriber::Subscriber;

/// Answers `GET`.
///
/// # Errors
/// What the request asks for is none, or not for who asks.
pub(super) async fn get(call: &Call<'_>) -> Result<Response, Problem> {
    if let Some(page) = pages::asked(call) {
        return pages::answer(call, page).await;
    }
    let (topics, admitted) = find(call).await?;
    let form = form(call);
    let mut response = match format(form, &topics)? {
        Some(format) => stream(call, &topics, admitted, (form, format))?,
        None => poll::answer(call, &topics, admitted).await?,
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// Answers `HEAD`: as `GET` would, without waiting and without subscribing.
///
/// # Errors
/// As [`get`].
pub(super) async fn head(call: &Call<'_>) -> Result<Response, Problem> {
    if let Some(page) = pages::asked(call) {
        return pages::answer(call, page).await;
    }
    let (topics, _admitted) = find(call).await?;
    let format = format(form(call), &topics)?;
    let kind = format.map_or(JSON.to_owned(), |format| format.content_type());
    let cursor = call.topics.hub.recover(&[], Since::Now, call.topics.clock.now()).cursor;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    describe(headers, &kind)?;
    headers.insert(ETAG, entity_tag(cursor)?);
    headers.append(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// Reads the topics and finds out whether who asks may have them.
async fn find(call: &Call<'_>) -> Result<(Vec<TopicName>, Admitted), Problem> {
    let topics = ask::topics(call.parts, &call.topics.limits)?;
    let admitted = call.topics.admit(call.who(), Act::Subscribe, &topics).await?;
    Ok((topics, admitted))
}

fn form(call: &Call<'_>) -> Form {
    choose(call.parts.headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes))
}

/// Makes what writes a stream; nothing for a poll.
fn format(form: Form, topics: &[TopicName]) -> Result<Option<Box<dyn Format>>, Problem> {
    let parts = |replacement| {
        let boundary = random::name().ok_or_else(Problem::internal)?;
        Ok(Some(Box::new(Parts { boundary, replacement }) as Box<dyn Format>))
    };
    match form {
        Form::Events => {
            let breadth = if topics.len() == 1 { Breadth::One } else { Breadth::Several };
            let retry = random::between(RETRY_FROM, RETRY_TO);
            Ok(Some(Box::new(Events { breadth, retry })))
        }
        Form::Lines => Ok(Some(Box::new(Lines))),
        Form::List => Ok(None),
        Form::Parts => parts(Replacement::None),
        Form::Replacing => parts(Replacement::Previous),
    }
}

fn stream(
    call: &Call<'_>,
    topics: &[TopicName],
    admitted: Admitted,
    (form, format): (Form, Box<dyn Format>),
) -> Result<Response, Problem> {
    let state = call.topics;
    let since = ask::since(call.parts).unwrap_or(Since::Now);
    let ticket = state.crowd.enter(admitted.ip(), Instant::now()).map_err(Problem::crowded)?;
    let (mut subscriber, cursor) = subscribe(call, topics, since)?;
    if let Some(ends) = admitted.ends() {
        subscriber.end_at(ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    }
    let mailbox = subscriber.mailbox().clone();
    let kind = format.content_type();
    let who = (&admitted, ticket);
    let visit = Visit::begin(&state.clients, who, form.transport(), &subscriber);
    let streaming = Streaming {
        subscriber,
        format,
        admitted: admitted.into_lasting(),
        topics: state.clone(),
        visit,
        phase: Phase::Begins(cursor),
        timer: Timer::after(state.limits.heartbeat),
    };
    let mut response = Body::new(streaming).into_response();
    response.extensions_mut().insert(Endless { mailbox });
    let headers = response.headers_mut();
    describe(headers, &kind)?;
    // nginx would keep a stream until its buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Subscribes to topics; returns where the subscriber stands.
///
/// # Errors
/// The hub refuses one of them.
pub(super) fn subscribe(
    call: &Call<'_>,
    topics: &[TopicName],
    since: Since,
) -> Result<(Subscriber, Id), Problem> {
    let state = call.topics;
    let mut subscriber = Subscriber::new(state.hub.clone(), state.limits.queue);
    let subscribed = subscriber.subscribe(topics, since, state.clock.now());
    match subscribed.refused.first() {
        Some((_, refused)) => Err((*refused).into()),
        None => {
            state.clients.metrics().came_back(since, subscribed.gaps);
            Ok((subscriber, subscribed.cursor))
        }
    }
}

/// Makes a response of JSON.
///
/// # Errors
/// None that arises.
pub(super) fn json(json: String) -> Result<Response, Problem> {
    let mut response = json.into_response();
    describe(response.headers_mut(), JSON)?;
    Ok(response)
}

/// Says what an answer is, and that nobody may keep it.
fn describe(headers: &mut HeaderMap, kind: &str) -> Result<(), Problem> {
    let kind = HeaderValue::from_str(kind).map_err(|_| Problem::internal())?;
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(())
}

/// Writes a cursor as an entity tag.
///
/// # Errors
/// None that arises: an id has no other characters than tags have.
pub(super) fn entity_tag(cursor: Id) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(&format!("\"{cursor}\"")).map_err(|_| Problem::internal())
}

const JSON: &str = "application/json";

/// When clients come back that lose their stream: spread, so that not all that lost theirs by one
/// fault do so at once.
const RETRY_FROM: Duration = Duration::from_secs(1);
const RETRY_TO: Duration = Duration::from_secs(3);
