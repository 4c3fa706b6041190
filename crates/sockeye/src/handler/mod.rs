//! The callback form: what an application does with a connection as functions that are called.
//!
//! A [`Handler`] is run by [`WebSocket::run`](crate::WebSocket::run) or
//! [`Server::handle`](crate::Server::handle), and by the hosts of other crates just as well. Each
//! message is lent to it where it stands in the thread's read buffer, and all that it sends in answer
//! to one read leaves with one write. Nothing is copied or allocated for a message that came whole.
//!
//! ```
//! use sockeye::handler::{Handler, MessageRef, Out, Sent};
//!
//! /// Counts messages, and sends each back.
//! #[derive(Default)]
//! struct Counter {
//!     messages: u64,
//! }
//!
//! impl Handler for Counter {
//!     fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
//!         self.messages += 1;
//!         if out.send(message) == Sent::Dropped {
//!             out.close(1013.into(), "too fast");
//!         }
//!     }
//! }
//! ```
//!
//! Its functions must not block: other connections wait meanwhile.

mod mailbox;
mod places;
mod run;
mod topics;

pub use sockeye_proto::handler::{Handler, Out, Sender, Sent};
pub use sockeye_proto::{Error, MessageRef, PreparedMessage};
pub use topics::Topics;

pub(crate) use mailbox::{Delivery, Order};
pub(crate) use places::Places;
pub(crate) use run::Run;
