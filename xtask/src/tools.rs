//! The programs and packages the checks and tests stand on: found, or installed and announced.
//!
//! System programs come from the Debian archive; what Python and Node need goes into
//! `<target>/test-tools`, never into the system. Every failure names what could not be had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::metadata::{Metadata, Scope};
use crate::repo::Repo;
use crate::shell;

/// Something a step can't do without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tool {
    /// cargo-fuzz and the C++ compiler that builds its fuzzer.
    CargoFuzz,
    Clippy,
    Nextest,
    /// What tests run: other people's WebSocket programs, and those that give a test its own network
    /// or its own time.
    Peers,
    Rustfmt,
}

/// Where the peers are; handed to the tests by environment variables.
#[derive(Debug)]
struct Peers {
    python: PathBuf,
    node_modules: PathBuf,
    chromium: PathBuf,
}

/// A program of the system: the names it may go by and the Debian package that brings it.
struct Program {
    names: &'static [&'static str],
    package: &'static str,
}

/// A package of another ecosystem, at the version the tests were written against.
struct Pinned {
    name: &'static str,
    version: &'static str,
}

const PYTHON: Program = Program { names: &["python3"], package: "python3" };
const CPLUSPLUS: Program = Program { names: &["c++"], package: "g++" };
const CHROMIUM: Program =
    Program { names: &["chromium", "chromium-browser", "google-chrome"], package: "chromium" };
const PROGRAMS: &[Program] = &[
    PYTHON,
    CHROMIUM,
    Program { names: &["faketime"], package: "faketime" },
    Program { names: &["ip"], package: "iproute2" },
    Program { names: &["node"], package: "nodejs" },
    Program { names: &["npm"], package: "npm" },
    Program { names: &["unshare"], package: "util-linux" },
];

const PYTHON_PACKAGES: &[Pinned] = &[
    Pinned { name: "aiohttp", version: "3.14.5" },
    Pinned { name: "websockets", version: "17.4" },
];

const NODE_PACKAGES: &[Pinned] = &[
    Pinned { name: "playwright-core", version: "1.65.1" },
    Pinned { name: "ws", version: "8.23.0" },
];

/// Sees to it that the tools are there, and returns the environment the steps run in.
///
/// # Errors
/// [`Failure::Check`] naming what is missing and could not be installed.
pub(crate) fn provide(repo: &Repo, tools: &[Tool]) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut environment = Vec::new();
    for tool in tools {
        match tool {
            Tool::CargoFuzz => cargo_fuzz(repo)?,
            Tool::Clippy => component(repo, "clippy")?,
            Tool::Nextest => cargo_subcommand(repo, "nextest")?,
            Tool::Peers => environment = peers(repo)?.environment(),
            Tool::Rustfmt => component(repo, "rustfmt")?,
        }
    }
    Ok(environment)
}

impl Peers {
    fn environment(self) -> Vec<(String, PathBuf)> {
        [
            ("SOCKEYE_TEST_PYTHON", self.python),
            ("SOCKEYE_TEST_NODE_MODULES", self.node_modules),
            ("SOCKEYE_TEST_CHROMIUM", self.chromium),
        ]
        .map(|(name, path)| (name.to_owned(), path))
        .to_vec()
    }
}

impl Program {
    fn find(&self) -> Option<PathBuf> {
        self.names.iter().find_map(|name| shell::on_path(name))
    }

    fn require(&self) -> Result<PathBuf, Failure> {
        self.find().ok_or_else(|| missing(self.package))
    }
}

fn component(repo: &Repo, name: &str) -> Result<(), Failure> {
    let subcommand = name.trim_start_matches("rust");
    let works =
        |repo: &Repo| shell::succeeds(shell::cargo(repo.root()).args([subcommand, "--version"]));
    if works(repo) {
        return Ok(());
    }
    install(
        name,
        Command::new("rustup").current_dir(repo.root()).args(["component", "add", name]),
    )?;
    if works(repo) { Ok(()) } else { Err(missing(name)) }
}

fn cargo_fuzz(repo: &Repo) -> Result<(), Failure> {
    if CPLUSPLUS.find().is_none() {
        debian_packages(&[CPLUSPLUS.package])?;
        CPLUSPLUS.require()?;
    }
    cargo_subcommand(repo, "fuzz")
}

/// Sees to it that cargo has a subcommand that another package brings.
fn cargo_subcommand(repo: &Repo, name: &str) -> Result<(), Failure> {
    let package = format!("cargo-{name}");
    let works = |repo: &Repo| shell::succeeds(shell::cargo(repo.root()).args([name, "--version"]));
    if works(repo) {
        return Ok(());
    }
    install(&package, shell::cargo(repo.root()).args(["install", &package, "--locked"]))?;
    if works(repo) { Ok(()) } else { Err(missing(&package)) }
}

