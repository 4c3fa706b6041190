//! What cargo knows about packages, cut down to what the checks read.

use std::path::PathBuf;

use serde_json::Value;

use crate::failure::Failure;
use crate::repo::Repo;
use crate::shell;

/// The answer of `cargo metadata`.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Every package asked for: ours only, or the whole dependency tree.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds, whatever the environment made of it.
    pub(crate) target_directory: PathBuf,
}

/// One package of the answer.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression, when the package has one.
    pub(crate) license: Option<String>,
    /// `registry+…` or `git+…`; absent for a package of this repository.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency as a manifest declares it.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's real name, whatever the manifest renames it to.
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
    /// Whether it is taken from a directory, so from this repository.
    pub(crate) local: bool,
}

/// The manifest's table a dependency stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DependencyKind {
    Build,
    Development,
    Normal,
}

/// How much of the tree to ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// Every package of the lock file, all features on.
    Everything,
    /// The members of the workspace.
    Workspace,
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    /// [`Failure::Check`] when cargo fails or answers what this module can't read.
    pub(crate) fn load(repo: &Repo, scope: Scope) -> Result<Self, Failure> {
        let mut command = shell::cargo(repo.root());
        command.args(["metadata", "--format-version", "1"]);
        match scope {
            Scope::Everything => command.arg("--all-features"),
            Scope::Workspace => command.arg("--no-deps"),
        };
        Self::parse(&shell::capture(&mut command)?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Failure::during("cargo metadata's answer", error))?;
        let packages = value["packages"].as_array().map(Vec::as_slice);
        Ok(Self {
            packages: packages
                .unwrap_or_default()
                .iter()
                .map(Package::read)
                .collect::<Result<_, _>>()?,
            target_directory: PathBuf::from(string(&value, "target_directory")?),
        })
    }
}

impl Package {
    fn read(value: &Value) -> Result<Self, Failure> {
        let dependencies = value["dependencies"].as_array().map(Vec::as_slice);
        Ok(Self {
            name: string(value, "name")?,
            version: string(value, "version")?,
            license: value["license"].as_str().map(str::to_owned),
            source: value["source"].as_str().map(str::to_owned),
            dependencies: dependencies
                .unwrap_or_default()
                .iter()
                .map(Dependency::read)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Dependency {
    fn read(value: &Value) -> Result<Self, Failure> {
        Ok(Self {
            name: string(value, "name")?,
            kind: match value["kind"].as_str() {
                Some("build") => DependencyKind::Build,
                Some("dev") => DependencyKind::Development,
                _ => DependencyKind::Normal,
            },
            local: value["path"].is_string(),
        })
    }
}

fn string(value: &Value, key: &str) -> Result<String, Failure> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Check(format!("cargo metadata's answer has no `{key}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_their_edges_are_read() {
        let text = r#"{"target_directory": "/t", "packages": [{"name": "a", "version": "1.0.0",
            "license": null, "source": null, "dependencies": [
                {"name": "b", "kind": "dev", "path": "/b"}, {"name": "c", "kind": null}]}]}"#;
        let metadata = Metadata::parse(text).unwrap();
        let dependencies = &metadata.packages[0].dependencies;
        assert_eq!(dependencies[0].kind, DependencyKind::Development);
        assert!(dependencies[0].local);
        assert_eq!(dependencies[1].kind, DependencyKind::Normal);
        assert!(!dependencies[1].local);
    }

    #[test]
    fn answer_without_a_name_is_an_error() {
        let text = r#"{"target_directory": "/t", "packages": [{"version": "1.0.0"}]}"#;
        assert!(Metadata::parse(text).is_err());
    }
}
