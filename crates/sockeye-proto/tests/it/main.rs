//! The connection against a raw peer: every frame, close and limit rule of RFC 6455 and RFC 7692
//! that needs no socket to be shown.
//!
//! The peer builds and reads frames with code of its own, so that a mistake in the crate's frame
//! code cannot hide behind the same mistake in the test.
#![cfg(feature = "deflate")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod close;
mod deflate;
mod frames;
mod limits;
mod memory;
mod pieces;
mod refusal;
mod split;
mod support;
mod utf8;
