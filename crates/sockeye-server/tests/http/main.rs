//! Topics over HTTP/1.1, through real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod docs;
mod drain;
mod openapi;
mod pages;
mod poll;
mod publish;
mod recovery;
mod slow;
mod strangers;
mod streams;
mod support;
