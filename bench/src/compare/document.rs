//! Writes tables into the documentation, between its markers, and the charts beside it.

use std::fs;
use std::path::Path;

use super::results::Results;
use super::{charts, report};
use crate::load::Failure;

/// Writes what was measured into `performance.md` and `charts` of a directory.
///
/// # Errors
/// The document has no markers, or a file cannot be read or written.
pub(super) fn write(results: &Results, docs: &Path) -> Result<(), Failure> {
    let directory = docs.join("charts");
    fs::create_dir_all(&directory)?;
    for chart in charts::all(results) {
        fs::write(directory.join(format!("{}.svg", chart.file)), chart.svg())?;
    }
    let path = docs.join("performance.md");
    let text = fs::read_to_string(&path)?;
    let text = replace(&text, &report::markdown(results))
        .ok_or_else(|| format!("{} lacks {BEGIN} or {END}", path.display()))?;
    Ok(fs::write(path, text)?)
}

/// Puts `between` in the place of what stands between the markers.
fn replace(text: &str, between: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{between}{END}{after}"))
}

const BEGIN: &str = "<!-- load: begin -->";
const END: &str = "<!-- load: end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = replace(&text, "new\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replace(&once, "new\n"), Some(once));
        assert_eq!(replace("a", "new"), None);
    }
}
