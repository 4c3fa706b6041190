//! `sockeye pub` and `sockeye sub` as processes, with a server that is killed and networks that cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share fail the test in which they fail"
)]

#[path = "pubsub/coming_back.rs"]
mod coming_back;
#[path = "pubsub/commands.rs"]
mod commands;
#[path = "pubsub/faults.rs"]
mod faults;
#[path = "pubsub/process.rs"]
mod process;
#[path = "pubsub/proxy.rs"]
mod proxy;
mod scratch;
#[path = "serve/support.rs"]
#[allow(dead_code, reason = "shared with the tests of serve, which use all of it")]
mod support;
