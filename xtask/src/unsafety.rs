//! `cargo xtask unsafe`: `unsafe` code stands in the few files that may hold it, and every other
//! crate forbids it at its root.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, no_arguments, none_found};
use crate::repo::Repo;

/// The files that may hold `unsafe`.
const ALLOWED_FILES: &[&str] = &[
    "crates/sockeye-proto/src/mask.rs",
    "crates/sockeye-proto/src/utf8.rs",
    // Tests that count: a global allocator cannot be implemented without.
    "crates/sockeye/tests/memory.rs",
    "crates/sockeye-proto/tests/it/memory.rs",
    "crates/sockeye-reactor/tests/memory.rs",
];

/// The crates whose modules those files are: they deny `unsafe` at the root and allow it there.
const DENYING_CRATES: &[&str] = &["crates/sockeye-proto"];

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] naming each stray `unsafe` and each crate root that does not forbid it.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    none_found("unsafe code out of bounds:", &findings(repo)?)?;
    println!("`unsafe` stands in its own files only");
    Ok(())
}

fn findings(repo: &Repo) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for path in repo.files(&["rs"])? {
        let text = repo.read(&path)?;
        if is_crate_root(&path) && !text.contains(wanted_attribute(&path)) {
            let attribute = wanted_attribute(&path);
            found.push(format!("{}: lacks `{attribute}`", path.display()));
        }
        if ALLOWED_FILES.iter().any(|allowed| path == Path::new(allowed)) {
            if !text.contains("#[test]") {
                found.push(format!("{}: holds `unsafe` but no tests", path.display()));
            }
            continue;
        }
        for number in unsafe_lines(&text) {
            found.push(format!("{}:{number}: `unsafe`", path.display()));
        }
    }
    found.extend(missing_lints(repo)?);
    Ok(found)
}

/// Returns the manifests that let an `unsafe` block pass without a `SAFETY:` comment.
fn missing_lints(repo: &Repo) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    if !repo.read("Cargo.toml")?.contains("undocumented_unsafe_blocks = \"deny\"") {
        found.push("Cargo.toml: clippy's undocumented_unsafe_blocks is not denied".to_owned());
    }
    for path in repo.files(&["toml"])? {
        let is_ours = path.starts_with("crates") && path.ends_with("Cargo.toml");
        if is_ours && !repo.read(&path)?.contains("[lints]\nworkspace = true") {
            found.push(format!("{}: lacks the workspace's lints", path.display()));
        }
    }
    Ok(found)
}

/// Tells whether the file is the root of a library or of a binary (tests, examples and benches
/// are covered by the search for the word).
fn is_crate_root(path: &Path) -> bool {
    let in_src = path.parent().is_some_and(|parent| parent.ends_with("src"));
    in_src && (path.ends_with("lib.rs") || path.ends_with("main.rs"))
}

fn wanted_attribute(path: &Path) -> &'static str {
    let crate_directory: PathBuf = path.components().take(2).collect();
    if DENYING_CRATES.iter().any(|denying| crate_directory == Path::new(denying)) {
        "#![deny(unsafe_code)]"
    } else {
        "#![forbid(unsafe_code)]"
    }
}

/// Returns the numbers of the lines on which `unsafe` opens a block, a function, an
/// implementation or a trait. Comments are skipped.
fn unsafe_lines(text: &str) -> Vec<usize> {
    const OPENINGS: &[&str] = &["{", "fn ", "impl ", "impl<", "trait ", "extern "];
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            code.match_indices("unsafe ").any(|(at, word)| {
                let stands_alone = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let rest = &code[at + word.len()..];
                stands_alone && OPENINGS.iter().any(|opening| rest.starts_with(opening))
            })
        })
        .map(|(index, _)| index + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // SAF-005
    #[test]
    fn unsafe_is_forbidden_in_every_crate_but_those_with_a_file_for_it() {
        let found = findings(&Repo::locate().unwrap()).unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn blocks_functions_and_implementations_are_seen() {
        let word = "unsafe";
        let text =
            format!("let x = {word} {{ f() }};\n{word} fn g() {{}}\n{word} impl S for T {{}}");
        assert_eq!(unsafe_lines(&text), [1, 2, 3]);
    }

    #[test]
    fn comments_and_attributes_are_not() {
        assert!(unsafe_lines("// unsafe { } is not here\n#![forbid(unsafe_code)]").is_empty());
    }

    #[test]
    fn core_denies_and_others_forbid() {
        let core = Path::new("crates/sockeye-proto/src/lib.rs");
        assert_eq!(wanted_attribute(core), "#![deny(unsafe_code)]");
        let library = Path::new("crates/sockeye/src/lib.rs");
        assert_eq!(wanted_attribute(library), "#![forbid(unsafe_code)]");
    }
}
