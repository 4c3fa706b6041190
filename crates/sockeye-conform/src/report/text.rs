//! A report for a terminal: the summary after a run, and the line that tells how far it is.
//!
//! Makes strings and writes nothing. What peers sent is shown without its control characters.

use std::fmt::Write as _;
use std::time::Duration;

use crate::report::order::id_order;
use crate::report::{Agent, CaseResult, Report, Tally};

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Cases that ended.
    pub done: usize,
    /// Cases in all.
    pub total: usize,
    /// How many of those that ended count as failed.
    pub failures: usize,
    /// Time since the run began.
    pub elapsed: Duration,
    /// The cases that are being played.
    pub current: Vec<String>,
}

impl Progress {
    /// Returns the line for a terminal of so many columns.
    pub fn line(&self, width: usize) -> String {
        let seconds = self.elapsed.as_secs();
        let failures = match self.failures {
            0 => String::new(),
            count => format!(", {count} failed"),
        };
        let line = format!(
            "{:>digits$}/{}{failures}, {}:{:02}  {}",
            self.done,
            self.total,
            seconds / 60,
            seconds % 60,
            self.current.join(" "),
            digits = self.total.to_string().len(),
        );
        cut(line.trim_end(), width)
    }
}

impl Report {
    /// Writes what a run came to, in lines of at most so many columns: each agent's counts, the
    /// cases that it failed, and a closing line.
    pub fn summary(&self, width: usize) -> String {
        let mut text = String::new();
        for (label, agent) in self.labels().iter().zip(&self.agents) {
            let head = format!("{label} ({}), {}", agent.role.name(), extent(agent));
            let counts = format!("  {}", counts(&agent.tally()));
            for line in [head, counts].into_iter().chain(self.failing(agent)) {
                let _ = writeln!(text, "{}", cut(&line, width));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{}", cut(&self.closing_line(), width));
        text
    }

    /// Returns a line for each case that an agent failed.
    fn failing(&self, agent: &Agent) -> Vec<String> {
        let failed = agent.results.iter().filter(|(_, result)| result.verdict().is_failure());
        let mut failed: Vec<(&String, &CaseResult)> = failed.collect();
        failed.sort_by_cached_key(|(id, _)| id_order(id));
        let widest = failed.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
        let line = |(id, result): (&String, &CaseResult)| {
            let about = self.cases.iter().find(|case| case.id == *id).map(|case| &*case.about);
            let told = [result.reason.as_str(), about.unwrap_or_default()];
            let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
            format!("  {id:widest$}  {:10}  {}", result.verdict(), told.join(" | "))
        };
        failed.into_iter().map(line).collect()
    }

    fn closing_line(&self) -> String {
        let tallies: Vec<Tally> = self.agents.iter().map(Agent::tally).collect();
        let total: usize = tallies.iter().map(Tally::total).sum();
        match tallies.iter().map(Tally::failures).sum::<usize>() {
            _ if total == 0 => "No case was played.".to_owned(),
            0 => format!("No failures in {}.", number(total, "result")),
            failures => format!("{} in {}.", number(failures, "failure"), number(total, "result")),
        }
    }
}

/// Returns how many cases an agent was put through and how long they took.
fn extent(agent: &Agent) -> String {
    format!("{} in {:.1} s", number(agent.results.len(), "case"), agent.elapsed_ms / 1e3)
}

/// Returns a tally in words.
fn counts(tally: &Tally) -> String {
    let counts: Vec<_> = tally.given().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    counts.join(", ")
}

/// Returns a count with its noun.
fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Cuts a line to a number of columns, and takes out what would steer the terminal.
fn cut(line: &str, width: usize) -> String {
    let line: String = line.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect();
    if line.chars().map(columns).sum::<usize>() <= width {
        return line;
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| left.checked_sub(columns(*c)).map(|rest| left = rest).is_some();
    let mut start: String = line.chars().take_while(fits).collect();
    if width > 0 {
        start.push('…');
    }
    start
}

/// Tells whether a character does something else than stand in its place: controls, line
/// separators and the marks that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns how many columns a character takes at most: two in the blocks of East Asian writing and
/// of pictures.
fn columns(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{fffc}' | '\u{1f000}'..='\u{3ffff}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example::{example, run};

    #[test]
    fn summary_names_each_failing_case_and_why() {
        let expected = "\
otter/1.0 (β) (server), 3 cases in 1.0 s
  1 OK, 1 UNCLEAN, 1 WRONG CODE
  5.10       UNCLEAN     the connection ended without a Close frame | A continu…
  FRM-015.2  WRONG CODE  closed with 1009�[31m in place of 1002 | A length of 2…

2 failures in 3 results.
";
        assert_eq!(example().summary(80), expected);
    }

    #[test]
    fn summary_of_a_clean_run_says_so() {
        let expected = "\
otter (server), 2 cases in 0.0 s
  2 OK

No failures in 2 results.
";
        assert_eq!(run("otter", &["1.1.1", "1.1.2"]).summary(80), expected);
        assert_eq!(Report::default().summary(80), "No case was played.\n");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..100 {
            for line in example().summary(width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn progress_tells_counts_time_and_current_cases() {
        let progress = Progress {
            done: 41,
            total: 517,
            failures: 0,
            elapsed: Duration::from_millis(65_900),
            current: vec!["2.10".to_owned(), "2.11".to_owned()],
        };
        assert_eq!(progress.line(80), " 41/517, 1:05  2.10 2.11");
        let progress = Progress { failures: 3, ..progress };
        assert_eq!(progress.line(80), " 41/517, 3 failed, 1:05  2.10 2.11");
        assert_eq!(progress.line(20), " 41/517, 3 failed, …");
        assert_eq!(Progress::default().line(80), "0/0, 0:00");
    }
}
