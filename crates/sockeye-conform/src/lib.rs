//! A conformance tester for WebSocket clients and servers.
//!
//! It plays the 517 cases of the Autobahn test suite and those that Autobahn lacks against a peer,
//! and judges what it sees on the wire. It has its own frames, its own handshake and its own
//! inflater, and stands on none of Sockeye's other crates: a mistake in those is not repeated here.
//!
//! ```text
//!  cases/*.json ─► Suite ─► Case ─► Player ◄──── Fuzzer      frames out, frames in
//!                                     │ ▲
//!                                act  ▼ │  bytes, time
//!                      ServerTest / ClientTest / your own loop
//!                                     │
//!                                     ▼
//!                        CaseResult ─► Report ─► HTML, JSON, index.json, text
//! ```
//!
//! [`ServerTest`] opens connections to a server under test, [`ClientTest`] waits for those of a
//! client. A [`Player`] plays one case without any I/O, for an implementation that has no socket.

#![forbid(unsafe_code)]

mod case;
#[cfg(feature = "net")]
mod client;
mod fuzzer;
#[cfg(feature = "net")]
mod host;
mod judge;
pub mod log;
mod opening;
mod player;
pub mod report;
#[cfg(feature = "net")]
mod server;
#[cfg(feature = "net")]
mod tls;
mod verdict;
mod wire;

pub use case::{Case, Suite, SuiteError};
#[cfg(feature = "net")]
pub use client::ClientTest;
pub use player::{Act, Ended, Player};
#[cfg(feature = "net")]
pub use server::{Progress, ServerTest, TestError};
#[cfg(feature = "net")]
pub use tls::TlsError;
pub use verdict::Verdict;
