//! Tables of what was measured, in Markdown: a row for each point, a column for each server.
//!
//! The first server's column holds its figures, the others' theirs and the ratio to it. A ratio is the median
//! of the ratios of each round, in which the servers ran one after the other.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::points::Point;
use super::servers::Server;

/// Returns a table for the servers that were measured everywhere, and one for all.
pub(super) fn tables(
    points: &[Point],
    servers: &[Server],
    measured: &Map<String, Value>,
) -> String {
    let mut text = String::new();
    let (all, rest): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|one| one.is_for_all());
    for points in [all, rest] {
        let taking: Vec<&Server> = servers
            .iter()
            .filter(|server| points.iter().any(|point| server.takes(point)))
            .collect();
        if points.is_empty() || taking.is_empty() {
            continue;
        }
        let names: Vec<&str> = taking.iter().map(|server| server.name).collect();
        let _ = writeln!(text, "\n| | {} |", names.join(" | "));
        let _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
        for point in points {
            let runs = &measured[&point.to_string()];
            let cells: Vec<String> =
                names.iter().map(|name| cell(point, &runs[name], &runs[names[0]])).collect();
            let _ = writeln!(text, "| {point} | {} |", cells.join(" | "));
        }
    }
    text
}

/// Returns a server's figure, the part that is the program's own, and the ratio to the first server's.
fn cell(point: &Point, runs: &Value, first: &Value) -> String {
    let Some(figure) = median(figures(runs, point.figure()).into_iter().flatten()) else {
        return "–".to_owned();
    };
    let mut text = thousands(figure);
    if let Some(user) = median(figures(runs, "user ns").into_iter().flatten()) {
        let _ = write!(text, " ({})", thousands(user));
    }
    if runs != first {
        let firsts = figures(first, point.figure());
        let ratios = figures(runs, point.figure())
            .into_iter()
            .zip(firsts)
            .filter_map(|(ours, theirs)| Some(ours? / theirs?));
        if let Some(ratio) = median(ratios) {
            let _ = write!(text, " **{ratio:.2}**");
        }
    }
    text
}

/// Returns a figure of each run, of those that did not fail.
fn figures(runs: &Value, name: &str) -> Vec<Option<f64>> {
    let runs = runs.as_array().map(Vec::as_slice).unwrap_or_default();
    runs.iter().map(|run| run[name].as_f64()).collect()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => Some((values.get(middle.checked_sub(1)?)? + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// Writes a number with its thousands apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 3.0].into_iter()), Some(3.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0.4, 999.0, 1_000.0, 1_234_567.0].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
