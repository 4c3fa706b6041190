//! The repository on disk: where it is and which files it has. Knows nothing of their contents.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Directories that hold other people's files or build products.
const SKIPPED: &[&str] = &["target", "node_modules", "corpus"];

/// The repository this tool was built from.
#[derive(Debug)]
pub(crate) struct Repo {
    root: PathBuf,
}

impl Repo {
    /// Finds the repository: the parent of the directory of this crate's manifest.
    ///
    /// # Errors
    /// [`Failure::Check`] when the manifest directory has no parent.
    pub(crate) fn locate() -> Result<Self, Failure> {
        // The run-time value first: a target directory shared by two checkouts must not send
        // one of them into the other.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .ok_or_else(|| Failure::Check(format!("{} has no parent", manifest.display())))?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// Returns the top directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a file given by its path from the top directory.
    ///
    /// # Errors
    /// [`Failure::Check`] naming the file when it can't be read as UTF-8.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String, Failure> {
        let path = path.as_ref();
        fs::read_to_string(self.root.join(path))
            .map_err(|error| Failure::during(path.display(), error))
    }

    /// Lists the files with one of these extensions, sorted, as paths from the top directory.
    /// Hidden directories, build products and installed packages are left out.
    ///
    /// # Errors
    /// [`Failure::Check`] naming a directory that can't be read.
    pub(crate) fn files(&self, extensions: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        let mut pending = vec![self.root.clone()];
        while let Some(directory) = pending.pop() {
            let entries = fs::read_dir(&directory)
                .map_err(|error| Failure::during(directory.display(), error))?;
            for entry in entries {
                let entry = entry.map_err(|error| Failure::during(directory.display(), error))?;
                let path = entry.path();
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // `file_type` does not follow links, so a link back up can't make a loop.
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                    pending.push(path);
                } else if !is_directory && has_extension(&path, extensions) {
                    found.push(path.strip_prefix(&self.root).unwrap_or(&path).to_path_buf());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| extensions.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_sources_are_found_and_build_products_are_not() {
        let files = Repo::locate().unwrap().files(&["rs"]).unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/repo.rs")));
        assert!(files.iter().all(|path| !path.starts_with("target")));
    }
}
