//! What the commands that are clients share: their standard streams, signals, flags for reaching a
//! server, and how they fail.
//!
//! What a command does with a connection is its own business.

pub(crate) mod backoff;
pub(crate) mod endpoint;
pub(crate) mod exit;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod show;
pub(crate) mod signals;
pub(crate) mod tls;
pub(crate) mod values;
