//! `cargo xtask shape`: no Rust file grows past its limit. The length of functions is clippy's
//! matter (`too-many-lines-threshold` in `clippy.toml`, denied in the `clippy` step).

use crate::failure::{Failure, no_arguments, none_found};
use crate::repo::Repo;

/// Most lines a Rust file may have, tests included.
const MAX_FILE_LINES: usize = 800;

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] naming each file that is too long and its length.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let mut found = Vec::new();
    let files = repo.files(&["rs"])?;
    for path in &files {
        let lines = repo.read(path)?.lines().count();
        if lines > MAX_FILE_LINES {
            found.push(format!("{}: {lines} lines", path.display()));
        }
    }
    none_found(&format!("files of more than {MAX_FILE_LINES} lines:"), &found)?;
    println!("{} files, none over {MAX_FILE_LINES} lines", files.len());
    Ok(())
}
