//! The servers that are compared, and how each is started.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::SERVER_CORE;
use super::points::Point;
use crate::load::{Failure, Mode};

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    kind: Kind,
    program: PathBuf,
}

/// How a server is started, and which points it is measured at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// `sockeye echo` and `sockeye serve`, everywhere.
    Cli,
    /// The example of the library, everywhere. It listens where it says.
    Example,
    /// A script for node, by the one argument ADDR.
    Node,
    /// One of the programs here, by the one argument ADDR.
    Peer,
    /// `peers/echo-uwebsockets.cpp`, everywhere.
    Uws,
}

/// A server that has been started; it ends with this.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    port: u16,
}

impl Server {
    /// Returns whether the server is measured at a point.
    pub(super) fn takes(&self, point: &Point) -> bool {
        match (self.kind, point.mode) {
            (Kind::Cli | Kind::Uws, _) => true,
            (_, Mode::Broadcast) => false,
            (Kind::Example, _) => true,
            (Kind::Node | Kind::Peer, _) => point.is_for_all(),
        }
    }

    /// Returns the path at which the server does what a point asks for.
    pub(super) fn path(&self, point: &Point) -> &'static str {
        if (self.kind, point.mode) == (Kind::Cli, Mode::Broadcast) { "/t/load" } else { "/" }
    }

    /// Starts the server, and waits until it listens.
    pub(super) fn start(&self, point: &Point) -> Result<Running, Failure> {
        let port = if self.kind == Kind::Example { EXAMPLE_PORT } else { free_port()? };
        let address = format!("127.0.0.1:{port}");
        let broadcasts = point.mode == Mode::Broadcast;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]);
        match self.kind {
            Kind::Cli => command
                .arg(&self.program)
                .arg(if broadcasts { "serve" } else { "echo" })
                .args(["--listen", &address]),
            Kind::Example => command.arg(&self.program),
            Kind::Node => command.arg("node").arg(&self.program).arg(&address),
            Kind::Peer => command.arg(&self.program).arg(&address),
            Kind::Uws => command
                .arg(&self.program)
                .arg(port.to_string())
                .args(broadcasts.then_some("broadcast")),
        };
        if TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Err(format!("something else listens on port {port}").into());
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut running = Running { child, port };
        running.wait().map(|()| running)
    }
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            if TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                // What it does at its start should not be taken for the work of the run.
                std::thread::sleep(SETTLE);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("the server does not listen".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the servers that are there, the one that others are compared to first; of these, those that
/// `only` names, if it does.
pub(super) fn available(
    programs: &Path,
    uws: Option<PathBuf>,
    sockeye: Option<PathBuf>,
    only: Option<&str>,
) -> Result<Vec<Server>, String> {
    let beside =
        |name, program: &str| Server { name, kind: Kind::Peer, program: programs.join(program) };
    let mut servers: Vec<Server> = uws
        .map(|program| Server { name: "uWebSockets", kind: Kind::Uws, program })
        .into_iter()
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
    let built = if programs.join("sockeye").exists() { programs } else { &root };
    let program = sockeye.unwrap_or_else(|| built.join("sockeye"));
    servers.push(Server { name: "sockeye echo", kind: Kind::Cli, program });
    let program = built.join("examples/echo");
    servers.push(Server { name: "sockeye example", kind: Kind::Example, program });
    servers.push(beside("sockeye feed", "echo-sockeye"));
    for name in PEERS {
        servers.push(beside(name, &format!("echo-{name}")));
    }
    if std::env::var_os("SOCKEYE_TEST_NODE_MODULES").is_some() {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/echo-ws.mjs");
        servers.push(Server { name: "ws", kind: Kind::Node, program });
    }
    servers.retain(|server| only.is_none_or(|only| only.split(',').any(|one| one == server.name)));
    match servers.iter().find(|server| !server.program.exists()) {
        Some(Server { name, program, .. }) => {
            Err(format!("{name} is not built: there is no {}", program.display()))
        }
        None if servers.is_empty() => Err("--servers names none of the servers".to_owned()),
        None => Ok(servers),
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

const PEERS: &[&str] =
    &["fastwebsockets", "sockudo-ws", "tokio-tungstenite", "tokio-websockets", "yawc"];
const EXAMPLE_PORT: u16 = 9000;
const START: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_millis(100);
