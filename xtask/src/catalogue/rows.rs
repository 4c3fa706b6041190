//! The rows of the catalogue: a table line `| id | kind | input | expected |` each.

use std::collections::HashMap;

use super::scan::is_id;

/// The kinds of test a row can ask for.
const KINDS: &[&str] = &["u", "i", "f", "s", "p"];

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) input: String,
    /// Why the input cannot be met, if it cannot.
    pub(super) cannot_arise: Option<String>,
}

impl Row {
    /// Returns the part of the id before the dash.
    pub(super) fn group(&self) -> &str {
        self.id.split('-').next().unwrap_or(&self.id)
    }
}

/// Reads all rows of a catalogue.
///
/// # Errors
/// One finding for each malformed row and each id that stands twice, with its line number.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    let mut first_lines = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match parse_line(line) {
            None => {}
            Some(Err(why)) => findings.push(format!("line {number}: {why}")),
            Some(Ok(row)) => {
                if let Some(first) = first_lines.insert(row.id.clone(), number) {
                    findings
                        .push(format!("line {number}: {} stands on line {first} already", row.id));
                }
                rows.push(row);
            }
        }
    }
    if findings.is_empty() { Ok(rows) } else { Err(findings) }
}

/// Reads one line; `None` when it is not a row. Headings of tables and rulers are not.
fn parse_line(line: &str) -> Option<Result<Row, String>> {
    let inner = line.trim().strip_prefix('|')?;
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let cells = cells(inner);
    let first = cells.first()?;
    let starts_like_an_id = first.contains('-') && first.chars().any(char::is_alphanumeric);
    if !starts_like_an_id {
        return None;
    }
    Some(row_of(&cells))
}

fn row_of(cells: &[String]) -> Result<Row, String> {
    let [id, kind, input, expected] = cells else {
        return Err(format!("{} cells instead of 4", cells.len()));
    };
    if !is_id(id) {
        return Err(format!("`{id}` is not an id"));
    }
    if !KINDS.contains(&kind.as_str()) {
        return Err(format!("{id}: no kind `{kind}`"));
    }
    if input.is_empty() || expected.is_empty() {
        return Err(format!("{id}: an empty cell"));
    }
    let cannot_arise = match expected.split_once(CANNOT_ARISE) {
        Some((_, reason)) if reason.split_whitespace().count() < LEAST_REASON => {
            return Err(format!("{id}: cannot arise, but does not say why"));
        }
        Some((_, reason)) => Some(reason.trim().to_owned()),
        None => None,
    };
    Ok(Row { id: id.clone(), kind: kind.clone(), input: input.clone(), cannot_arise })
}

/// What stands before the reason why a row cannot arise.
const CANNOT_ARISE: &str = "Cannot arise:";

/// Fewer words are no reason.
const LEAST_REASON: usize = 3;

/// Splits at the bars that are not escaped.
fn cells(inner: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for character in inner.chars() {
        if character == '|' && !escaped {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heading_and_ruler_are_no_rows() {
        let text = "| id | kind | input | expected |\n|---|---|---|---|\n\
                    | UTF-001 | p | bytes | F(1007) |\n";
        let rows = parse(text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].group(), "UTF");
        assert_eq!(rows[0].input, "bytes");
    }

    #[test]
    fn escaped_bar_stays_in_its_cell() {
        let rows = parse(r"| CMD-006 | i | `\| head -1` | exit 0 |").unwrap();
        assert_eq!(rows[0].input, r"`\| head -1`");
    }

    #[test]
    fn row_that_cannot_arise_carries_its_reason() {
        let text = "| UTF-001 | p | a | b. Cannot arise: there is no such thing |\n\
                    | UTF-002 | p | a | b |\n";
        let rows = parse(text).unwrap();
        assert_eq!(rows[0].cannot_arise.as_deref(), Some("there is no such thing"));
        assert_eq!(rows[1].cannot_arise, None);
    }

    #[test]
    fn same_id_twice_is_found_with_both_lines() {
        let text = "| UTF-001 | p | a | b |\n| UTF-001 | p | c | d |\n";
        let findings = parse(text).unwrap_err();
        assert_eq!(findings, ["line 2: UTF-001 stands on line 1 already"]);
    }

    #[test]
    fn malformed_rows_are_found() {
        let bad = [
            "| UTF-001 | p | only three |",
            "| UTF-001 | q | no such kind | x |",
            "| UTF-01 | p | short number | x |",
            "| UTF-001 | p |  | x |",
            "| UTF-001 | p | a | b. Cannot arise: |",
            "| UTF-001 | p | a | b. Cannot arise: never |",
        ];
        for line in bad {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
