//! Several reports made into one matrix.

use crate::report::order::id_order;
use crate::report::{Agent, Report};

impl Report {
    /// Puts the reports of several runs into one.
    ///
    /// An agent is the same where name and role are; of a case that it was put through more than
    /// once, the last result counts. The cases stand in the order of their ids.
    pub fn merge(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut merged = Self::default();
        let mut testers: Vec<String> = Vec::new();
        for report in reports {
            if !testers.contains(&report.tester) {
                testers.push(report.tester);
            }
            report.agents.into_iter().for_each(|agent| add_agent(&mut merged.agents, agent));
            merged.cases.extend(report.cases);
        }
        merged.tester = testers.join(", ");
        merged.cases.sort_by_cached_key(|case| id_order(&case.id));
        merged.cases.dedup_by(|later, earlier| later.id == earlier.id);
        merged
    }
}

fn add_agent(agents: &mut Vec<Agent>, agent: Agent) {
    let same = agents.iter_mut().find(|known| known.name == agent.name && known.role == agent.role);
    match same {
        Some(known) => {
            known.results.extend(agent.results);
            known.elapsed_ms += agent.elapsed_ms;
        }
        None => agents.push(agent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example::{example, run};
    use crate::verdict::Verdict;

    #[test]
    fn runs_of_different_agents_become_columns_of_one_matrix() {
        let merged =
            Report::merge([run("otter", &["10.1.1", "2.1"]), run("heron", &["FRM-1", "2.1"])]);
        let names: Vec<_> = merged.agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!(names, ["otter", "heron"]);
        let ids: Vec<_> = merged.cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, ["2.1", "10.1.1", "FRM-1"]);
        assert_eq!(merged.tester, "tester 1");
    }

    #[test]
    fn second_run_of_an_agent_completes_and_replaces_its_results() {
        let first = run("otter", &["1.1.1", "1.1.2"]);
        let mut second = run("otter", &["1.1.2", "1.1.3"]);
        if let Some(result) = second.agents[0].results.get_mut("1.1.2") {
            result.behavior = Verdict::Failed;
        }
        let merged = Report::merge([first, second]);
        assert_eq!(merged.agents.len(), 1);
        let results = &merged.agents[0].results;
        assert_eq!(results.keys().collect::<Vec<_>>(), ["1.1.1", "1.1.2", "1.1.3"]);
        assert_eq!(results["1.1.2"].behavior, Verdict::Failed);
    }

    #[test]
    fn merging_one_report_changes_nothing() {
        assert_eq!(Report::merge([example()]).to_json(), example().to_json());
    }
}
