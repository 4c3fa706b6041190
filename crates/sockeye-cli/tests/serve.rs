//! `sockeye serve` and `sockeye echo` as processes: what they print, serve, refuse, and how they end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share fail the test in which they fail"
)]

#[path = "serve/admin.rs"]
mod admin;
#[cfg(target_os = "linux")]
mod apart;
#[cfg(target_os = "linux")]
#[path = "serve/clocks.rs"]
mod clocks;
#[path = "serve/command.rs"]
mod command;
#[path = "serve/doors.rs"]
mod doors;
#[path = "serve/draining.rs"]
mod draining;
#[path = "serve/ending.rs"]
mod ending;
#[path = "serve/exhausted.rs"]
mod exhausted;
#[path = "serve/frames.rs"]
mod frames;
#[path = "serve/hooks.rs"]
mod hooks;
#[path = "serve/http.rs"]
mod http;
#[cfg(target_os = "linux")]
#[path = "serve/idle.rs"]
mod idle;
#[path = "serve/killed.rs"]
mod killed;
#[cfg(target_os = "linux")]
#[path = "serve/link.rs"]
mod link;
#[path = "serve/log.rs"]
mod log;
#[cfg(target_os = "linux")]
#[path = "serve/memory.rs"]
mod memory;
#[path = "serve/metrics.rs"]
mod metrics;
#[cfg(target_os = "linux")]
#[path = "serve/narrow.rs"]
mod narrow;
#[path = "serve/operated.rs"]
mod operated;
#[path = "serve/operating.rs"]
mod operating;
#[path = "../../sockeye/tests/it/records.rs"]
mod records;
#[path = "serve/recovering.rs"]
mod recovering;
mod scratch;
#[path = "serve/stopped.rs"]
mod stopped;
#[path = "serve/storms.rs"]
mod storms;
#[cfg(target_os = "linux")]
#[path = "serve/strange.rs"]
mod strange;
#[path = "serve/streams.rs"]
mod streams;
#[path = "serve/support.rs"]
mod support;
#[path = "serve/tls.rs"]
mod tls;
#[path = "serve/topics.rs"]
mod topics;
