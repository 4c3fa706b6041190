//! What the process is asked to do by signals.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM, SIGINT | stop in good order; the second one, at once |
//! | SIGHUP | read the configuration and the certificates again |
//! | SIGUSR1, SIGUSR2 | nothing |
//! | SIGPIPE | nothing: Rust's runtime ignores it, and writing fails instead |
//!
//! Without a handler SIGUSR1, SIGUSR2 and SIGHUP would end the process. Exit codes
//! are the program's business.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

/// What the process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// Read the configuration and the certificates again.
    Reload,
    /// Stop in good order.
    Stop(Ending),
    /// Stop at once: it was asked to stop before.
    StopNow(Ending),
}

/// The signal that asks for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The signals that come in.
#[derive(Debug)]
pub struct Signals {
    source: Source,
    order: Order,
}

impl Signals {
    /// Starts to listen, for the rest of the process's life: to be called early, since until then
    /// SIGHUP ends the process.
    ///
    /// # Errors
    /// The system lets nobody listen.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { source: Source::listen()?, order: Order::default() })
    }

    /// Waits for the next thing that is asked. Cancel-safe. Signals of one kind that come faster than
    /// they are taken count once.
    pub async fn next(&mut self) -> Asked {
        self.order.next(self.source.next().await)
    }

    /// Waits until the process is asked to stop at once, and for nothing else. Cancel-safe.
    pub async fn stop_now(&mut self) -> Ending {
        loop {
            if let Asked::StopNow(by) = self.next().await {
                return by;
            }
        }
    }
}

/// A signal that means something.
#[derive(Clone, Copy, Debug)]
enum Signal {
    End(Ending),
    Reload,
}

/// Tells the first request to end from later ones.
#[derive(Debug, Default)]
struct Order {
    is_ending: bool,
}

impl Order {
    fn next(&mut self, signal: Signal) -> Asked {
        match signal {
            Signal::Reload => Asked::Reload,
            Signal::End(by) if self.is_ending => Asked::StopNow(by),
            Signal::End(by) => {
                self.is_ending = true;
                Asked::Stop(by)
            }
        }
    }
}

#[derive(Debug)]
struct Source {
    hangup: unix::Signal,
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Source {
    fn listen() -> io::Result<Self> {
        // A handler stays when nobody listens any more: these kill no longer.
        for ignored in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            drop(signal(ignored)?);
        }
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        // A reload that was asked for before the end is not done any more.
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::End(Ending::Terminate),
            _ = self.interrupt.recv() => Signal::End(Ending::Interrupt),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_request_to_end_is_to_end_at_once_whichever_signal_it_is() {
        let mut order = Order::default();
        let (interrupt, terminate) = (Ending::Interrupt, Ending::Terminate);
        assert_eq!(order.next(Signal::Reload), Asked::Reload);
        assert_eq!(order.next(Signal::End(terminate)), Asked::Stop(terminate));
        assert_eq!(order.next(Signal::Reload), Asked::Reload);
        assert_eq!(order.next(Signal::End(interrupt)), Asked::StopNow(interrupt));
        assert_eq!(order.next(Signal::End(terminate)), Asked::StopNow(terminate));
    }
}
