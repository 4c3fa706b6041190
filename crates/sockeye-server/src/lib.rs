//! The standalone server: everything behind `sockeye serve`.
//!
//! ```text
//!   auth ──► Grant ──┐
//!                    ▼
//!   doors: WebSocket, SSE, stream, poll, HTTP publish ──► sockeye-hub: topics, history, presence
//! ```
#![forbid(unsafe_code)]

pub mod auth;
pub mod clock;
pub mod envelope;
pub mod config;
pub mod fetch;
pub mod http;
pub mod policy;
mod random;
pub mod subscriber;
pub mod protocol;
