//! Reports for the tests of this directory.

use std::collections::BTreeMap;

use crate::log::Log;
use crate::report::{Agent, AgentRole, CaseInfo, CaseResult, Report};
use crate::verdict::Verdict;

/// A report as it stands in a file.
pub(super) const EXAMPLE: &str = include_str!("example.json");

/// Returns that report.
pub(super) fn example() -> Report {
    Report::from_json(EXAMPLE).unwrap()
}

/// Returns the report of a server that passed these cases.
pub(super) fn run(name: &str, ids: &[&str]) -> Report {
    let results: BTreeMap<_, _> = ids.iter().map(|id| ((*id).to_owned(), passed())).collect();
    let agent = Agent { name: name.to_owned(), role: AgentRole::Server, elapsed_ms: 2.0, results };
    Report {
        tester: "tester 1".to_owned(),
        agents: vec![agent],
        cases: ids.iter().map(|id| case(id)).collect(),
    }
}

fn case(id: &str) -> CaseInfo {
    CaseInfo {
        id: id.to_owned(),
        section: "Echo".to_owned(),
        about: "Comes back as it went.".to_owned(),
        rule: "RFC 6455, section 5.6".to_owned(),
        sends: Vec::new(),
        expects: Vec::new(),
    }
}

fn passed() -> CaseResult {
    CaseResult {
        behavior: Verdict::Ok,
        behavior_close: Verdict::Ok,
        reason: String::new(),
        duration_ms: 2.0,
        close_code: Some(1000),
        saw: Vec::new(),
        wire: Log::default(),
    }
}
