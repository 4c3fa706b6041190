//! `POST /disconnect`: parting with a client, with all of a subject, or with all of a topic.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};
use sockeye::CloseCode;
use sockeye_hub::TopicName;
use sockeye_proto::MAX_REASON;

use super::gate::Gate;
use super::routes::{read_json, refuse, told};
use crate::clients::Target;
use crate::http::problem::Problem;

/// Answers `POST /disconnect`.
pub(super) async fn disconnect(State(gate): State<Arc<Gate>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let order = read_json(&gate, &parts, body).await.and_then(Order::read);
    match order {
        Ok(order) => {
            let count = gate.app.clients.disconnect(&order.target, order.code, &order.reason);
            tracing::info!(n = count, code = order.code.get(), "clients.disconnected");
            told(StatusCode::OK, &json!({ "disconnected": count }))
        }
        Err(problem) => refuse(&gate, &problem),
    }
}

/// Whom to part with, and what they are told.
#[derive(Debug)]
struct Order {
    target: Target,
    code: CloseCode,
    reason: String,
}

impl Order {
    fn read(value: Value) -> Result<Self, Problem> {
        let Value::Object(mut members) = value else {
            return Err(Problem::bad_request("the body is an object"));
        };
        let client = text(&mut members, "client")?;
        let subject = text(&mut members, "subject")?;
        let topic = text(&mut members, "topic")?;
        let target = match (client, subject, topic) {
            (Some(client), None, None) => Target::Client(client),
            (None, Some(subject), None) => Target::Subject(subject),
            (None, None, Some(topic)) => Target::Topic(TopicName::new(&topic)?),
            _ => return Err(Problem::bad_request("name one of `client`, `subject`, `topic`")),
        };
        let code = match members.remove("code").filter(|code| !code.is_null()) {
            None => DISCONNECTED,
            Some(code) => close_code(&code)?,
        };
        let reason = text(&mut members, "reason")?.unwrap_or_else(|| "disconnected".to_owned());
        if reason.len() > MAX_REASON {
            let message = format!("`reason` has at most {MAX_REASON} bytes");
            return Err(Problem::bad_request(message));
        }
        Ok(Self { target, code, reason })
    }
}

fn close_code(value: &Value) -> Result<CloseCode, Problem> {
    let code = value.as_u64().and_then(|code| u16::try_from(code).ok()).map(CloseCode::new);
    let code = code.filter(|code| code.is_sendable());
    code.ok_or_else(|| Problem::bad_request("`code` is a close code that may be sent"))
}

fn text(members: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Problem> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::bad_request(format!("`{name}` is a text"))),
    }
}

/// The code that WebSockets are closed with unless another is named: from 3500 on, a client does not
/// come back by itself.
const DISCONNECTED: CloseCode = CloseCode::new(3503);
