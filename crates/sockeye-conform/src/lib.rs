//! A conformance tester for WebSocket clients and servers.
//!
//! It plays the 517 cases of the Autobahn test suite and those that Autobahn lacks against a peer,
//! and judges what it sees on the wire. It has its own frames, its own handshake and its own
//! inflater, and stands on none of Sockeye's other crates: a mistake in those is not repeated here.

pub mod log;
pub mod report;
mod verdict;

pub use verdict::Verdict;
