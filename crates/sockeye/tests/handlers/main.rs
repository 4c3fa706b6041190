//! Handlers on tokio: what they are told, in which order, and what becomes of what they send. Most of
//! it is what the reactor is held to as well, in the same words.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod host;

#[path = "../../../sockeye-reactor/tests/it/closing.rs"]
mod closing;
#[path = "../../../sockeye-reactor/tests/it/echo.rs"]
mod echo;
#[path = "../../../sockeye-reactor/tests/it/ends.rs"]
mod ends;
#[path = "../../../sockeye-reactor/tests/it/panics.rs"]
mod panics;
#[path = "../../../sockeye-reactor/tests/it/peer.rs"]
mod peer;
#[path = "../../../sockeye-reactor/tests/it/probe.rs"]
mod probe;
#[path = "../../../sockeye-reactor/tests/it/room.rs"]
mod room;
#[path = "../../../sockeye-reactor/tests/it/senders.rs"]
mod senders;
#[path = "../../../sockeye-reactor/tests/it/topics.rs"]
mod topics;
