//! What was measured, in Markdown: a summary, a table for each group of points, and what failed.

use std::fmt::Write;

use super::charts;
use super::points::{Bytes, Group, IDLE_USUAL, IDLE_WANTED, MOST_ON_THE_WAY, left_out};
use super::results::{Measured, Results};
use super::stats::{ratio, thousands};
use super::summary::Summary;

/// Returns all of it.
pub(super) fn markdown(results: &Results) -> String {
    let mut text = circumstances(results);
    text += &section("Summary", results, &[], &summaries(results));
    for (title, group) in SECTIONS {
        let table = table(results, *group);
        text += &section(title, results, &[*group], &table);
    }
    text += &failures(results);
    text += &servers(results);
    text
}

/// Returns a table under its title, with its chart, or nothing if it has no rows.
fn section(title: &str, results: &Results, groups: &[Group], table: &str) -> String {
    if table.is_empty() {
        return String::new();
    }
    let mut text = format!("\n### {title}\n\n");
    for chart in charts::of(results, groups) {
        let _ = writeln!(text, "![{}](charts/{}.svg)\n", chart.title, chart.file);
    }
    for note in notes(results, groups) {
        let _ = writeln!(text, "{note}\n");
    }
    text + table
}

/// Says where and when it was measured.
fn circumstances(results: &Results) -> String {
    let first = |measured: &Measured| {
        measured.load_average.split(' ').next().and_then(|text| text.parse::<f64>().ok())
    };
    let loads: Vec<f64> = results.points.iter().filter_map(first).collect();
    let (least, most) = range(&loads);
    let seconds: Vec<f64> = results.points.iter().map(|measured| measured.seconds).collect();
    let Results { processor, system, .. } = results;
    let (short, long) = range(&seconds);
    let windows =
        if short < long { format!("{short:.1} to {long:.1}") } else { format!("{short:.1}") };
    format!(
        "{processor}, {system}; load average before the points {least} to {most}; windows of {windows} s.\n"
    )
}

/// Says what the reader of a group's table must know.
fn notes(results: &Results, groups: &[Group]) -> Vec<String> {
    let Some(group) = groups.first() else {
        return vec![format!(
            "Ratios to {}, over all echoed points; means are geometric. *Crowded* are the points with 16 messages in \
             flight or at least 512 connections.",
            results.base()
        )];
    };
    match group {
        Group::Echo => {
            let left: Vec<String> = left_out().iter().map(|point| format!("“{point}”")).collect();
            let most = Bytes(MOST_ON_THE_WAY);
            vec![format!("Left out, as more than {most} would be on the way: {}.", left.join(", "))]
        }
        Group::Idle => {
            let most = results.of(Group::Idle).map(|measured| measured.point.connections).max();
            let short = most.filter(|most| (IDLE_USUAL + 1..IDLE_WANTED).contains(most));
            let note = |most: usize| {
                let [wanted, most] = [IDLE_WANTED, most].map(|count| thousands(count as f64));
                format!("{wanted} were wanted; the system granted descriptors for {most}.")
            };
            short.map(note).into_iter().collect()
        }
        Group::Broadcast | Group::Deflate | Group::Handshake => Vec::new(),
    }
}

