//! `cargo xtask conformance`: puts servers and clients, ours and others', through the suite of
//! `sockeye conform`, and writes what they came to into `docs/`.
//!
//! Owns the order of the work. The peers stand in `peers.rs`, processes in `process.rs`, one
//! peer's run in `run.rs`, what is written in `pages.rs`.

mod pages;
mod peers;
mod process;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::metadata::{Metadata, Scope};
use crate::repo::Repo;
use crate::shell;
use crate::tools::{self, Tool};
use run::Runner;

const USAGE: &str = "usage: conformance [--cases PATTERNS] [--peers NAMES]";

/// What of the suite and of the peers is to be run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Patterns of cases, in the form of `sockeye conform`.
    cases: String,
    /// Names of peers, separated by commas; all, if there are none. Of the others the results of
    /// the run before are kept.
    peers: Option<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Usage`] for a bad argument; [`Failure::Check`] when a tool can't be had, a peer can't
/// be started or the tester fails; [`Failure::Told`] when a build fails. Cases that a peer fails
/// are what is looked for, and no failure.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    let wanted = Wanted::read(arguments)?;
    let environment = tools::provide(repo, &[Tool::Peers])?;
    let target = build(repo)?;
    let runner = Runner::new(repo, &target, environment, wanted.cases.clone())?;
    let chosen: Vec<_> = peers::PEERS.iter().filter(|peer| wanted.names(peer.name)).collect();
    if chosen.is_empty() {
        return Err(Failure::Usage(format!("no peer of that name\n\n{USAGE}")));
    }
    chosen.iter().try_for_each(|peer| runner.test(peer))?;
    let page = target.join("conformance.html");
    let merged = runner.merge(&page)?;
    println!("    the whole report: {}", page.display());
    // A part of the suite is for whoever works on it, not for the documentation.
    if wanted.cases.is_empty() { publish(repo, &merged) } else { Ok(()) }
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match (word.as_str(), words.next()) {
                ("--cases", Some(patterns)) => wanted.cases.clone_from(patterns),
                ("--peers", Some(names)) => wanted.peers = Some(names.clone()),
                _ => return Err(Failure::Usage(USAGE.to_owned())),
            }
        }
        Ok(wanted)
    }

    fn names(&self, peer: &str) -> bool {
        self.peers.as_ref().is_none_or(|names| names.split(',').any(|name| name == peer))
    }
}

/// Builds the tester and the peers, and returns the directory where they are.
fn build(repo: &Repo) -> Result<PathBuf, Failure> {
    let target = Metadata::load(repo, Scope::Workspace)?.target_directory;
    let cargo = |arguments: &[&str]| -> Result<(), Failure> {
        let mut command = shell::cargo(repo.root());
        shell::run(command.env("CARGO_TARGET_DIR", &target).args(arguments))
    };
    cargo(&["build", "--release", "--package", "sockeye-cli"])?;
    cargo(&["build", "--release", "--package", "sockeye", "--example", "autobahn_client"])?;
    cargo(&["build", "--release", "--manifest-path", "bench/Cargo.toml", "--bins", "--locked"])?;
    Ok(target)
}

fn publish(repo: &Repo, merged: &Path) -> Result<(), Failure> {
    let text =
        fs::read_to_string(merged).map_err(|error| Failure::during(merged.display(), error))?;
    let report: Value =
        serde_json::from_str(&text).map_err(|error| Failure::during(merged.display(), error))?;
    for (name, text) in
        [("conformance.json", pages::json(&report)), ("conformance.md", pages::markdown(&report))]
    {
        let path = repo.root().join("docs").join(name);
        fs::write(&path, text).map_err(|error| Failure::during(path.display(), error))?;
        println!("    wrote docs/{name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Wanted, Failure> {
        Wanted::read(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn everything_is_wanted_unless_told_otherwise() {
        assert_eq!(read(&[]).unwrap(), Wanted::default());
        assert!(Wanted::default().names("ws"));
        let some = read(&["--peers", "ws,yawc", "--cases", "!12.*"]).unwrap();
        assert!(some.names("ws") && !some.names("websockets"));
        assert_eq!(some.cases, "!12.*");
    }

    #[test]
    fn argument_without_its_value_is_a_usage_error() {
        assert!(matches!(read(&["--cases"]), Err(Failure::Usage(_))));
        assert!(matches!(read(&["--only", "ws"]), Err(Failure::Usage(_))));
    }
}
