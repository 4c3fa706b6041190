//! Starting threads, each with its name.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread.
///
/// # Errors
/// The system has none left; the error says that it is a thread that is missing.
pub(crate) fn start(
    name: String,
    act: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let started = Builder::new().name(name).spawn(act);
    started.map_err(|error| io::Error::new(error.kind(), format!("no thread to start: {error}")))
}
