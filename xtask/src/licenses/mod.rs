//! `cargo xtask licenses`: every package of the lock file, held against `deny.toml`.
//!
//! Reads the parts of `deny.toml` that can be judged without a network: the licence allow-list,
//! the banned crates and the allowed sources. Advisories are cargo-deny's matter, at release time.

mod spdx;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::{Failure, no_arguments, none_found};
use crate::metadata::{Metadata, Package, Scope};
use crate::repo::Repo;

/// What `deny.toml` allows and bans.
#[derive(Debug, Default)]
struct Policy {
    licenses: Vec<String>,
    banned: Vec<String>,
    /// Crates of which there may be one version only.
    single: Vec<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] naming each package and the rule it breaks, or what `deny.toml` lacks.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let policy = Policy::parse(&repo.read("deny.toml")?)?;
    let metadata = Metadata::load(repo, Scope::Everything)?;
    none_found("packages that deny.toml does not allow:", &policy.findings(&metadata.packages))?;
    println!("{} packages, all allowed by deny.toml", metadata.packages.len());
    Ok(())
}

impl Policy {
    fn parse(text: &str) -> Result<Self, Failure> {
        let value: Value =
            toml::from_str(text).map_err(|error| Failure::during("deny.toml", error))?;
        let licenses = strings(&value["licenses"]["allow"]);
        if licenses.is_empty() {
            return Err(Failure::Check("deny.toml: allows no licence".to_owned()));
        }
        let mut policy = Self { licenses, ..Self::default() };
        let bans = value["bans"]["deny"].as_array().map(Vec::as_slice);
        for ban in bans.unwrap_or_default() {
            let name = ban["crate"].as_str().ok_or_else(|| {
                Failure::Check("deny.toml: an entry of bans.deny has no `crate`".to_owned())
            })?;
            if ban["deny-multiple-versions"].as_bool() == Some(true) {
                policy.single.push(name.to_owned());
            } else {
                policy.banned.push(name.to_owned());
            }
        }
        Ok(policy)
    }

    fn findings(&self, packages: &[Package]) -> Vec<String> {
        let mut found = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages {
            let name = format!("{} {}", package.name, package.version);
            found.extend(self.license_finding(package).map(|why| format!("{name}: {why}")));
            if self.banned.contains(&package.name) {
                found.push(format!("{name}: banned"));
            }
            found.extend(source_finding(package, packages).map(|why| format!("{name}: {why}")));
            let seen = versions.entry(&package.name).or_default();
            seen.push(&package.version);
        }
        for (name, versions) in versions {
            if versions.len() > 1 && self.single.iter().any(|single| single == name) {
                found.push(format!("{name}: several versions: {}", versions.join(", ")));
            }
        }
        found
    }

    fn license_finding(&self, package: &Package) -> Option<String> {
        let Some(expression) = &package.license else {
            return Some("has no licence expression".to_owned());
        };
        match spdx::allows(expression, &self.licenses) {
            Ok(true) => None,
            Ok(false) => Some(format!("licence `{expression}` is not on the list")),
            Err(error) => Some(format!("licence `{expression}`: {error}")),
        }
    }
}

/// Judges where a package comes from: this repository, or the one registry all others come from.
fn source_finding(package: &Package, packages: &[Package]) -> Option<String> {
    let source = package.source.as_deref()?;
    if !source.starts_with("registry+") {
        return Some("does not come from a registry".to_owned());
    }
    let first = packages.iter().find_map(|other| other.source.as_deref());
    let first = first.filter(|first| first.starts_with("registry+"));
    (first.is_some() && first != Some(source)).then(|| "comes from a second registry".to_owned())
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [
            { crate = "openssl-sys" },
            { crate = "rustls", deny-multiple-versions = true },
        ]
    "#;

    fn package(name: &str, version: &str, license: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some(license.to_owned()),
            source: None,
            dependencies: Vec::new(),
        }
    }

    fn findings(packages: &[Package]) -> Vec<String> {
        Policy::parse(POLICY).unwrap().findings(packages)
    }

    #[test]
    fn licence_off_the_list_is_named() {
        let found = findings(&[package("a", "1.0.0", "GPL-3.0-only")]);
        assert_eq!(found, ["a 1.0.0: licence `GPL-3.0-only` is not on the list"]);
    }

    #[test]
    fn package_without_licence_is_refused() {
        let mut bare = package("a", "1.0.0", "MIT");
        bare.license = None;
        assert_eq!(findings(&[bare]), ["a 1.0.0: has no licence expression"]);
    }

    #[test]
    fn banned_crate_is_refused() {
        let found = findings(&[package("openssl-sys", "0.9.0", "MIT")]);
        assert_eq!(found, ["openssl-sys 0.9.0: banned"]);
    }

    #[test]
    fn second_version_is_refused_only_where_the_policy_says_so() {
        let twice = |name| [package(name, "1.0.0", "MIT"), package(name, "2.0.0", "MIT")];
        assert_eq!(findings(&twice("rustls")), ["rustls: several versions: 1.0.0, 2.0.0"]);
        assert!(findings(&twice("syn")).is_empty());
    }

    #[test]
    fn git_source_is_refused() {
        let mut foreign = package("a", "1.0.0", "MIT");
        foreign.source = Some("git+https://example.com/a".to_owned());
        assert_eq!(findings(&[foreign]), ["a 1.0.0: does not come from a registry"]);
    }

    #[test]
    fn second_registry_is_refused() {
        let from = |name, source: &str| Package {
            source: Some(source.to_owned()),
            ..package(name, "1.0.0", "MIT")
        };
        let packages = [
            package("own", "1.0.0", "MIT"),
            from("a", "registry+https://one.example"),
            from("b", "registry+https://two.example"),
        ];
        assert_eq!(findings(&packages), ["b 1.0.0: comes from a second registry"]);
    }

    #[test]
    fn policy_without_licences_is_an_error() {
        assert!(Policy::parse("[licenses]\nallow = []").is_err());
    }
}
