//! `cargo xtask sanitize`: the integration tests under the address and leak sanitizers.
//!
//! Owns how they are run: by the stable compiler, for the machine itself as a cross-compilation so that
//! build scripts stay as they are, and in a target directory of their own.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, no_arguments};
use crate::metadata::{Metadata, Scope};
use crate::repo::Repo;
use crate::shell;

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] when the compiler does not say what it compiles for; [`Failure::Told`] when a
/// sanitizer or a test speaks up.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let directory = Metadata::load(repo, Scope::Workspace)?.target_directory.join("sanitize");
    let version = shell::capture(Command::new("rustc").current_dir(repo.root()).arg("-vV"))?;
    let host = host(&version)
        .ok_or_else(|| Failure::Check("`rustc -vV` names no host to compile for".to_owned()))?;
    shell::run(&mut tests(repo, host, directory))?;
    println!("    {} packages, nothing found", PACKAGES.len());
    Ok(())
}

/// Makes the command line.
fn tests(repo: &Repo, host: &str, directory: PathBuf) -> Command {
    let mut command = shell::cargo(repo.root());
    // Sanitizers are unstable flags of the compiler, and this opens them on a stable one.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    command.env("ASAN_OPTIONS", "detect_leaks=1").env("CARGO_TARGET_DIR", directory);
    command.args(["test", "--target", host]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    command.args(["--test", "it"]);
    command
}

/// Finds what the compiler compiles for unless told otherwise.
fn host(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: "))
}

/// The packages that move bytes between threads, sockets and buffers.
const PACKAGES: &[&str] = &["sockeye-reactor", "sockeye", "sockeye-proto"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_compiler_says() {
        let version = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(host(version), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(host("rustc 1.95.0\n"), None);
    }
}
