//! The standalone server: everything behind `sockeye serve`.
//!
//! ```text
//!   config ──► what all of these do
//!   auth ──► Grant ──┐
//!                    ▼
//!   doors: WebSocket, SSE, stream, poll, HTTP publish ──► sockeye-hub: topics, history, presence
//! ```
#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
pub mod fetch;
