//! The description of the routes for programs, in the OpenAPI format.

use axum::response::IntoResponse;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};

/// Answers with the description, which is no secret.
pub(super) async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], DOCUMENT)
}

const DOCUMENT: &str = include_str!("openapi.json");
