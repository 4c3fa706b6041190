//! `POST /publish`: one message, or many.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sockeye_hub::Published;

use super::gate::Gate;
use super::routes::{read_json, refuse, told};
use crate::http::is_reserved;
use crate::http::problem::Problem;
use crate::metrics::Transport;
use crate::protocol::publication;

/// Answers `POST /publish`. Each message of a list is published or not whatever becomes of the
/// others.
pub(super) async fn publish(State(gate): State<Arc<Gate>>, request: Request<Body>) -> Response {
    match answer(&gate, request).await {
        Ok(results) => told(StatusCode::OK, &results),
        Err(problem) => refuse(&gate, &problem),
    }
}

async fn answer(gate: &Gate, request: Request<Body>) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    match read_json(gate, &parts, body).await? {
        Value::Array(items) if items.len() > ITEMS => {
            let message = format!("a list has at most {ITEMS} messages");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "limit_exceeded", message))
        }
        Value::Array(items) => {
            let results = items.into_iter().map(|item| {
                one(gate, item).unwrap_or_else(|problem| {
                    let Problem { code, message, .. } = problem;
                    json!({ "error": { "code": code, "message": message } })
                })
            });
            Ok(results.collect())
        }
        item => one(gate, item),
    }
}

/// Publishes one message.
fn one(gate: &Gate, item: Value) -> Result<Value, Problem> {
    let Value::Object(members) = item else {
        return Err(Problem::bad_request("a message is an object"));
    };
    let publication = publication(members)?;
    if publication.event.as_ref().is_some_and(|event| is_reserved(event.as_str())) {
        return Err(Problem::bad_request("this event is the server's"));
    }
    let bytes = publication.payload.bytes().len();
    let Published { id, subscribers, is_repeat } = gate.app.publish(publication)?;
    let id = id.to_string();
    if is_repeat {
        return Ok(json!({ "id": id, "subscribers": subscribers, "repeat": true }));
    }
    gate.app.metrics().received(Transport::Admin, bytes);
    Ok(json!({ "id": id, "subscribers": subscribers }))
}

/// Messages in one request.
const ITEMS: usize = 1_000;
