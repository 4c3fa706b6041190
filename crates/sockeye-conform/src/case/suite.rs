//! All cases, in order, and the choice among them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::Case;
use super::language::{self, Section, Written};

/// The cases that there are.
#[derive(Clone, Debug)]
pub struct Suite {
    cases: Vec<Arc<Case>>,
}

/// Why there is no suite, or no such choice of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteError(String);

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SuiteError {}

/// Autobahn's cases: many sections in one file.
#[derive(Deserialize)]
struct AutobahnFile {
    sections: BTreeMap<String, Section>,
    cases: Vec<Written>,
}

/// A group of cases of our own.
#[derive(Deserialize)]
struct GroupFile {
    group: String,
    title: String,
    #[serde(default)]
    rule: String,
    cases: Vec<Written>,
}

impl Suite {
    /// Reads the cases that are built in: Autobahn's in their order, then ours.
    ///
    /// # Errors
    /// A case that is not written as it should be, which a test of this crate rules out.
    pub fn builtin() -> Result<Self, SuiteError> {
        let mut cases = Vec::new();
        let file: AutobahnFile = parse("autobahn.json", AUTOBAHN)?;
        for written in &file.cases {
            let name = written.id.rsplit_once('.').map_or("", |(section, _)| section);
            let section = file.sections.get(name).ok_or_else(|| at(written, "no such section"))?;
            let name = format!("{name} {}", section.title);
            let case = language::read(written, section, &name, true);
            cases.push(Arc::new(case.map_err(|problem| at(written, &problem))?));
        }
        for (name, text) in OURS {
            let file: GroupFile = parse(name, text)?;
            let name = format!("{} {}", file.group, file.title);
            let section = Section::new(file.title, file.rule);
            for written in &file.cases {
                let case = language::read(written, &section, &name, false);
                cases.push(Arc::new(case.map_err(|problem| at(written, &problem))?));
            }
        }
        let mut ids = HashSet::new();
        match cases.iter().find(|case| !ids.insert(case.id().to_owned())) {
            Some(double) => Err(SuiteError(format!("two cases are called {}", double.id()))),
            None => Ok(Self { cases }),
        }
    }

    /// Returns all cases.
    pub fn cases(&self) -> &[Arc<Case>] {
        &self.cases
    }

    /// Returns the cases that a list of patterns chooses, such as `1.*,6.4.*,!6.4.2`: those that
    /// fit one without `!` (all, if there is none) and none with it. `*` is any run of characters.
    ///
    /// # Errors
    /// No case is chosen, or a pattern fits none.
    pub fn select(&self, patterns: &str) -> Result<Vec<Arc<Case>>, SuiteError> {
        let patterns = patterns.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        let (without, with): (Vec<_>, Vec<_>) = patterns.partition(|text| text.starts_with('!'));
        let without: Vec<_> = without.iter().map(|pattern| &pattern[1..]).collect();
        for pattern in with.iter().chain(&without) {
            if !self.cases.iter().any(|case| fits(pattern, case.id())) {
                return Err(SuiteError(format!("no case fits {pattern:?}")));
            }
        }
        let any = |patterns: &[&str], id: &str| patterns.iter().any(|pattern| fits(pattern, id));
        let chosen = self
            .cases
            .iter()
            .filter(|case| (with.is_empty() || any(&with, case.id())) && !any(&without, case.id()));
        let chosen: Vec<_> = chosen.cloned().collect();
        if chosen.is_empty() {
            return Err(SuiteError("the patterns choose no case".into()));
        }
        Ok(chosen)
    }
}

/// Tells whether a name fits a pattern in which `*` stands for any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let places = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            places.into_iter().any(|at| fits(rest, &name[at..]))
        }),
    }
}

fn parse<'a, T: Deserialize<'a>>(name: &str, text: &'a str) -> Result<T, SuiteError> {
    serde_json::from_str(text).map_err(|error| SuiteError(format!("{name}: {error}")))
}

fn at(written: &Written, problem: &str) -> SuiteError {
    SuiteError(format!("case {}: {problem}", written.id))
}

const AUTOBAHN: &str = include_str!("../../cases/autobahn.json");

