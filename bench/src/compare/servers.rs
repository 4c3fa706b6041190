//! The servers that are compared: what they are, where their programs lie, what they take.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::points::{Group, Point};
use super::results::About;
use super::versions;
use crate::load::{Failure, Mode};

/// A server whose program is there.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) about: About,
    kind: Kind,
    program: PathBuf,
    /// What stands before the address.
    script: Option<PathBuf>,
    form: &'static str,
}

/// Where programs lie; what is not named is looked for where cargo leaves it.
#[derive(Debug)]
pub(super) struct Places {
    /// The directory of the programs here.
    pub(super) programs: PathBuf,
    pub(super) uws: Option<PathBuf>,
    pub(super) sockeye: Option<PathBuf>,
}

/// The servers that were asked for.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) there: Vec<Server>,
    /// Those whose programs are not there, and what is missing.
    pub(super) missing: Vec<String>,
}

/// A line of the table of servers.
struct Row {
    name: &'static str,
    kind: Kind,
    /// Of a program here: its name behind `echo-`. Of a script: its whole name. Of others nothing.
    program: &'static str,
    /// What stands behind the address, where it is not idle connections that count.
    form: &'static str,
    about: &'static str,
}

/// How a server is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A script for Bun.
    Bun,
    /// `sockeye echo` and `sockeye serve`.
    Cli,
    /// A script for node.
    Node,
    /// One of the programs here.
    Program,
    /// A script for Python.
    Python,
    /// `peers/echo-uwebsockets.cpp`.
    Uws,
}

impl Server {
    pub(super) fn name(&self) -> &str {
        &self.about.name
    }

    /// Returns whether the server can do what a point asks for.
    pub(super) fn takes(&self, point: &Point) -> bool {
        let all = matches!(self.kind, Kind::Bun | Kind::Cli | Kind::Node | Kind::Uws);
        match point.group() {
            Group::Broadcast => all,
            Group::Deflate => all || COMPRESSING.iter().any(|name| self.name().starts_with(name)),
            Group::Echo | Group::Handshake | Group::Idle => true,
        }
    }

    /// Returns the path at which the server does what a point asks for.
    pub(super) fn path(&self, point: &Point) -> &'static str {
        if (self.kind, point.mode) == (Kind::Cli, Mode::Broadcast) { "/t/load" } else { "/" }
    }

    /// Returns the command that starts the server, for what a point asks for.
    pub(super) fn command(&self, point: &Point, port: u16) -> Command {
        let address = format!("127.0.0.1:{port}");
        let broadcasts = point.mode == Mode::Broadcast;
        let compresses = point.group() == Group::Deflate;
        let mut command = Command::new("setpriv");
        // It ends with the comparison, however that ends.
        command.args(["--pdeathsig", "KILL", "taskset", "-c", super::SERVER_CORE]);
        command.arg(&self.program).args(&self.script);
        match self.kind {
            Kind::Cli => command
                .arg(if broadcasts { "serve" } else { "echo" })
                .args(["--listen", &address])
                .args(compresses.then_some("--deflate")),
            Kind::Bun | Kind::Node | Kind::Python => {
                command.arg(&address).args(broadcasts.then_some("broadcast"))
            }
            // The buffers for batches would be counted as memory of idle connections.
            Kind::Program if point.mode == Mode::Idle => command.arg(&address),
            Kind::Program => command.args([&address, self.form]),
            Kind::Uws => command
                .arg(port.to_string())
                .args(broadcasts.then_some("broadcast"))
                .args(compresses.then_some("deflate")),
        };
        command
    }
}

impl Servers {
    /// Finds the servers, the one that others are compared to first; of these, those that `only` names, if it does.
    ///
    /// # Errors
    /// `only` names what there is not, or there is none at all.
    pub(super) fn find(places: &Places, only: Option<&str>) -> Result<Self, Failure> {
        let wanted: Option<Vec<&str>> = only.map(|only| only.split(',').collect());
        let mut found = Self { there: Vec::new(), missing: Vec::new() };
        for row in ROWS {
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&row.name)) {
                continue;
            }
            match row.find(places) {
                Ok(server) => found.there.push(server),
                Err(missing) => found.missing.push(format!("{}: {missing}", row.name)),
            }
        }
        let known = |name: &&&str| !ROWS.iter().any(|row| row.name == **name);
        if let Some(unknown) = wanted.iter().flatten().find(known) {
            return Err(format!("there is no server {unknown}").into());
        }
        if only.is_some() && !found.missing.is_empty() || found.there.is_empty() {
            return Err(found.missing.join("; ").into());
        }
        Ok(found)
    }
}

impl Row {
    const fn program(name: &'static str, program: &'static str, form: &'static str) -> Self {
        Self { name, kind: Kind::Program, program, form, about: "" }
    }

    const fn script(name: &'static str, kind: Kind, script: &'static str) -> Self {
        Self { name, kind, program: script, form: "", about: "" }
    }

