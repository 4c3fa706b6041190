//! What there is: topics, clients and nodes, a page at a time.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use sockeye_hub::{Info, TopicName};

use super::gate::Gate;
use super::routes::{refuse, told};
use crate::clients::Listed;
use crate::http::problem::Problem;
use crate::http::{Query, ask};
use crate::metrics::resident_bytes;

/// Answers `GET /topics`.
pub(super) async fn topics(State(gate): State<Arc<Gate>>, RawQuery(query): RawQuery) -> Response {
    answer(&gate, list_topics(&gate, Query(&query.unwrap_or_default())))
}

/// Answers `GET /clients`.
pub(super) async fn clients(State(gate): State<Arc<Gate>>, RawQuery(query): RawQuery) -> Response {
    answer(&gate, list_clients(&gate, Query(&query.unwrap_or_default())))
}

/// Answers `GET /nodes`: this one.
pub(super) async fn nodes(State(gate): State<Arc<Gate>>) -> Response {
    let app = &gate.app;
    let epoch = app.hub.stats().cursor.epoch.to_string();
    let node = json!({
        "node": epoch,
        "version": env!("CARGO_PKG_VERSION"),
        "epoch": epoch,
        "uptime": app.clients.uptime().as_secs(),
        "connections": app.clients.len(),
        "rss": resident_bytes(),
        "draining": app.is_draining(),
    });
    told(StatusCode::OK, &json!({ "nodes": [node], "next": null }))
}

fn answer(gate: &Gate, listed: Result<Value, Problem>) -> Response {
    match listed {
        Ok(page) => told(StatusCode::OK, &page),
        Err(problem) => refuse(gate, &problem),
    }
}

fn list_topics(gate: &Gate, query: Query<'_>) -> Result<Value, Problem> {
    let after = query.first("after").map(|name| TopicName::new(&name)).transpose()?;
    let page = gate.app.hub.topics(after.as_ref(), limit(query)?);
    let topic = |(name, info): &(TopicName, Info)| {
        json!({
            "topic": name.as_str(),
            "subscribers": info.subscribers,
            "last_id": info.last_id.map(|id| id.to_string()),
            "oldest_id": info.oldest_id.map(|id| id.to_string()),
        })
    };
    let topics: Vec<_> = page.topics.iter().map(topic).collect();
    Ok(json!({ "topics": topics, "next": page.next.map(|name| name.as_str().to_owned()) }))
}

fn list_clients(gate: &Gate, query: Query<'_>) -> Result<Value, Problem> {
    let after = query.first("after");
    let (page, next) = gate.app.clients.page(after.as_deref(), limit(query)?);
    let client = |client: Listed| {
        json!({
            "client": client.name,
            "transport": client.transport.name(),
            "subject": client.subject,
            "ip": client.ip.to_string(),
            "topics": client.topics,
            "seconds": client.seconds,
        })
    };
    let clients: Vec<_> = page.into_iter().map(client).collect();
    Ok(json!({ "clients": clients, "next": next }))
}

fn limit(query: Query<'_>) -> Result<usize, Problem> {
    Ok(ask::number(query, "limit")?.unwrap_or(PAGE).clamp(1, PAGE))
}

/// Entries in one page, as in a page of a history.
const PAGE: usize = 300;
