//! The peers: what they are called, how each role is started, and where their version stands.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;
use crate::metadata::{Metadata, Scope};
use crate::repo::Repo;
use crate::shell;

/// A WebSocket implementation under test.
#[derive(Debug)]
pub(super) struct Peer {
    /// The name of its package.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether there is a driver for its client.
    pub(super) has_client: bool,
}

/// What a peer is written in, which tells where its programs and its version are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A package for Node; its programs are scripts in `bench/peers`.
    Node,
    /// This project.
    Ours,
    /// A package for Python; its programs are scripts in `bench/peers`.
    Python,
    /// A crate; its programs are built from `bench`.
    Rust,
}

/// The role a program plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// In the order of the report's columns.
pub(super) const PEERS: &[Peer] = &[
    Peer { name: "sockeye", kind: Kind::Ours, has_client: true },
    Peer { name: "tokio-tungstenite", kind: Kind::Rust, has_client: true },
    Peer { name: "fastwebsockets", kind: Kind::Rust, has_client: true },
    Peer { name: "sockudo-ws", kind: Kind::Rust, has_client: true },
    Peer { name: "tokio-websockets", kind: Kind::Rust, has_client: false },
    Peer { name: "yawc", kind: Kind::Rust, has_client: false },
    Peer { name: "ws", kind: Kind::Node, has_client: true },
    Peer { name: "websockets", kind: Kind::Python, has_client: true },
];

/// Where the programs are and what they run on.
#[derive(Debug)]
pub(super) struct Places<'a> {
    pub(super) repo: &'a Repo,
    pub(super) target: &'a Path,
    /// What the tools are called by, as `cargo xtask test` sets it.
    pub(super) environment: Vec<(String, std::path::PathBuf)>,
}

impl Peer {
    pub(super) fn roles(&self) -> &'static [Role] {
        if self.has_client { &[Role::Server, Role::Client] } else { &[Role::Server] }
    }
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// Returns the beginning of the names of its programs.
    fn prefix(self) -> &'static str {
        match self {
            Self::Client => "autobahn",
            Self::Server => "echo",
        }
    }
}

impl Places<'_> {
    /// Returns a program of ours that was built.
    pub(super) fn built(&self, name: &str) -> Command {
        let mut command = Command::new(self.target.join("release").join(name));
        command.current_dir(self.target);
        command
    }

    /// Returns the command of a peer's program: a server's lacks the address to listen on, a
    /// client's the URL of the tester.
    pub(super) fn program(&self, peer: &Peer, role: Role) -> Command {
        let name = format!("{}-{}", role.prefix(), peer.name);
        match (peer.kind, role) {
            (Kind::Ours, Role::Client) => self.built("examples/autobahn_client"),
            (Kind::Ours, Role::Server) => {
                let mut command = self.built("sockeye");
                command.args(["echo", "--deflate", "--max-message", "67108864", "--listen"]);
                command
            }
            (Kind::Rust, _) => self.built(&name),
            (Kind::Node, _) => self.script("node".as_ref(), &format!("{name}.mjs")),
            (Kind::Python, _) => self.script(self.tool(PYTHON), &format!("{name}.py")),
        }
    }

    /// Asks the lock file or the package for a peer's version.
    ///
    /// # Errors
    /// [`Failure::Check`] when it can't be found there.
    pub(super) fn version(&self, peer: &Peer) -> Result<String, Failure> {
        let missing = || Failure::Check(format!("the version of {} is nowhere", peer.name));
        match peer.kind {
            Kind::Ours => {
                let packages = Metadata::load(self.repo, Scope::Workspace)?.packages;
                let ours = packages.into_iter().find(|package| package.name == peer.name);
                ours.map(|package| package.version).ok_or_else(missing)
            }
            Kind::Rust => {
                let lock = self.repo.read("bench/Cargo.lock")?;
                locked_version(&lock, peer.name).ok_or_else(missing)
            }
            Kind::Node => {
                let path = self.tool(NODE_MODULES).join(peer.name).join("package.json");
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::during(path.display(), error))?;
                let package: Value = serde_json::from_str(&text)
                    .map_err(|error| Failure::during(path.display(), error))?;
                package["version"].as_str().map(str::to_owned).ok_or_else(missing)
            }
            Kind::Python => {
                let script = format!(
                    "from importlib.metadata import version; print(version('{}'))",
                    peer.name
                );
                let answer = shell::capture(Command::new(self.tool(PYTHON)).args(["-c", &script]))?;
                Ok(answer.trim().to_owned())
            }
        }
    }

    fn script(&self, interpreter: &Path, name: &str) -> Command {
        let mut command = Command::new(interpreter);
        command.arg(self.repo.root().join("bench/peers").join(name));
        command.envs(self.environment.iter().map(|(name, path)| (name, path)));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn tool(&self, name: &str) -> &Path {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map_or(Path::new(""), |(_, path)| path)
    }
}

/// Finds the version of a crate in a lock file.
fn locked_version(lock: &str, name: &str) -> Option<String> {
    let lock: toml::Table = lock.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let found = packages.iter().find(|package| package["name"].as_str() == Some(name))?;
    found["version"].as_str().map(str::to_owned)
}

const NODE_MODULES: &str = "SOCKEYE_TEST_NODE_MODULES";
const PYTHON: &str = "SOCKEYE_TEST_PYTHON";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_under_test_is_in_the_lock_file_and_has_its_programs() {
        let repo = Repo::locate().unwrap();
        let lock = repo.read("bench/Cargo.lock").unwrap();
        let exists = |path: String| repo.root().join("bench").join(path).is_file();
        for peer in PEERS.iter().filter(|peer| peer.kind == Kind::Rust) {
            assert!(locked_version(&lock, peer.name).is_some(), "{}", peer.name);
            for role in peer.roles() {
                let program = format!("src/bin/{}-{}.rs", role.prefix(), peer.name);
                assert!(exists(program.clone()), "{program}");
            }
        }
    }

    #[test]
    fn version_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked_version(lock, "a").as_deref(), Some("1.2.3"));
        assert_eq!(locked_version(lock, "b"), None);
    }
}
