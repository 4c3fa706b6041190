//! The WebSocket protocol without I/O.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

mod close;
mod config;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
pub mod handshake;
mod role;
mod time;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use config::{Config, Keepalive, Limits, Timeouts};
pub use error::{Error, Limit, LimitError, Misuse, PeerError, Timeout};
pub use role::{AnyRole, Client, MaskSource, Role, Server};
pub use time::Time;
