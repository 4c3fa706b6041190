//! The standalone server: everything behind `sockeye serve`.
//!
//! ```text
//!   config ──► what all of these do
//!   auth ──► Grant ──┐
//!                    ▼
//!   doors: WebSocket, SSE, stream, poll, HTTP publish ──► sockeye-hub: topics, history, presence
//! ```
#![forbid(unsafe_code)]

pub mod admin;
pub mod alarms;
pub mod app;
pub mod auth;
pub mod clients;
pub mod clock;
pub mod config;
pub mod crowd;
mod door;
pub mod envelope;
pub mod fetch;
mod guest;
pub mod hook;
pub mod http;
pub mod metrics;
mod pages;
pub mod plane;
pub mod policy;
pub mod protocol;
mod random;
pub mod serve;
pub mod signals;
pub mod subscriber;
pub mod systemd;
pub mod takeover;
pub mod tls;