/// Returns a line for each server.
fn summaries(results: &Results) -> String {
    let base = results.base();
    let mut text = String::new();
    for server in results.servers.iter().filter(|server| server.name != base) {
        let Some(all) = Summary::of(results, &server.name, base) else { continue };
        let cells = [
            all.server.to_owned(),
            all.points.to_string(),
            format!("**{}**", ratio(all.mean)),
            format!("{} at “{}”", ratio(all.worst), all.worst_at),
            all.user.map_or(NONE.to_owned(), ratio),
            crowded(results, &server.name, base),
            crowded(results, &server.name, TUNGSTENITE),
            crowded(results, &server.name, TUNGSTENITE_FEED),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if text.is_empty() { text } else { SUMMARY_HEAD.to_owned() + &text }
}

/// Returns the mean of a server at the crowded points, and the worst.
fn crowded(results: &Results, server: &str, base: &str) -> String {
    let summary = Summary::crowded(results, server, base).filter(|_| server != base);
    summary.map_or(NONE.to_owned(), |one| format!("{} ({})", ratio(one.mean), ratio(one.worst)))
}

/// Returns the table of a group: a row for each point, a column for each server that was measured at one.
fn table(results: &Results, group: Group) -> String {
    let measured = |name: &str| results.of(group).any(|one| !one.runs(name).is_empty());
    let names: Vec<&str> = results
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .filter(|name| measured(name))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    let mut text = format!("| | {} |\n", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(names.len()));
    for measured in results.of(group) {
        let cells: Vec<String> =
            names.iter().map(|name| cell(measured, name, results.base())).collect();
        let _ = writeln!(text, "| {} | {} |", measured.point, cells.join(" | "));
    }
    text
}

/// Returns a server's figure, the ratio to the base, and of echoes the ratio of user time alone.
fn cell(measured: &Measured, name: &str, base: &str) -> String {
    let Some(figure) = measured.figure(name) else {
        let failed = measured.failures(name).next().is_some();
        return if failed { "failed".to_owned() } else { NONE.to_owned() };
    };
    let mut text = thousands(figure);
    let rated = measured.ratio(name, base).filter(|_| name != base);
    let user = || measured.user_ratio(name, base);
    match (rated, measured.point.group()) {
        (Some(total), Group::Echo) => {
            text = format!("**{}**", ratio(total));
            let _ = user().map(|user| write!(text, " ({})", ratio(user)));
        }
        (Some(total), _) => {
            let _ = write!(text, " **{}**", ratio(total));
        }
        (None, Group::Echo) => {
            let _ = measured.user(name).map(|user| write!(text, " ({})", thousands(user)));
        }
        (None, _) => {}
    }
    if let Some(compressed) = measured.median(name, "compressed to") {
        let _ = write!(text, ", to {compressed:.2}");
    }
    text
}

/// Lists the runs that failed, and why.
fn failures(results: &Results) -> String {
    let mut text = String::new();
    for measured in &results.points {
        for (server, runs) in &measured.runs {
            let failed: Vec<&str> = measured.failures(server).collect();
            let Some(why) = failed.first() else { continue };
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            let (count, all) = (failed.len(), runs.len());
            let _ =
                writeln!(text, "- {server}, “{}”: {count} of {all} runs: {why}", measured.point);
        }
    }
    if text.is_empty() { text } else { format!("\n### Runs that failed\n\n{text}") }
}

/// Lists the servers and what they are.
fn servers(results: &Results) -> String {
    let mut text = "\n### The servers\n\n".to_owned();
    for server in &results.servers {
        let _ = writeln!(text, "- {}: {}", server.name, server.about);
    }
    text
}

fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

const SECTIONS: &[(&str, Group)] = &[
    ("Echo", Group::Echo),
    ("Echo under permessage-deflate", Group::Deflate),
    ("Broadcast", Group::Broadcast),
    ("Handshake", Group::Handshake),
    ("Idle connections", Group::Idle),
];
const SUMMARY_HEAD: &str = "| | points | mean | worst | user time, mean | crowded, mean (worst) | crowded, to \
                            tokio-tungstenite | crowded, to it with `feed` |\n|---|--:|--:|---|--:|--:|--:|--:|\n";
const TUNGSTENITE: &str = "tokio-tungstenite";
const TUNGSTENITE_FEED: &str = "tokio-tungstenite feed";
const NONE: &str = "–";

#[cfg(test)]
mod tests {
    use super::super::results::tests::sample;
    use super::*;

    #[test]
    fn a_row_holds_the_figure_of_the_first_server_and_the_ratios_of_the_others() {
        let table = table(&sample(), Group::Echo);
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            [
                "| | a | b |",
                "|---|--:|--:|",
                "| 16 B, 64, 16 | 100 (20) | **3.00** (1.00) |",
                "| 1 KiB, 64, 16 | 100 (0) | **0.50** (2.00) |",
            ]
        );
    }

    #[test]
    fn bytes_of_idle_connections_stand_with_their_ratio() {
        assert!(table(&sample(), Group::Idle).contains("| 256 | 512 **2.00** |"));
        assert_eq!(table(&sample(), Group::Broadcast), "");
    }

    #[test]
    fn a_run_that_failed_is_told_with_why() {
        let text = markdown(&sample());
        assert!(text.contains("- b, “16 B, 64, 16”: 1 of 3 runs: the server ended\n"), "{text}");
    }

    #[test]
    fn the_summary_has_a_line_for_each_server_but_the_first() {
        let text = summaries(&sample());
        assert!(text.contains("| b | 2 | **1.22** | 3.00 at “16 B, 64, 16” | 1.41 |"), "{text}");
        assert!(!text.contains("| a |"), "{text}");
    }
}
