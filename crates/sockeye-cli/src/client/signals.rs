//! Ctrl-C and SIGTERM: the first asks for a close in good order, the second ends the process at once.

use std::io;

use tokio::sync::watch;

use super::exit::Exit;
use crate::terminal;

/// Tells when the process was asked to end.
pub(crate) struct Signals {
    first: watch::Receiver<Option<Exit>>,
}

impl Signals {
    /// Starts to listen. A second signal ends the process from here, whatever the rest is at.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut source = Source::new()?;
        let (tell, first) = watch::channel(None);
        tokio::spawn(async move {
            let exit = source.next().await;
            tell.send_replace(Some(exit));
            let exit = source.next().await;
            terminal::restore();
            std::process::exit(exit.code().into());
        });
        Ok(Self { first })
    }

    /// Waits for the first signal, and returns the status to exit with. Cancel-safe; once it came,
    /// every later call returns at once.
    pub(crate) async fn first(&mut self) -> Exit {
        match self.first.wait_for(Option::is_some).await.map(|exit| *exit) {
            Ok(Some(exit)) => exit,
            // The task lives as long as the process.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Exit {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