fn peers(repo: &Repo) -> Result<Peers, Failure> {
    system_packages()?;
    let directory = Metadata::load(repo, Scope::Workspace)?.target_directory.join("test-tools");
    fs::create_dir_all(&directory).map_err(|error| Failure::during(directory.display(), error))?;
    Ok(Peers {
        python: python(&directory.join("venv"))?,
        node_modules: node(&directory.join("node"))?,
        chromium: CHROMIUM.require()?,
    })
}

/// Installs the missing programs from the Debian archive, in one go.
fn system_packages() -> Result<(), Failure> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|program| program.find().is_none())
        .map(|program| program.package)
        .collect();
    let python_is_whole = PYTHON
        .find()
        .is_some_and(|python| shell::succeeds(Command::new(python).args(["-c", VENV_CHECK])));
    if !python_is_whole {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    debian_packages(&packages)?;
    PROGRAMS.iter().try_for_each(|program| program.require().map(drop))
}

/// Installs packages from the Debian archive.
fn debian_packages(packages: &[&str]) -> Result<(), Failure> {
    let list = packages.join(" ");
    if shell::on_path("apt-get").is_none() {
        return Err(Failure::Check(format!(
            "missing, and there is no apt-get to install them with: {list}"
        )));
    }
    install(&list, as_root().args(["apt-get", "update"]))?;
    let mut command = as_root();
    command.args(["apt-get", "install", "-y", "--no-install-recommends"]);
    install(&list, command.args(packages))
}

/// Starts a command line that runs with the rights to install packages.
fn as_root() -> Command {
    let is_root = shell::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        // `-n`: fail rather than wait for a password nobody types.
        command.args(["-n", "env"]);
    }
    command.arg("DEBIAN_FRONTEND=noninteractive");
    command
}

/// Makes the virtual environment, if its packages are not all there, and returns its interpreter.
fn python(venv: &Path) -> Result<PathBuf, Failure> {
    let interpreter = venv.join("bin/python");
    let check = PYTHON_PACKAGES
        .iter()
        .map(|package| format!("assert v('{}') == '{}'", package.name, package.version))
        .fold("from importlib.metadata import version as v".to_owned(), |all, one| {
            format!("{all}\n{one}")
        });
    let works = || shell::succeeds(Command::new(&interpreter).args(["-c", &check]));
    if works() {
        return Ok(interpreter);
    }
    let list = pins(PYTHON_PACKAGES, "==");
    let what = format!("Python packages {}", list.join(" "));
    install(&what, Command::new(PYTHON.require()?).args(["-m", "venv", "--clear"]).arg(venv))?;
    install(
        &what,
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet"])
            .arg("--disable-pip-version-check")
            .args(&list),
    )?;
    if works() { Ok(interpreter) } else { Err(missing(&what)) }
}

/// Installs the Node packages, if they are not all there, and returns their directory.
fn node(directory: &Path) -> Result<PathBuf, Failure> {
    let modules = directory.join("node_modules");
    let works = || {
        NODE_PACKAGES.iter().all(|package| {
            let manifest = modules.join(package.name).join("package.json");
            let version = format!("\"version\": \"{}\"", package.version);
            fs::read_to_string(manifest).is_ok_and(|text| text.contains(&version))
        })
    };
    if works() {
        return Ok(modules);
    }
    fs::create_dir_all(directory).map_err(|error| Failure::during(directory.display(), error))?;
    let list = pins(NODE_PACKAGES, "@");
    let what = format!("Node packages {}", list.join(" "));
    install(
        &what,
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"])
            .arg(directory)
            .args(&list),
    )?;
    if works() { Ok(modules) } else { Err(missing(&what)) }
}

fn pins(packages: &[Pinned], between: &str) -> Vec<String> {
    packages.iter().map(|package| format!("{}{between}{}", package.name, package.version)).collect()
}

/// Announces and runs one installation.
fn install(what: &str, command: &mut Command) -> Result<(), Failure> {
    println!("    installing {what}");
    shell::run(command).map_err(|failure| {
        let why = failure.message().unwrap_or("the installer failed");
        Failure::Check(format!("could not install {what}: {why}"))
    })
}

fn missing(what: &str) -> Failure {
    Failure::Check(format!("{what} is missing even after its installation"))
}

/// Fails on a Debian Python whose `venv` has been split off into a package of its own.
const VENV_CHECK: &str = "import ensurepip, venv";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_written_as_each_installer_wants_them() {
        let pinned = [Pinned { name: "ws", version: "1.2.3" }];
        assert_eq!(pins(&pinned, "@"), ["ws@1.2.3"]);
        assert_eq!(pins(&pinned, "=="), ["ws==1.2.3"]);
    }

    #[test]
    fn failed_installation_names_what_it_was() {
        let failure = install("a-package", &mut Command::new("false")).unwrap_err();
        let message = failure.message().unwrap();
        assert_eq!(message, "could not install a-package: the installer failed");
    }

    #[test]
    fn program_that_is_nowhere_is_missing_by_its_package_name() {
        let program = Program { names: &["no-such-program"], package: "no-such-package" };
        let failure = program.require().unwrap_err();
        assert!(failure.message().unwrap().contains("no-such-package"));
    }
}
