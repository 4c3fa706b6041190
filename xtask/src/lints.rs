//! `cargo xtask lints`: the parser crates deny what must never depend on a peer's bytes, nothing in
//! them takes that back, their arithmetic stays checked in release builds, panics unwind, and no map
//! hashes in a way that a peer could foresee.
//!
//! Owns which lints those are. That clippy finds nothing is the matter of the step `clippy`; this
//! file makes sure that it looks.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, no_arguments, none_found};
use crate::repo::Repo;
use crate::test;

/// The crates that read what a peer sends.
const PARSER_CRATES: &[&str] = &["sockeye-proto"];

/// Lints against a number that loses part of its value in a cast.
const CAST_LINTS: &[&str] = &[
    "clippy::cast_possible_truncation",
    "clippy::cast_possible_wrap",
    "clippy::cast_precision_loss",
    "clippy::cast_sign_loss",
];

/// Lints against what may panic.
const PANIC_LINTS: &[&str] = &[
    "clippy::expect_used",
    "clippy::indexing_slicing",
    "clippy::panic",
    "clippy::string_slice",
    "clippy::todo",
    "clippy::unimplemented",
    "clippy::unreachable",
    "clippy::unwrap_used",
];

/// Groups that hold some of them: to allow one would allow those too.
const GROUPS: &[&str] = &["warnings", "clippy::all", "clippy::pedantic", "clippy::restriction"];

/// Hashers without keys of their own in each process, and what makes others of that sort: names that
/// all fall into one bucket can be made up for those. The standard library's maps draw their keys.
const FORESEEABLE: &[&str] = &[
    "BuildHasherDefault",
    "DefaultHasher",
    "FixedState",
    "Fnv",
    "Fx",
    "NoHash",
    "with_seed",
    "with_hasher",
];

/// The manifests of the workspaces that build the parser crates for release.
const WORKSPACES: &[&str] = &["Cargo.toml", "bench/Cargo.toml"];

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] naming each lint, profile and step that is missing or taken back.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let mut found = findings(repo, PANIC_LINTS)?;
    found.extend(findings(repo, CAST_LINTS)?);
    found.extend(unchecked_arithmetic(repo)?);
    found.extend(aborting_profiles(repo)?);
    found.extend(foreseeable_hashes(repo)?);
    none_found("what keeps the parsers from harm is not in force:", &found)?;
    println!("the parser crates deny panics and cutting casts, and overflow is checked");
    Ok(())
}

/// Returns where these lints are not denied, or are taken back, in a parser crate, and whether CI
/// lets warnings pass.
fn findings(repo: &Repo, lints: &[&str]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for name in PARSER_CRATES {
        let source = PathBuf::from(format!("crates/{name}/src"));
        let root = source.join("lib.rs");
        let denied = denied_at_root(&repo.read(&root)?);
        for lint in lints.iter().filter(|lint| !denied.contains(&(**lint).to_owned())) {
            found.push(format!("{}: {lint} is not denied", root.display()));
        }
        for path in repo.files(&["rs"])?.iter().filter(|path| path.starts_with(&source)) {
            found.extend(taken_back(path, &repo.read(path)?, lints));
        }
    }
    if !test::clippy_fails_on_warnings() {
        found.push("cargo xtask test: no clippy over the workspace with -D warnings".to_owned());
    }
    if !repo.read(".ci/run")?.contains("cargo xtask test\n") {
        found.push(".ci/run: does not run `cargo xtask test`".to_owned());
    }
    Ok(found)
}

/// Returns the lints that the root of a crate denies for all of it but its tests.
fn denied_at_root(text: &str) -> Vec<String> {
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    packed
        .split_once("#![cfg_attr(not(test),deny(")
        .and_then(|(_, rest)| rest.split_once("))]"))
        .map(|(lints, _)| lints.split(',').map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Returns the attributes of a file that silence one of these lints, but for an `expect` on one item
/// that gives its reason.
fn taken_back(path: &Path, text: &str, lints: &[&str]) -> Vec<String> {
    attributes(text)
        .filter(|attribute| {
            let silences = attribute.contains("allow(") || attribute.contains("expect(");
            let is_excused = attribute.starts_with("#[expect(") && attribute.contains("reason =");
            let names =
                |lint: &&str| attribute.split([',', '(', ')']).any(|word| word.trim() == *lint);
            silences && (GROUPS.iter().any(&names) || lints.iter().any(names) && !is_excused)
        })
        .map(|attribute| format!("{}: {attribute}", path.display()))
        .collect()
}

/// Returns the attributes of a file, each up to the bracket that closes it.
fn attributes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('#').filter_map(|(start, _)| {
        let rest = text.get(start..)?;
        if !rest.starts_with("#[") && !rest.starts_with("#![") {
            return None;
        }
        let mut depth = 0usize;
        let end = rest.find(|c| {
            depth = match c {
                '[' => depth + 1,
                ']' => depth.saturating_sub(1),
                _ => depth,
            };
            c == ']' && depth == 0
        })?;
        rest.get(..=end)
    })
}

/// Returns the lines of our crates that name a hasher whose hashes can be foreseen.
fn foreseeable_hashes(repo: &Repo) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let is_served = |path: &&PathBuf| path.components().any(|part| part.as_os_str() == "src");
    for path in repo.files(&["rs"])?.iter().filter(|path| path.starts_with("crates")) {
        if is_served(&path) {
            let text = repo.read(path)?;
            let lines = text.lines().filter(|line| names_foreseeable_hasher(line));
            found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    Ok(found)
}

fn names_foreseeable_hasher(line: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    // Types of such hashers begin with their names: `FxHashMap`, `FnvBuildHasher`.
    words.any(|word| {
        FORESEEABLE.iter().any(|name| {
            word == *name || word.strip_prefix(name).is_some_and(|rest| rest.contains("Hash"))
        })
    })
}

/// Returns the profiles in which a panic ends the process instead of the connection that met it.
fn aborting_profiles(repo: &Repo) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for path in repo.files(&["toml"])?.iter().filter(|path| path.ends_with("Cargo.toml")) {
        for profile in profiles_that_abort(&manifest(repo, path)?) {
            found.push(format!("{}: profile {profile} aborts on panic", path.display()));
        }
    }
    Ok(found)
}

fn profiles_that_abort(manifest: &toml::Table) -> Vec<&str> {
    let profiles = manifest.get("profile").and_then(toml::Value::as_table).into_iter().flatten();
    let aborts =
        |profile: &toml::Value| profile.get("panic").and_then(toml::Value::as_str) == Some("abort");
    profiles.filter(|(_, profile)| aborts(profile)).map(|(name, _)| name.as_str()).collect()
}

fn manifest(repo: &Repo, path: &Path) -> Result<toml::Table, Failure> {
    toml::from_str(&repo.read(path)?).map_err(|error| Failure::during(path.display(), error))
}

/// Returns the workspaces whose release builds let arithmetic in a parser crate wrap.
fn unchecked_arithmetic(repo: &Repo) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for path in WORKSPACES {
        let table = manifest(repo, Path::new(path))?;
        for name in PARSER_CRATES.iter().filter(|name| !checks_overflow(&table, name)) {
            found.push(format!("{path}: no overflow checks in release for {name}"));
        }
    }
    Ok(found)
}

