//! The versions of the peers, as their package managers tell them. Where one does not, a peer goes without.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Returns the version of a crate in the lock file here.
pub(super) fn of_crate(name: &str) -> Option<String> {
    locked(include_str!("../../Cargo.lock"), name)
}

/// Returns the version of a package in a directory of node's.
pub(super) fn of_node(modules: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(modules.join(name).join("package.json")).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    package["version"].as_str().map(str::to_owned)
}

/// Returns the version of a package that an interpreter of Python finds.
pub(super) fn of_python(interpreter: &Path, name: &str) -> Option<String> {
    let script = format!("from importlib.metadata import version; print(version('{name}'))");
    let output = Command::new(interpreter).args(["-c", &script]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!version.is_empty()).then_some(version)
}

fn locked(lock: &str, name: &str) -> Option<String> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.split_once(&head)?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_below_the_name() {
        let lock = "[[package]]\nname = \"ab\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.3.4\"\n";
        assert_eq!(locked(lock, "b").as_deref(), Some("2.3.4"));
        assert_eq!(locked(lock, "a"), None);
    }
}
