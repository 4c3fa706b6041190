//! `cargo xtask catalogue`: which rows of the catalogue a test proves.
//!
//! A test proves a row by naming it in the comment above it; this file joins the two lists and
//! prints them. It can't judge whether the test asserts the right thing: reviewers do.

mod rows;
mod scan;

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{Failure, none_found};
use crate::repo::Repo;
use rows::Row;
use scan::{Language, Proof};

/// Where the rows stand.
const CATALOGUE: &str = "docs/catalogue.md";

/// How much to print.
enum Report {
    /// Every row with its proofs, by group.
    Full,
    /// The rows of one group that have no proof.
    Missing(String),
    /// One line a group.
    Summary,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Usage`] for a bad argument; [`Failure::Check`] when the catalogue is malformed, has
/// an id twice, or a test names a row that does not exist.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match words.as_slice() {
        [] => Report::Full,
        ["--summary"] => Report::Summary,
        ["--missing", group] => Report::Missing(group.to_ascii_uppercase()),
        _ => return Err(Failure::Usage(format!("bad arguments: {words:?}"))),
    };
    let (rows, proofs) = load(repo)?;
    print!("{}", render(&rows, &proofs, &report)?);
    Ok(())
}

/// Reads the catalogue and the tests, and fails on what does not fit together.
fn load(repo: &Repo) -> Result<(Vec<Row>, Vec<Proof>), Failure> {
    let rows = rows::parse(&repo.read(CATALOGUE)?)
        .map_err(|findings| Failure::Check(format!("{CATALOGUE}:\n  {}", findings.join("\n  "))))?;
    let mut proofs = Vec::new();
    for path in repo.files(&["rs", "py", "mjs", "js"])? {
        // Workspaces of their own: `cargo xtask test` does not run what is in them.
        if path.starts_with("bench") || path.starts_with("fuzz") {
            continue;
        }
        if let Some(language) = Language::of(&path) {
            proofs.extend(scan::proofs(&path, &repo.read(&path)?, language));
        }
    }
    none_found("tests that name no row:", &strangers(&rows, &proofs))?;
    none_found("rows that cannot arise and are proved:", &contradictions(&rows, &proofs))?;
    Ok((rows, proofs))
}

fn strangers(rows: &[Row], proofs: &[Proof]) -> Vec<String> {
    proofs
        .iter()
        .filter(|proof| rows.iter().all(|row| row.id != proof.row))
        .map(|proof| format!("{}: {} is not in {CATALOGUE}", proof.place(), proof.row))
        .collect()
}

/// Finds the rows that are said not to arise and that a test proves all the same.
fn contradictions(rows: &[Row], proofs: &[Proof]) -> Vec<String> {
    let unreal =
        |proof: &&Proof| rows.iter().any(|row| row.id == proof.row && row.cannot_arise.is_some());
    proofs.iter().filter(unreal).map(|proof| format!("{}: {}", proof.place(), proof.row)).collect()
}

fn render(rows: &[Row], proofs: &[Proof], report: &Report) -> Result<String, Failure> {
    let mut by_row: BTreeMap<&str, Vec<&Proof>> = BTreeMap::new();
    for proof in proofs {
        by_row.entry(&proof.row).or_default().push(proof);
    }
    let groups = groups(rows);
    let mut text = String::new();
    match report {
        Report::Missing(wanted) => {
            if !groups.contains(&wanted.as_str()) {
                return Err(Failure::Usage(format!("there is no group `{wanted}`")));
            }
            for row in rows.iter().filter(|row| row.group() == wanted) {
                if !by_row.contains_key(row.id.as_str()) && row.cannot_arise.is_none() {
                    text.push_str(&format!("{}  {}  {}\n", row.id, row.kind, row.input));
                }
            }
        }
        Report::Full | Report::Summary => {
            for group in groups {
                let members: Vec<&Row> = rows.iter().filter(|row| row.group() == group).collect();
                text.push_str(&heading(group, &members, &by_row));
                if matches!(report, Report::Full) {
                    for row in members {
                        text.push_str(&line(row, by_row.get(row.id.as_str())));
                    }
                }
            }
            text.push_str(&heading("all", &rows.iter().collect::<Vec<_>>(), &by_row));
        }
    }
    Ok(text)
}

/// Returns the groups in the order of their first row.
fn groups(rows: &[Row]) -> Vec<&str> {
    let mut groups = Vec::new();
    for row in rows {
        if !groups.contains(&row.group()) {
            groups.push(row.group());
        }
    }
    groups
}

fn heading(group: &str, members: &[&Row], by_row: &BTreeMap<&str, Vec<&Proof>>) -> String {
    let proved = members.iter().filter(|row| by_row.contains_key(row.id.as_str())).count();
    let unreal = members.iter().filter(|row| row.cannot_arise.is_some()).count();
    let apart = if unreal > 0 { format!(", {unreal} cannot arise") } else { String::new() };
    format!("{group}: proved {proved} of {}{apart}\n", members.len() - unreal)
}

fn line(row: &Row, proofs: Option<&Vec<&Proof>>) -> String {
    let places = match (proofs, &row.cannot_arise) {
        (_, Some(reason)) => format!("cannot arise: {reason}"),
        (None, None) => "not yet".to_owned(),
        (Some(proofs), None) => {
            let places: Vec<String> = proofs.iter().map(|proof| proof.place()).collect();
            places.join("  ")
        }
    };
    format!("  {}  {}  {places}\n", row.id, row.kind)
}

impl Language {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "js" | "mjs" => Some(Self::JavaScript),
            "py" => Some(Self::Python),
            "rs" => Some(Self::Rust),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        rows::parse(
            "| FRM-001 | u | unmasked frame | F(1002) |\n\
             | FRM-002 | u | masked frame | F(1002) |\n\
             | CLS-001 | u | empty body | echoed |\n",
        )
        .unwrap()
    }

    fn proofs(text: &str) -> Vec<Proof> {
        scan::proofs(Path::new("a.rs"), text, Language::Rust)
    }

    #[test]
    fn summary_counts_each_group_and_all() {
        let proofs = proofs("// FRM-002\n#[test]\nfn x() {}\n");
        let text = render(&rows(), &proofs, &Report::Summary).unwrap();
        assert_eq!(text, "FRM: proved 1 of 2\nCLS: proved 0 of 1\nall: proved 1 of 3\n");
    }

    #[test]
    fn full_report_gives_the_place_of_each_proof() {
        let proofs = proofs("// FRM-002\n#[test]\nfn x() {}\n");
        let text = render(&rows(), &proofs, &Report::Full).unwrap();
        assert!(text.contains("  FRM-001  u  not yet\n"));
        assert!(text.contains("  FRM-002  u  a.rs:3\n"));
    }

    #[test]
    fn missing_lists_the_unproved_rows_of_the_group_only() {
        let proofs = proofs("// FRM-002\n#[test]\nfn x() {}\n");
        let report = Report::Missing("FRM".to_owned());
        let text = render(&rows(), &proofs, &report).unwrap();
        assert_eq!(text, "FRM-001  u  unmasked frame\n");
    }

    #[test]
    fn row_that_cannot_arise_is_counted_and_printed_apart() {
        let text = "| FRM-001 | u | a | b |\n\
                    | FRM-002 | u | c | d. Cannot arise: nothing does c |\n";
        let (rows, proofs) =
            (rows::parse(text).unwrap(), proofs("// FRM-001\n#[test]\nfn x() {}\n"));
        let report = render(&rows, &proofs, &Report::Full).unwrap();
        assert!(report.starts_with("FRM: proved 1 of 1, 1 cannot arise\n"), "{report}");
        assert!(report.contains("  FRM-002  u  cannot arise: nothing does c\n"));
        assert!(report.ends_with("all: proved 1 of 1, 1 cannot arise\n"));
        let missing = Report::Missing("FRM".to_owned());
        assert_eq!(render(&rows, &proofs, &missing).unwrap(), "");
        let both = super::tests::proofs("// FRM-002\n#[test]\nfn x() {}\n");
        assert_eq!(contradictions(&rows, &both), ["a.rs:3: FRM-002"]);
        assert!(contradictions(&rows, &proofs).is_empty());
    }

    // What docs/catalogue.md gives as the reason why FRM-041 cannot arise.
    #[test]
    fn nothing_is_written_from_more_than_two_buffers() {
        let repo = Repo::locate().unwrap();
        for path in repo.files(&["rs"]).unwrap() {
            if path.starts_with("crates") && path.iter().any(|part| part == "src") {
                let text = repo.read(&path).unwrap();
                let buffers = text.matches("IoSlice::new(").count();
                let calls = text.matches("[IoSlice::new(").count();
                assert!(buffers <= 2 * calls, "{}", path.display());
            }
        }
    }

    #[test]
    fn unknown_group_is_a_usage_error() {
        let report = Report::Missing("XXX".to_owned());
        let failure = render(&rows(), &[], &report).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn test_that_names_no_row_is_found() {
        let found = strangers(&rows(), &proofs("// FRM-099\n#[test]\nfn x() {}\n"));
        assert_eq!(found, ["a.rs:3: FRM-099 is not in docs/catalogue.md"]);
    }

    #[test]
    fn own_catalogue_is_well_formed_and_every_test_names_a_row_of_it() {
        let (rows, _) = load(&Repo::locate().unwrap()).unwrap();
        assert!(!rows.is_empty());
    }
}
