//! A conformance tester for WebSocket clients and servers.
//!
//! It plays the 517 cases of the Autobahn test suite and those that Autobahn lacks against a peer,
//! and judges what it sees on the wire. It has its own frames, its own handshake and its own
//! inflater, and stands on none of Sockeye's other crates: a mistake in those is not repeated here.

mod case;
mod client;
mod fuzzer;
mod host;
mod judge;
pub mod log;
mod opening;
mod player;
pub mod report;
mod server;
mod tls;
mod verdict;
mod wire;

pub use case::{Case, Suite, SuiteError};
pub use client::ClientTest;
pub use server::{Progress, ServerTest, TestError};
pub use tls::TlsError;
pub use verdict::Verdict;
