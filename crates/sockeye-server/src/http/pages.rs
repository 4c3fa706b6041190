//! `?info`, `?history`, `?presence`: what a topic is like, as JSON.

use axum::response::Response;
use sockeye_hub::{Id, Label, MemberPage, Order, Page, Since, TopicName};

use super::get::json;
use super::problem::Problem;
use super::{Call, ask};
use crate::auth::Act;
use crate::envelope::{write_gap, write_message, write_payload, write_text};

/// What is asked about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    History,
    Info,
    Presence,
}

/// Returns what is asked about a topic, if anything is.
pub(super) fn asked(call: &Call<'_>) -> Option<Asked> {
    let query = ask::query(call.parts);
    let asked = [("info", Asked::Info), ("history", Asked::History), ("presence", Asked::Presence)];
    asked.into_iter().find(|(name, _)| query.has(name)).map(|(_, asked)| asked)
}

/// Answers what is asked about a topic.
///
/// # Errors
/// The request is none, or not for who asks.
pub(super) async fn answer(call: &Call<'_>, asked: Asked) -> Result<Response, Problem> {
    let topic = ask::topic(call.parts)?;
    call.topics.admit(call.who(), Act::Subscribe, std::slice::from_ref(&topic)).await?;
    let mut out = match asked {
        Asked::History => history(call, &topic)?,
        Asked::Info => info(call, &topic),
        Asked::Presence => presence(call, &topic)?,
    };
    out.push('\n');
    json(out)
}

fn info(call: &Call<'_>, topic: &TopicName) -> String {
    let state = call.topics;
    let info = state.hub.info(topic, state.clock.now());
    let mut out = String::from(r#"{"topic":"#);
    write_text(&mut out, topic.as_str());
    out.push_str(&format!(r#","subscribers":{},"last_id":"#, info.subscribers));
    write_id(&mut out, info.last_id);
    out.push_str(r#","oldest_id":"#);
    write_id(&mut out, info.oldest_id);
    out.push('}');
    out
}

fn history(call: &Call<'_>, topic: &TopicName) -> Result<String, Problem> {
    let state = call.topics;
    let query = ask::query(call.parts);
    let limit = ask::number(query, "limit")?.unwrap_or(usize::MAX);
    let reversed = query.has("reverse");
    let (order, from) = if reversed {
        (Order::NewestFirst, Since::Now)
    } else {
        (Order::OldestFirst, Since::Oldest)
    };
    let since = ask::since(call.parts).unwrap_or(from);
    let Page { messages, gap, next, .. } =
        state.hub.history(topic, since, order, limit, state.clock.now());
    let mut out = String::from(r#"{"messages":["#);
    separated(&mut out, &messages, |out, message| write_message(out, message));
    out.push(']');
    if let Some(gap) = gap {
        out.push_str(r#","gap":"#);
        write_gap(&mut out, &gap);
    }
    out.push_str(r#","next":"#);
    write_id(&mut out, next);
    out.push('}');
    Ok(out)
}

fn presence(call: &Call<'_>, topic: &TopicName) -> Result<String, Problem> {
    let query = ask::query(call.parts);
    let limit = ask::number(query, "limit")?.unwrap_or(usize::MAX);
    let after = query.first("after").map(|after| Label::new(&after)).transpose()?;
    let MemberPage { members, total, next, .. } =
        call.topics.hub.members(topic, after.as_ref(), limit);
    let mut out = String::from(r#"{"members":["#);
    separated(&mut out, &members, |out, member| {
        out.push_str(r#"{"client":"#);
        write_text(out, member.client.as_str());
        write_payload(out, &member.about);
        out.push('}');
    });
    out.push_str(&format!(r#"],"total":{total},"next":"#));
    match next {
        Some(next) => write_text(&mut out, next.as_str()),
        None => out.push_str("null"),
    }
    out.push('}');
    Ok(out)
}

fn separated<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
}

fn write_id(out: &mut String, id: Option<Id>) {
    match id {
        Some(id) => write_text(out, &id.to_string()),
        None => out.push_str("null"),
    }
}
