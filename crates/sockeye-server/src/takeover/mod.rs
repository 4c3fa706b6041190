//! Handing the listening sockets of a running server to its successor, so that no connection is refused
//! in between.
//!
//! ```text
//!   successor                                    the one that serves
//!   claim    ── {"step":"hello"} ──────────────► who are you? same user, same version
//!            ◄─ {"step":"listeners"} + sockets ─ still serves
//!   serves
//!   ready    ── {"step":"ready"} ──────────────►
//!            ◄─ {"step":"draining"} ──────────── taken: accepts no more, drains, ends
//!   offer: binds the path itself
//! ```
//!
//! Each line is a JSON object with the protocol's version, on a Unix stream socket. The sockets are the
//! same in both processes, backlog and all, so that it does not matter which of them accepts while both
//! do. Every step has a bound in time, and up to the last one any failure leaves the old server as it
//! was. What is in the servers' memory stays there.

mod channel;
mod error;
mod offer;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::time::timeout;

pub use error::TakeoverError;
pub use offer::Takeover;

use channel::{Channel, Line, MOST_LISTENERS, PATIENCE, Step};

/// The listening sockets of a server that still serves.
#[derive(Debug)]
pub struct Inherited {
    channel: Channel,
    listeners: Vec<(String, TcpListener)>,
}

impl Takeover {
    /// Asks the server at `path` for its listening sockets; `None` when there is no server, be there a
    /// stale socket or nothing.
    ///
    /// # Errors
    /// What is at `path` is no socket or cannot be reached, belongs to another user, speaks another
    /// version or no such protocol, refuses, or takes too long. The old server serves on then.
    pub async fn claim(path: &Path) -> Result<Option<Inherited>, TakeoverError> {
        let Some(stream) = connect(path).await? else { return Ok(None) };
        let mut channel = Channel::new(stream)?;
        channel.send(&Line::of(Step::Hello), &[]).await?;
        let answer = channel.receive(PATIENCE).await?;
        if answer.step != Step::Listeners {
            return Err(answer.unexpected());
        }
        let descriptors = channel.take_descriptors();
        if descriptors.len() != answer.addresses.len() || descriptors.len() > MOST_LISTENERS {
            return Err(TakeoverError::Broken("another number of sockets than of addresses"));
        }
        let listeners = descriptors.into_iter().map(listener).collect::<Result<Vec<_>, _>>()?;
        let listeners = answer.addresses.into_iter().zip(listeners).collect();
        Ok(Some(Inherited { channel, listeners }))
    }
}

impl Inherited {
    /// Lists the addresses that are left, as the old server was configured with them.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|(address, _)| address.as_str())
    }

    /// Takes the socket of an address out of them; without blocking.
    pub fn take(&mut self, address: &str) -> Option<TcpListener> {
        let at = self.listeners.iter().position(|(own, _)| own == address)?;
        Some(self.listeners.remove(at).1)
    }

    /// Tells the old server to stop, since the new one accepts connections, and waits until it says that
    /// it does. What was not taken is closed.
    ///
    /// # Errors
    /// The old server does not say so in time, or is gone. It may serve still: the new one should end.
    pub async fn ready(self) -> Result<(), TakeoverError> {
        let Self { mut channel, listeners } = self;
        drop(listeners);
        channel.send(&Line::of(Step::Ready), &[]).await?;
        let answer = channel.receive(PATIENCE).await?;
        if answer.step != Step::Draining {
            return Err(answer.unexpected());
        }
        Ok(())
    }
}

/// Connects to whoever listens at `path`; `None` if nobody does.
async fn connect(path: &Path) -> Result<Option<UnixStream>, TakeoverError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TakeoverError::at(path, error)),
        Ok(found) if !found.file_type().is_socket() => return Err(TakeoverError::no_socket(path)),
        Ok(_) => {}
    }
    let connecting = timeout(PATIENCE, UnixStream::connect(path));
    match connecting.await.map_err(|_| TakeoverError::Late)? {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if is_stale(&error) => Ok(None),
        Err(error) => Err(TakeoverError::at(path, error)),
    }
}

/// Whether nobody listens any more, or the path has gone meanwhile.
fn is_stale(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Makes a listener of what came, if it is one.
fn listener(descriptor: OwnedFd) -> Result<TcpListener, TakeoverError> {
    if !is_listening(&descriptor) {
        return Err(TakeoverError::Broken("a descriptor that is no listening socket"));
    }
    let listener = TcpListener::from(descriptor);
    // It tells an address only if it is a TCP socket.
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(descriptor: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(descriptor).unwrap_or(false)
}

/// There the system does not tell.
#[cfg(target_vendor = "apple")]
fn is_listening(_: &OwnedFd) -> bool {
    true
}

#[cfg(test)]
mod tests;