    const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Finds the program, or says what is missing.
    fn find(&self, places: &Places) -> Result<Server, String> {
        let program = match self.kind {
            Kind::Bun => variable(NODE_MODULES).map(|path| path.join(".bin/bun"))?,
            Kind::Cli => places.sockeye(),
            Kind::Node => variable(NODE_MODULES).map(|_| "node".into())?,
            Kind::Program => places.programs.join(format!("echo-{}", self.program)),
            Kind::Python => variable(PYTHON)?,
            Kind::Uws => places.uws.clone().ok_or("--uws does not name it")?,
        };
        let in_path = program.as_path() == Path::new("node");
        if !in_path && !program.exists() {
            return Err(format!("there is no {}", program.display()));
        }
        let scripted = matches!(self.kind, Kind::Bun | Kind::Node | Kind::Python);
        let script = scripted.then(|| Path::new(PEERS).join(self.program));
        let version = match self.kind {
            Kind::Bun | Kind::Node => versions::of_node(&variable(NODE_MODULES)?, self.package()),
            Kind::Program => versions::of_crate(self.program),
            Kind::Python => versions::of_python(&program, self.package()),
            Kind::Cli | Kind::Uws => None,
        };
        let about = [version.as_deref().unwrap_or_default(), self.about]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        let about = About { name: self.name.to_owned(), about };
        Ok(Server { about, kind: self.kind, program, script, form: self.form })
    }

    /// Returns the package of a script for a peer.
    fn package(&self) -> &str {
        let stem = self.program.strip_prefix("echo-").unwrap_or(self.program);
        stem.split('.').next().unwrap_or(stem)
    }
}

impl Places {
    fn sockeye(&self) -> PathBuf {
        let beside = self.programs.join("sockeye");
        let root = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/sockeye");
        let built = if beside.exists() { beside } else { root() };
        self.sockeye.clone().unwrap_or(built)
    }
}

fn variable(name: &str) -> Result<PathBuf, String> {
    let value: Option<OsString> = std::env::var_os(name);
    value.map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))
}

/// All servers. Where a peer can send answers together, `feed` is the form that does.
const ROWS: &[Row] = &[
    Row::script("uWebSockets", Kind::Uws, "")
        .about("66dcff3, -O3 -march=native -flto; sends together by itself"),
    Row::script("sockeye echo", Kind::Cli, "").about("the reactor; sends together by itself"),
    // The handler form of the library on tokio.
    Row::program("sockeye tokio", "sockeye-tokio", "")
        .about("the library's handlers on tokio; sends together by itself"),
    Row::program("sockeye feed", "sockeye", "feed")
        .about("the library's loop on tokio, with `feed`: sends together"),
    Row::program("sockeye send", "sockeye", "send")
        .about("the library's loop on tokio: sends each answer at once"),
    Row::program("fastwebsockets", "fastwebsockets", "")
        .about("sends each answer at once; it has nothing else"),
    Row::program("sockudo-ws", "sockudo-ws", "feed").about("its documented loop with `feed`"),
    Row::program("tokio-tungstenite", "tokio-tungstenite", "send")
        .about("its example: sends each answer at once"),
    Row::program("tokio-tungstenite feed", "tokio-tungstenite", "feed")
        .about("in batches of 32 with `feed`"),
    Row::program("tokio-websockets", "tokio-websockets", "feed")
        .about("in batches of 32 with `feed`"),
    Row::program("yawc", "yawc", "feed")
        .about("in batches of 32 with a read buffer of 128 KiB, as in its own comparison"),
    Row::script("Bun", Kind::Bun, "echo-bun.mjs").about("sends together by itself"),
    Row::script("ws", Kind::Node, "echo-ws.mjs").about("sends each answer at once"),
    Row::script("picows", Kind::Python, "echo-picows.py")
        .about("on uvloop, sends each answer at once"),
];

/// The programs here that compress.
const COMPRESSING: &[&str] = &["sockeye", "sockudo-ws", "yawc"];
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
const NODE_MODULES: &str = "SOCKEYE_TEST_NODE_MODULES";
const PYTHON: &str = "SOCKEYE_BENCH_PYTHON";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_its_program_or_script() {
        for row in ROWS {
            let path = match row.kind {
                Kind::Cli | Kind::Uws => continue,
                Kind::Program => format!("src/bin/echo-{}.rs", row.program),
                Kind::Bun | Kind::Node | Kind::Python => format!("peers/{}", row.program),
            };
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists(), "{path}");
        }
    }

    #[test]
    fn a_name_that_no_server_has_is_refused() {
        let places = Places { programs: "/nowhere".into(), uws: None, sockeye: None };
        let error = Servers::find(&places, Some("uWS")).unwrap_err();
        assert_eq!(error.to_string(), "there is no server uWS");
    }
}
