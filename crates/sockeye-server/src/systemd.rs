//! What systemd is told of the server's life, and the listening sockets that it passes.
//!
//! The protocols are those of `sd_notify(3)` and `sd_listen_fds(3)`: datagrams to the socket that
//! `NOTIFY_SOCKET` names, and descriptors from 3 on where `LISTEN_PID` is ours. Whoever speaks them is
//! as good as systemd; without them nothing here does anything.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

/// Tells the service manager what the server is at; by default there is none. What cannot be told is
/// logged as `systemd.notify_failed` and changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

/// A listening socket that the service manager passed.
#[derive(Debug)]
pub struct Activated {
    /// The name that the socket's unit gives it (`FileDescriptorName=`).
    pub name: Option<String>,
    /// The socket, without blocking.
    pub listener: TcpListener,
}

impl Notifier {
    /// Reads who is to be told, and how often, from `NOTIFY_SOCKET`, `WATCHDOG_USEC` and
    /// `WATCHDOG_PID`.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is no address of a Unix socket.
    pub fn from_env() -> io::Result<Self> {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        Ok(Self { socket: socket.map(|name| address(&name)).transpose()?, watchdog })
    }

    /// Tells that the server accepts connections, the first time or again after a reload.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", status_line(status)));
    }

    /// Tells that the configuration is read again; [`ready`](Self::ready) must follow, whatever came
    /// of it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// Tells that the server is about to end.
    pub fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\n{}", status_line(status)));
    }

    /// Tells in a line what the server is at.
    pub fn status(&self, status: &str) {
        self.tell(&status_line(status));
    }

    /// Returns how often the watchdog wants to hear of the server: twice in the time that it waits.
    /// `None` when there is no watchdog.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells the watchdog that the server is alive for as long as it is, by `is_alive`, and this is
    /// awaited. Never ends.
    pub async fn keep_alive(&self, is_alive: impl Fn() -> bool) {
        let Some(period) = self.watchdog else { return std::future::pending().await };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if is_alive() {
                self.tell("WATCHDOG=1\n");
            }
        }
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = send(socket, state) {
            tracing::warn!(%error, "systemd.notify_failed");
        }
    }
}

/// Takes the listening sockets that the service manager passed to this process, in their order. They
/// can be taken once, and are to be taken early: the variables are removed from the environment, which
/// no other thread may be reading then other than by Rust's own functions.
///
/// # Errors
/// `LISTEN_FDS` is no number of sockets, `LISTEN_FDNAMES` does not fit to it, or a descriptor is no
/// listening TCP socket.
pub fn activated() -> io::Result<Vec<Activated>> {
    let variable = |name| std::env::var(name).ok();
    let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let (true, Some(count)) = (is_ours, variable("LISTEN_FDS")) else { return Ok(Vec::new()) };
    let names = names(&count, variable("LISTEN_FDNAMES").as_deref())?;
    let mut passed = ListenFd::from_env();
    let take = |(at, name)| {
        let listener = passed.take_tcp_listener(at)?;
        let listener = listener.ok_or_else(|| wrong(format!("descriptor {} is gone", 3 + at)))?;
        check(&listener, at)?;
        listener.set_nonblocking(true)?;
        Ok(Activated { name, listener })
    };
    names.into_iter().enumerate().map(take).collect()
}

/// Returns the names of sockets, one for each that there is.
fn names(count: &str, names: Option<&str>) -> io::Result<Vec<Option<String>>> {
    let count = count.parse().ok().filter(|count| *count <= MOST_SOCKETS);
    let count = count.ok_or_else(|| wrong(format!("LISTEN_FDS is not 0 to {MOST_SOCKETS}")))?;
    // An empty list of names is what there is of none.
    let Some(names) = names.filter(|names| !names.is_empty() || count == 1) else {
        return Ok(vec![None; count]);
    };
    let is_name = |name: &&str| !name.is_empty() && *name != "unknown";
    let names: Vec<_> =
        names.split(':').map(|name| Some(name).filter(is_name).map(str::to_owned)).collect();
    match names.len() == count {
        true => Ok(names),
        false => Err(wrong(format!("LISTEN_FDNAMES has {} names, not {count}", names.len()))),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn check(listener: &TcpListener, at: usize) -> io::Result<()> {
    match rustix::net::sockopt::socket_acceptconn(listener)? {
        true => Ok(()),
        false => Err(wrong(format!("descriptor {} does not listen", 3 + at))),
    }
}

/// There the system does not tell.
#[cfg(target_vendor = "apple")]
fn check(_: &TcpListener, _: usize) -> io::Result<()> {
    Ok(())
}

/// Returns half of the watchdog's patience, if it waits for this process.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let micros = micros?.parse().ok().filter(|micros: &u64| is_ours && *micros >= 2)?;
    Some(Duration::from_micros(micros / 2))
}

/// Reads the address of a socket: a path, or `@` and a name of Linux's own.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(wrong("NOTIFY_SOCKET is no address of a Unix socket".to_owned())),
    }
}

fn send(address: &SocketAddr, state: &str) -> io::Result<()> {
    // A socket for each message, as sd_notify has it: the manager may have been restarted.
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(address)?;
    socket.send(state.as_bytes()).map(drop)
}

/// Writes a status, which is one line whatever is in it.
fn status_line(status: &str) -> String {
    format!("STATUS={}\n", status.replace(char::is_control, " "))
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// As many addresses as a configuration may have, and room for those of other uses.
const MOST_SOCKETS: usize = 64;

/// How long the manager may take to find room for a message.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
