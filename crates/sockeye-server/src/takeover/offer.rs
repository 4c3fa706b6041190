//! The side of the server that serves.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use super::channel::{Channel, Line, MOST_LISTENERS, PATIENCE, Step};
use super::error::TakeoverError;

/// A standing offer of a server's listening sockets to its successor. Dropped, it is withdrawn, and the
/// path is removed unless it is another's by then.
#[derive(Debug)]
pub struct Takeover {
    listeners: Vec<(String, TcpListener)>,
    door: UnixListener,
    bound: Bound,
}

/// A socket's path, removed in the end if it is the socket's still.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    /// What tells it from another socket of the same path: device and inode.
    identity: Option<(u64, u64)>,
}

impl Takeover {
    /// Offers `listeners`, with the addresses that they were configured with, at `path`. Only processes
    /// of the same user can take them. A socket that is there already is replaced: who offers has asked
    /// there before, by [`claim`](Self::claim).
    ///
    /// # Errors
    /// There are more than 64 listeners, or the path cannot be bound: its directory is missing or
    /// belongs to others, it is too long, or it is something else than a socket.
    pub fn offer(
        path: &Path,
        listeners: Vec<(String, TcpListener)>,
    ) -> Result<Self, TakeoverError> {
        if listeners.len() > MOST_LISTENERS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets").into());
        }
        let (door, bound) = bind(path)?;
        Ok(Self { listeners, door, bound })
    }

    /// Waits until a successor accepts connections at these sockets. The caller should accept no more
    /// then, drain, and end. Attempts that fail are logged as `takeover.failed` and change nothing.
    /// Cancel-safe: a successor that is just being talked to is let down.
    pub async fn taken(mut self) {
        loop {
            let attempt = match self.door.accept().await {
                Ok((stream, _)) => self.hand_over(stream).await,
                Err(error) => {
                    sleep(BACKOFF).await;
                    Err(error.into())
                }
            };
            match attempt {
                Ok(()) => return self.bound.leave(),
                Err(error) => tracing::warn!(%error, "takeover.failed"),
            }
        }
    }

    /// Talks to one that would be the successor.
    async fn hand_over(&self, stream: UnixStream) -> Result<(), TakeoverError> {
        let mut channel = Channel::new(stream)?;
        let talked = self.talk(&mut channel).await;
        if let Err(error) = &talked {
            // Whoever left cannot be told why.
            let _ = channel.send(&Line::refused(error), &[]).await;
        }
        talked
    }

    async fn talk(&self, channel: &mut Channel) -> Result<(), TakeoverError> {
        let hello = channel.receive(PATIENCE).await?;
        if hello.step != Step::Hello {
            return Err(hello.unexpected());
        }
        let addresses = self.listeners.iter().map(|(address, _)| address.clone()).collect();
        let sockets: Vec<_> = self.listeners.iter().map(|(_, socket)| socket.as_fd()).collect();
        channel.send(&Line::listeners(addresses), &sockets).await?;
        let ready = channel.receive(START).await?;
        if ready.step != Step::Ready {
            return Err(ready.unexpected());
        }
        // Both accept for this moment. It fails if the successor has died, and then nothing has changed.
        channel.send(&Line::of(Step::Draining), &[]).await
    }
}

impl Bound {
    /// Leaves the path to a successor.
    fn leave(&mut self) {
        self.identity = None;
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path).ok() == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds a path, instead of a socket that is there, in one step that others see.
fn bind(path: &Path) -> Result<(UnixListener, Bound), TakeoverError> {
    let fail = |error| TakeoverError::at(path, error);
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(TakeoverError::no_socket(path));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // What a process of our number left there that has ended.
    let _ = std::fs::remove_file(&new);
    let door = UnixListener::bind(&new).map_err(fail)?;
    let mut bound = Bound { identity: Some(identity(&new).map_err(fail)?), path: new.clone() };
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).map_err(fail)?;
    std::fs::rename(&new, path).map_err(fail)?;
    bound.path = path.to_owned();
    Ok((door, bound))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// How long a successor may take to start.
const START: Duration = Duration::from_secs(60);

/// How long to wait when the system has no descriptor for a successor.
const BACKOFF: Duration = Duration::from_secs(1);
