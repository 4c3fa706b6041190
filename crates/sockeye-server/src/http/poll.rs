//! The long poll: a list of what has come since a cursor, waited for if there is nothing.
//!
//! The cursor of the answer is where the next poll goes on. Between two polls nobody listens, and
//! the history has what came then; of a topic that keeps nothing the next poll is told a gap.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use sockeye_hub::{Id, Item, Since, TopicName};
use tokio::time::timeout;

use super::admit::Admitted;
use super::get::{entity_tag, json, subscribe};
use super::problem::Problem;
use super::stream::come_back;
use super::visit::{Visit, count_gap};
use super::{Call, Topics, ask};
use crate::auth::Denied;
use crate::auth::jwt::TokenError;
use crate::clients::Parting;
use crate::envelope::{write_gap, write_message};
use crate::metrics::Transport;
use crate::subscriber::Subscriber;

/// What a poll is answered with.
struct List {
    json: String,
    messages: usize,
    cursor: Id,
}

/// Why a wait is over.
enum Woken {
    Item(Item),
    Parting(Parting),
    Timeout,
}

/// Answers a poll.
///
/// # Errors
/// What it asks for is none, or not for who asks any more.
pub(super) async fn answer(
    call: &Call<'_>,
    topics: &[TopicName],
    admitted: Admitted,
) -> Result<Response, Problem> {
    let state = call.topics;
    let wait = ask::wait(call.parts, &state.limits)?;
    let Some(since) = ask::since(call.parts) else {
        return nothing(state.hub.recover(topics, Since::Now, state.clock.now()).cursor, None);
    };
    let (mut subscriber, cursor) = subscribe(call, topics, since)?;
    let first = match subscriber.try_next() {
        Some(item) => item,
        None => match wait_for(call, &mut subscriber, &admitted, wait).await? {
            Woken::Parting(Parting::Dismissed) => return Err(Problem::disconnected()),
            _ if admitted.has_ended(state.clock.wall()) => {
                return Err(Denied::from(TokenError::Expired).into());
            }
            Woken::Item(item) => item,
            Woken::Parting(Parting::Stopping(window)) => return nothing(cursor, Some(window)),
            Woken::Timeout => return nothing(cursor, None),
        },
    };
    let list = List::take(first, &mut subscriber, cursor, state);
    let mut response = json(list.json)?;
    response.headers_mut().insert(ETAG, entity_tag(list.cursor)?);
    Ok(response)
}

async fn wait_for(
    call: &Call<'_>,
    subscriber: &mut Subscriber,
    admitted: &Admitted,
    wait: Duration,
) -> Result<Woken, Problem> {
    let state = call.topics;
    let ticket = state.crowd.enter_again(admitted.ip()).map_err(Problem::crowded)?;
    let who = (admitted, ticket);
    let _visit = Visit::begin(&state.clients, who, Transport::Poll, subscriber);
    let ends = admitted.ends();
    let ends = ends.map(|ends| ends.duration_since(state.clock.wall()).unwrap_or_default());
    let wait = ends.map_or(wait, |ends| ends.min(wait));
    let woken = poll_fn(|context| match subscriber.poll_parting(context) {
        Poll::Ready(Parting::Stopping(window)) => match subscriber.try_next() {
            Some(item) => Poll::Ready(Woken::Item(item)),
            None => Poll::Ready(Woken::Parting(Parting::Stopping(window))),
        },
        Poll::Ready(why) => Poll::Ready(Woken::Parting(why)),
        Poll::Pending => match ready!(subscriber.poll_next(context)) {
            Some(item) => Poll::Ready(Woken::Item(item)),
            None => Poll::Pending,
        },
    });
    Ok(timeout(wait, woken).await.unwrap_or(Woken::Timeout))
}

impl List {
    /// Takes what is there, within the limits; what is left over is for the next poll.
    fn take(first: Item, subscriber: &mut Subscriber, cursor: Id, topics: &Topics) -> Self {
        let limits = &topics.limits;
        let mut list = Self { json: "[".to_owned(), messages: 0, cursor };
        let mut next = Some(first);
        while let Some(item) = next {
            list.add(&item, topics);
            let is_full = list.messages >= limits.poll || list.json.len() >= limits.poll_bytes;
            next = if is_full { None } else { subscriber.try_next() };
        }
        list.json.push_str("]\n");
        list
    }

    fn add(&mut self, item: &Item, topics: &Topics) {
        let metrics = topics.clients.metrics();
        if self.json.len() > 1 {
            self.json.push_str(",\n");
        }
        match item {
            Item::Gap(gap) => {
                count_gap(metrics, &topics.hub, gap);
                write_gap(&mut self.json, gap);
            }
            Item::Message(message) => {
                metrics.sent(Transport::Poll, message.payload.bytes().len());
                write_message(&mut self.json, message);
                self.messages += 1;
                self.cursor = message.id;
            }
        }
    }
}

/// Answers that nothing has come.
fn nothing(cursor: Id, stopping: Option<Duration>) -> Result<Response, Problem> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ETAG, entity_tag(cursor)?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(window) = stopping {
        headers.insert(RETRY_AFTER, come_back(window).as_secs().into());
    }
    Ok(response)
}
