//! What a run came to, for people and for programs.
//!
//! Owns the types and what is counted over them. How they are written stands in the modules:
//! `json` for programs, `html` for a browser, `text` for a terminal; `merge` makes one of several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::log::Log;
use crate::verdict::Verdict;

#[cfg(test)]
mod example;
mod html;
mod json;
mod merge;
mod order;
mod tally;
mod text;

pub use json::ReadError;
pub use tally::Tally;
pub use text::Progress;

/// The outcome of the cases that one or more agents were put through.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The tester and its version.
    pub tester: String,
    /// What was tested, in the order in which it came.
    pub agents: Vec<Agent>,
    /// The cases that any agent was put through, in the suite's order.
    pub cases: Vec<CaseInfo>,
}

/// One peer under test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// The name that it gave itself or that it answers by.
    pub name: String,
    /// The role that it played.
    pub role: AgentRole,
    /// How long the run took from its first case to its last, in milliseconds.
    #[serde(default)]
    pub elapsed_ms: f64,
    /// Its results by the case's id.
    pub results: BTreeMap<String, CaseResult>,
}

/// The role that a peer under test plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentRole {
    /// It accepts connections.
    Server,
    /// It opens them.
    Client,
}

/// What a reader has to know of a case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CaseInfo {
    /// Its name in the suite, such as `6.4.1` or `FRM-012.2`.
    pub id: String,
    /// The name of the section or group that it belongs to.
    pub section: String,
    /// What it is about, in one sentence.
    pub about: String,
    /// The rule that it tests, such as `RFC 6455, section 5.5`.
    pub rule: String,
    /// What the tester does, a line each.
    pub sends: Vec<String>,
    /// What the peer must do, a line each.
    pub expects: Vec<String>,
}

/// How a peer did in a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// What the peer did with what it was sent.
    pub behavior: Verdict,
    /// How the connection ended.
    pub behavior_close: Verdict,
    /// Why, where either of them is not OK.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long the case took, in milliseconds.
    pub duration_ms: f64,
    /// The code in the peer's Close frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_code: Option<u16>,
    /// What the tester saw, a line each, to be laid beside what the case expects.
    pub saw: Vec<String>,
    /// What went over the wire.
    pub wire: Log,
}

impl CaseResult {
    /// Returns the worse of both verdicts.
    pub fn verdict(&self) -> Verdict {
        self.behavior.max(self.behavior_close)
    }
}

impl Report {
    /// Gathers the results of some agents in these cases.
    pub fn new(agents: Vec<Agent>, cases: Vec<CaseInfo>) -> Self {
        Self {
            tester: concat!("sockeye-conform ", env!("CARGO_PKG_VERSION")).into(),
            agents,
            cases,
        }
    }

    /// Tells whether any case failed for any agent.
    pub fn has_failures(&self) -> bool {
        let mut results = self.agents.iter().flat_map(|agent| agent.results.values());
        results.any(|result| result.verdict().is_failure())
    }

    /// Returns what reports call each agent: its name, with the role or a number where several
    /// agents share it.
    pub(crate) fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for agent in &self.agents {
            let with_role = format!("{} ({})", agent.name, agent.role.name());
            let numbered = (2..).map(|number| format!("{with_role} {number}"));
            let names = [agent.name.clone(), with_role.clone()];
            let free = names.into_iter().chain(numbered).find(|name| !labels.contains(name));
            labels.extend(free);
        }
        labels
    }
}

impl AgentRole {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_one_name_are_told_apart() {
        let agent = |role| Agent {
            name: "echo".to_owned(),
            role,
            elapsed_ms: 0.0,
            results: BTreeMap::new(),
        };
        let roles = [AgentRole::Server, AgentRole::Client, AgentRole::Client];
        let report = Report { agents: roles.map(agent).into(), ..Report::default() };
        assert_eq!(report.labels(), ["echo", "echo (client)", "echo (client) 2"]);
    }
}
