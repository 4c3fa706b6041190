//! The routes of the admin's API, and what all of them have in common.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::gate::Gate;
use super::{disconnect, health, lists, publish};
use crate::auth::json::parse_within;
use crate::http::problem::Problem;
use crate::http::publish::Content;
use crate::http::{HttpLimits, body};
use crate::metrics::{CONTENT_TYPE as METRICS, Reading, render};

/// Makes the routes.
pub(super) fn router(gate: Arc<Gate>) -> Router {
    let app = gate.app.clone();
    Router::new()
        .route("/publish", post(publish::publish))
        .route("/disconnect", post(disconnect::disconnect))
        .route("/drain", post(drain))
        .route("/topics", get(lists::topics))
        .route("/clients", get(lists::clients))
        .route("/nodes", get(lists::nodes))
        .route("/config", get(config))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(method)
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(gate.clone(), guard))
        .with_state(gate)
        .merge(health::router(app).route("/openapi.json", get(description)))
}

/// Lets those in who may.
async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => refuse(&gate, &problem),
    }
}

/// Counts a refusal and answers with it.
pub(super) fn refuse(gate: &Gate, problem: &Problem) -> Response {
    gate.app.metrics().refused(problem.code);
    problem.into_response()
}

/// Answers with JSON.
pub(super) fn told(status: StatusCode, value: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, format!("{value}\n")).into_response()
}

/// Reads a body of JSON.
///
/// # Errors
/// It does not say that it is JSON, is none, is too long or comes too slowly.
pub(super) async fn read_json(
    gate: &Gate,
    parts: &Parts,
    mut body: Body,
) -> Result<Value, Problem> {
    if Content::of(&parts.headers)? != Content::Json {
        return Err(Problem::media_type("the body is JSON, and says so as application/json"));
    }
    let most = gate.app.config().limits.publish_body;
    let limits = HttpLimits { body: most, ..gate.app.http_limits.clone() };
    let bytes = body::read(&mut body, &limits).await?;
    parse_within(DEPTH, &bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

async fn drain(State(gate): State<Arc<Gate>>) -> Response {
    tracing::info!("drain.asked");
    gate.app.drain.notify_one();
    told(StatusCode::ACCEPTED, &json!({ "draining": true }))
}

async fn config(State(gate): State<Arc<Gate>>) -> Response {
    let headers = [(CONTENT_TYPE, "application/toml"), (CACHE_CONTROL, "no-store")];
    (headers, gate.app.config().to_toml()).into_response()
}

async fn metrics(State(gate): State<Arc<Gate>>) -> Response {
    let headers = [(CONTENT_TYPE, METRICS), (CACHE_CONTROL, "no-store")];
    (headers, render(&Reading::of(&gate.app))).into_response()
}

/// Answers with the description, which is no secret.
async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

async fn nothing(State(gate): State<Arc<Gate>>) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here");
    refuse(&gate, &problem)
}

async fn method(State(gate): State<Arc<Gate>>) -> Response {
    let mut response = refuse(&gate, &Problem::method());
    // That of topics; the router says which methods this path has.
    response.headers_mut().remove(ALLOW);
    let plain = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, plain);
    response
}

/// How deep a body may nest: a list of objects.
const DEPTH: usize = 3;

const DOCUMENT: &str = include_str!("openapi.json");
