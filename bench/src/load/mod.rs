//! A load generator: one thread, loopback, and a framing of its own, so that no WebSocket library is
//! measured against itself.
//!
//! It tells what a server's process spent in a window, and how much it did in it. What drives whole
//! servers through it is [`crate::compare`].

mod expected;
mod frame;
mod link;
mod message;
mod modes;
pub mod server;
mod swarm;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flags::Flags;
pub use message::Data;
use server::Server;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One connection sends, all receive.
    Broadcast,
    /// Every connection sends and gets back what it sent.
    Echo,
    /// Connections are opened and closed.
    Handshake,
    /// Connections are opened, exchange one message each, and stay.
    Idle,
}

/// A run of the load generator.
#[derive(Clone, Debug)]
pub struct Load {
    /// What to ask.
    pub mode: Mode,
    /// Where the server listens.
    pub address: SocketAddrV4,
    /// The path of the handshake's request.
    pub path: String,
    /// The process of the server.
    pub pid: u32,
    /// How many connections there are; in a handshake run, how many open together.
    pub connections: usize,
    /// The payload's length, in bytes.
    pub size: usize,
    /// How many messages a connection has on their way.
    pub in_flight: usize,
    /// What messages are made of.
    pub data: Data,
    /// How long to measure.
    pub window: Duration,
}

impl Load {
    /// Reads a run from the command line.
    ///
    /// # Errors
    /// A flag is missing, unknown or out of its bounds.
    pub fn parse(mut flags: Flags) -> Result<Self, String> {
        let port = flags.take("port")?.ok_or("--port is missing")?;
        let pid = flags.take("pid")?.ok_or("--pid, the server's process, is missing")?;
        let seconds: f64 = flags.take("seconds")?.unwrap_or(2.0);
        let load = Self {
            mode: flags.take("mode")?.unwrap_or(Mode::Echo),
            address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            path: flags.take("path")?.unwrap_or_else(|| "/".to_owned()),
            pid,
            connections: flags.take("connections")?.unwrap_or(64),
            size: flags.take("size")?.unwrap_or(16),
            in_flight: flags.take("in-flight")?.unwrap_or(1),
            data: flags.take("data")?.unwrap_or(Data::Binary),
            window: Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
        };
        flags.finish()?;
        load.check().map(|()| load)
    }

    /// Asks the server, and returns what it took.
    ///
    /// # Errors
    /// The server refuses, leaves, stops answering, or answers with what was not sent.
    pub fn run(&self) -> Result<Value, Failure> {
        raise_descriptors();
        let server = Server::new(self.pid);
        match self.mode {
            Mode::Broadcast => modes::broadcast(self, &server),
            Mode::Echo => modes::echo(self, &server),
            Mode::Handshake => modes::handshake(self, &server),
            Mode::Idle => modes::idle(self, &server),
        }
    }

    fn check(&self) -> Result<(), String> {
        let bounds = [
            ("--connections", self.connections, 1, MAX_CONNECTIONS),
            ("--size", self.size, 0, MAX_SIZE),
            ("--in-flight", self.in_flight, 1, MAX_IN_FLIGHT),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is from {least} to {most}"));
            }
        }
        if self.window > MAX_WINDOW {
            return Err(format!("--seconds is at most {}", MAX_WINDOW.as_secs()));
        }
        Ok(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Broadcast => "broadcast",
            Self::Echo => "echo",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "broadcast" => Ok(Self::Broadcast),
            "echo" => Ok(Self::Echo),
            "handshake" => Ok(Self::Handshake),
            "idle" => Ok(Self::Idle),
            _ => Err("broadcast, echo, handshake or idle".to_owned()),
        }
    }
}

/// What a run fails with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Takes as many descriptors as the system grants: each connection is one. Child processes inherit it. Returns how many.
pub fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, opening the connection that is too many fails and says so.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

const MAX_CONNECTIONS: usize = 200_000;
const MAX_SIZE: usize = 64 << 20;
const MAX_IN_FLIGHT: usize = 1_024;
const MAX_WINDOW: Duration = Duration::from_secs(60);