/// The files of our own cases, in the order in which they are played.
const OURS: &[(&str, &str)] = &[
    ("handshake-server.json", include_str!("../../cases/handshake-server.json")),
    ("handshake-client.json", include_str!("../../cases/handshake-client.json")),
    ("frames.json", include_str!("../../cases/frames.json")),
    ("text.json", include_str!("../../cases/text.json")),
    ("close.json", include_str!("../../cases/close.json")),
    ("deflate.json", include_str!("../../cases/deflate.json")),
    ("limits.json", include_str!("../../cases/limits.json")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(patterns: &str) -> Vec<String> {
        let suite = Suite::builtin().unwrap();
        suite.select(patterns).unwrap().iter().map(|case| case.id().to_owned()).collect()
    }

    #[test]
    fn all_cases_of_autobahn_are_there_in_order() {
        let suite = Suite::builtin().unwrap();
        let autobahn: Vec<_> = suite.cases().iter().filter(|case| case.autobahn).collect();
        assert_eq!(autobahn.len(), 517);
        assert_eq!((autobahn[0].id(), autobahn[516].id()), ("1.1.1", "13.7.18"));
        let remarks = autobahn.iter().filter(|case| {
            case.expect.is_none() && matches!(case.script, super::super::Script::Actions { .. })
        });
        let remarks: Vec<_> = remarks.map(|case| case.id()).collect();
        assert_eq!(remarks, ["7.1.6", "7.13.1", "7.13.2"]);
    }

    #[test]
    fn patterns_choose_and_leave_out() {
        assert_eq!(ids("6.4.*,!6.4.2"), ["6.4.1", "6.4.3", "6.4.4"]);
        assert_eq!(ids("3.1"), ["3.1"]);
        assert_eq!(ids("!1.*,!12*,!13*,!2*,!3*,!4*,!5*,!6*,!7.*,!9*,!*-*"), ["10.1.1"]);
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_named() {
        let suite = Suite::builtin().unwrap();
        assert_eq!(suite.select("99.*").unwrap_err().to_string(), "no case fits \"99.*\"");
        assert_eq!(
            suite.select("1.1.1,!1.*").unwrap_err().to_string(),
            "the patterns choose no case"
        );
    }

    /// Our own cases, each with the row of the catalogue that it belongs to.
    fn ours(suite: &Suite) -> impl Iterator<Item = (&str, &Case)> {
        let ours = suite.cases().iter().filter(|case| !case.autobahn);
        ours.map(|case| (case.id().split_once('.').map_or(case.id(), |(row, _)| row), &**case))
    }

    #[test]
    fn each_case_of_ours_is_named_after_a_row_of_the_catalogue() {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let suite = Suite::builtin().unwrap();
        for (row, case) in ours(&suite) {
            let (group, number) = row.split_once('-').unwrap_or_default();
            let group_is_named = group.len() == 3 && group.bytes().all(|b| b.is_ascii_uppercase());
            assert!(group_is_named && number.len() == 3 && digits(number), "{}", case.id());
            let turn = case.id()[row.len()..].strip_prefix('.');
            assert!(
                turn.is_none_or(|turn| digits(turn) && !turn.starts_with('0')),
                "{}",
                case.id()
            );
            assert!(CATALOGUE.contains(&format!("\n| {row} | ")), "no row {row}");
        }
    }

    #[test]
    fn each_case_of_ours_says_what_it_is_about_and_where_that_is_written() {
        let suite = Suite::builtin().unwrap();
        for (_, case) in ours(&suite) {
            let info = case.info();
            let is_sentence = info.about.contains(' ') && info.about.ends_with('.');
            assert!(is_sentence, "{}: {}", case.id(), info.about);
            assert!(
                info.rule.starts_with("RFC ") && info.rule.contains("section "),
                "{}",
                case.id()
            );
        }
    }

    #[test]
    fn each_group_of_ours_has_cases() {
        let suite = Suite::builtin().unwrap();
        for group in ["HSS", "HSC", "FRM", "UTF", "CLS", "DFL", "LIM"] {
            assert!(
                ours(&suite).filter(|(row, _)| row.starts_with(group)).count() >= 10,
                "{group}"
            );
        }
    }

    const CATALOGUE: &str = include_str!("../../../../docs/catalogue.md");
}
