//! Serves WebSockets with one thread per core.
//!
//! ```text
//!   listener ──► Door ──► Reactor::adopt ──► mailbox ─┐
//!                                                     ▼
//!   sockets ──► poll ──► read into the thread's one buffer ──► core ──► Handler::message
//!                                                                           │ Out::send, publish
//!   sockets ◄── one write per connection and turn ◄── the thread's one out ◄┘
//! ```
//!
//! A connection is taken over after its opening handshake, with its socket and its protocol state
//! ([`Adopted`]), and stays on the thread that has the fewest. Who listens may be anybody; with
//! [`Reactor::listen`] it is the reactor, and a [`Door`] answers the first bytes. Nothing on a message's way takes a lock
//! or allocates, and an idle connection holds no buffer. What `sockeye-proto` says is carried out here
//! and decided there.

#![forbid(unsafe_code)]

mod adopted;
mod clock;
mod connection;
mod door;
#[cfg(test)]
mod interleavings;
mod lag;
mod local;
mod mailbox;
mod reactor;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulation;
mod slab;
mod socket;
mod sync;
mod system;
mod threads;
mod topics;
mod traffic;
mod watchdog;
mod wheel;
mod worker;

pub use adopted::Adopted;
pub use clock::now;
pub use connection::SLOW_CONSUMER;
pub use door::Door;
pub use local::Backlog;
pub use reactor::Reactor;
pub use sockeye_proto::handler::{Handler, Out, Sent};
pub use traffic::Traffic;
pub use watchdog::Blocked;
