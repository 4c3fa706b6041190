//! Whether the server lives, and whether it takes clients: for those who route traffic.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CACHE_CONTROL;

use crate::app::App;

/// Makes the routes `/healthz` and `/readyz`, which everybody may ask.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().route("/healthz", get(live)).route("/readyz", get(ready)).with_state(app)
}

async fn live() -> Response {
    told(StatusCode::OK, "ok\n")
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_draining() {
        told(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        told(StatusCode::OK, "ready\n")
    }
}

fn told(status: StatusCode, text: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}