fn checks_overflow(manifest: &toml::Table, name: &str) -> bool {
    ["profile", "release", "package", name]
        .iter()
        .try_fold(manifest, |table, key| table.get(*key)?.as_table())
        .and_then(|profile| profile.get("overflow-checks")?.as_bool())
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAF-006
    #[test]
    fn parsers_keep_overflow_checks_in_release_and_deny_casts_that_cut() {
        let repo = Repo::locate().unwrap();
        assert_eq!(unchecked_arithmetic(&repo).unwrap(), Vec::<String>::new());
        assert_eq!(findings(&repo, CAST_LINTS).unwrap(), Vec::<String>::new());
    }

    // SAF-007
    #[test]
    fn parsers_deny_unwrap_expect_panics_and_indexing() {
        let repo = Repo::locate().unwrap();
        assert_eq!(findings(&repo, PANIC_LINTS).unwrap(), Vec::<String>::new());
    }

    // RES-013
    #[test]
    fn no_map_of_the_crates_hashes_in_a_way_that_can_be_foreseen() {
        let repo = Repo::locate().unwrap();
        assert_eq!(foreseeable_hashes(&repo).unwrap(), Vec::<String>::new());
        for line in [
            "    topics: FxHashMap<String, Topic>,",
            "use std::hash::{BuildHasherDefault, RandomState};",
            "let mut hasher = DefaultHasher::new();",
            "let map: HashMap<_, _, fnv::FnvBuildHasher> = HashMap::default();",
            "ahash::RandomState::with_seed(7)",
        ] {
            assert!(names_foreseeable_hasher(line), "{line}");
        }
        assert!(!names_foreseeable_hasher("let map = HashMap::with_capacity(3); // Fxy"));
    }

    // SAF-008
    #[test]
    fn panics_unwind_in_every_profile() {
        assert_eq!(aborting_profiles(&Repo::locate().unwrap()).unwrap(), Vec::<String>::new());
        let table = toml::from_str("[profile.release]\npanic = \"abort\"\n").unwrap();
        assert_eq!(profiles_that_abort(&table), ["release"]);
    }

    #[test]
    fn lint_counts_only_where_the_whole_crate_denies_it() {
        let text = "#![cfg_attr(\n    not(test),\n    deny(\n        clippy::panic,\n        clippy::todo\n    )\n)]\n";
        assert_eq!(denied_at_root(text), ["clippy::panic", "clippy::todo"]);
        assert!(denied_at_root("#![warn(clippy::panic)]").is_empty());
    }

    #[test]
    fn silenced_lints_are_found_and_reasoned_expectations_are_not() {
        let found = |text| taken_back(Path::new("a.rs"), text, PANIC_LINTS).len();
        assert_eq!(found("#[allow(clippy::panic)]\nfn f() {}"), 1);
        assert_eq!(found("#![expect(clippy::panic, reason = \"all of it\")]"), 1);
        assert_eq!(found("#[expect(clippy::panic)]"), 1);
        assert_eq!(found("#[cfg_attr(unix, allow(\n    clippy::panic\n))]"), 1);
        assert_eq!(found("#![allow(clippy::restriction, reason = \"[x]\")]"), 1);
        assert_eq!(found("#[expect(clippy::panic, reason = \"the caller has checked\")]"), 0);
        assert_eq!(found("#[allow(clippy::panic_in_result_fn)]"), 0);
    }

    #[test]
    fn profile_without_the_checks_is_found() {
        let table = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let profile = "[profile.release.package.sockeye-proto]\n";
        let checks = |text: &str| checks_overflow(&table(text), "sockeye-proto");
        assert!(checks(&format!("{profile}overflow-checks = true\n")));
        assert!(!checks(&format!("{profile}overflow-checks = false\n")));
        assert!(!checks("[profile.release]\noverflow-checks = true\n"));
    }
}
