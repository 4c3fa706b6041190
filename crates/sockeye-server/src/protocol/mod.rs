//! The protocol `sockeye.v1.json`: many topics over one WebSocket, one JSON object a frame.
//!
//! ```text
//!   text frame ──► Session::receive ──┬──► Host::send          answers, what was missed
//!                      │      ▲       ├──► Host::follow        what is live goes by the host
//!                      ▼      │       ├──► Host::ask           what takes waiting
//!                 sockeye-hub │       └──► Host::close
//!                             └── Session::answered, held_back, resume, handle_timeout
//! ```
//!
//! Owns what the commands mean, what a connection is subscribed to, and when it is told to renew
//! its token. Does no I/O, waits for nothing and reads no clock. How a live message looks is the
//! matter of [`envelope`](crate::envelope), and it goes from the hub to the connections past the
//! session: see [`Host`]. What clients need to know stands in `docs/protocol.md`.

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod burst;
mod command;
mod grant;
mod host;
mod rate;
mod refusal;
mod reply;
mod requests;
mod session;
mod settings;
mod subscribe;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use command::publication;
pub use host::{Host, Question, Verdict};
pub(crate) use rate::Bucket;
pub use rate::{Excess, Rate};
pub(crate) use refusal::Refusal;
pub use session::Session;
pub use settings::{Service, SessionLimits, Settings};

/// The name of the subprotocol.
pub const SUBPROTOCOL: &str = "sockeye.v1.json";
