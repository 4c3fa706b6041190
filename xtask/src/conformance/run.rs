//! One peer's way through the suite: started, tested, ended, whatever it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::peers::{Peer, Places, Role};
use super::process::{LOOK_AGAIN, Process};
use crate::failure::Failure;
use crate::repo::Repo;

/// Runs the tester.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    places: Places<'a>,
    scratch: PathBuf,
    cases: String,
}

/// One run of the tester: against whom, with which cases, how many at a time, and where the report goes.
struct Round<'a> {
    peer: &'a Peer,
    label: &'a str,
    cases: &'a str,
    jobs: &'a str,
    report: PathBuf,
}

impl<'a> Runner<'a> {
    /// Prepares runs with the cases that these patterns choose.
    ///
    /// # Errors
    /// [`Failure::Check`] when the directory for reports can't be made.
    pub(super) fn new(
        repo: &'a Repo,
        target: &'a Path,
        environment: Vec<(String, PathBuf)>,
        cases: String,
    ) -> Result<Self, Failure> {
        let scratch = target.join("conformance");
        fs::create_dir_all(&scratch).map_err(|error| Failure::during(scratch.display(), error))?;
        let cases = if cases.is_empty() { "*".to_owned() } else { cases };
        Ok(Self { places: Places { repo, target, environment }, scratch, cases })
    }

    /// Tests a peer in each of its roles and returns the reports.
    ///
    /// # Errors
    /// [`Failure::Check`] when it can't be started or the tester fails.
    pub(super) fn test(&self, peer: &Peer) -> Result<Vec<PathBuf>, Failure> {
        let label = format!("{} {}", peer.name, self.places.version(peer)?);
        let mut reports = Vec::new();
        for role in peer.roles() {
            println!("==> {label}, {}", role.name());
            let start = Instant::now();
            reports.extend(self.test_role(peer, *role, &label)?);
            println!("    {:.1} s", start.elapsed().as_secs_f32());
        }
        Ok(reports)
    }

    /// Merges reports into one, as JSON and as a page.
    ///
    /// # Errors
    /// [`Failure::Check`] when the tester can't.
    pub(super) fn merge(
        &self,
        reports: &[PathBuf],
        json: &Path,
        page: &Path,
    ) -> Result<(), Failure> {
        let mut command = self.places.built("sockeye");
        command.args(["conform", "merge", "--json"]).arg(json).arg("--html").arg(page);
        let status = Process::start(command.args(reports))?.wait(PATIENCE);
        tester_worked(status)
    }

    /// Plays the cases, and what was not passed once more with nothing beside it: on a busy machine
    /// the clock may have failed a peer.
    fn test_role(&self, peer: &Peer, role: Role, label: &str) -> Result<Vec<PathBuf>, Failure> {
        let file = |round: &str| self.scratch.join(format!("{}-{}{round}", peer.name, role.name()));
        let first = Round { peer, label, cases: &self.cases, jobs: "16", report: file(".json") };
        let report = self.play(role, &first)?;
        let again = not_passed(&report);
        if again.is_empty() {
            return Ok(vec![first.report]);
        }
        println!("    again, one at a time: {} cases", again.len());
        let cases = again.join(",");
        let second = Round { cases: &cases, jobs: "1", report: file("-again.json"), ..first };
        let left = not_passed(&self.play(role, &second)?).len();
        println!("    not passed: {left}");
        Ok(vec![file(".json"), second.report])
    }

    fn play(&self, role: Role, round: &Round<'_>) -> Result<Value, Failure> {
        match role {
            Role::Client => self.play_client(round)?,
            Role::Server => self.play_server(round)?,
        }
        name_agent(&round.report, round.label)
    }

    fn play_server(&self, round: &Round<'_>) -> Result<(), Failure> {
        let mut program = self.places.program(round.peer, Role::Server);
        let server = Process::start(program.arg("127.0.0.1:0"))?;
        let address = server.address()?;
        let url = if address.contains("://") { address } else { format!("ws://{address}") };
        let mut command = self.places.built("sockeye");
        command.args(["conform", "server", &url, "--cases", round.cases, "--jobs", round.jobs]);
        command.args(["--agent", round.label, "--json"]).arg(&round.report);
        let status = Process::start(&mut command)?.wait(PATIENCE);
        tester_worked(status)
    }

    /// Lets the driver go through the cases. One that gives up leaves cases unplayed.
    fn play_client(&self, round: &Round<'_>) -> Result<(), Failure> {
        let mut command = self.places.built("sockeye");
        command.args(["conform", "client", "--listen", "127.0.0.1:0", "--once"]);
        command.args(["--cases", round.cases, "--json"]).arg(&round.report);
        let mut tester = Process::start(&mut command)?;
        let url = tester.address()?;
        let mut driver = Process::start(self.places.program(round.peer, Role::Client).arg(url))?;
        let start = Instant::now();
        while tester.ended().is_none() && driver.ended().is_none() && start.elapsed() < PATIENCE {
            thread::sleep(LOOK_AGAIN);
        }
        if tester.wait(FAREWELL).is_none() {
            println!("    the driver gave up or hangs");
            tester.ask_to_end();
        }
        tester_worked(tester.wait(FAREWELL))
    }
}

/// Gives the agent of a report its label and returns the report.
fn name_agent(path: &Path, label: &str) -> Result<Value, Failure> {
    let problem = |error: &dyn std::fmt::Display| Failure::during(path.display(), error);
    let text = fs::read_to_string(path).map_err(|error| problem(&error))?;
    let mut report: Value = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    for agent in report["agents"].as_array_mut().into_iter().flatten() {
        agent["name"] = label.into();
    }
    fs::write(path, report.to_string()).map_err(|error| problem(&error))?;
    Ok(report)
}

/// Lists the cases of a report that were not passed or not played.
fn not_passed(report: &Value) -> Vec<&str> {
    let results = &report["agents"][0]["results"];
    let cases = report["cases"].as_array().into_iter().flatten();
    let passed = |id: &&str| {
        ["behavior", "behavior_close"]
            .iter()
            .all(|part| results[*id][*part].as_str().is_some_and(|verdict| !is_failure(verdict)))
    };
    cases.filter_map(|case| case["id"].as_str()).filter(|id| !passed(id)).collect()
}

/// Tells whether a verdict is one of those that mean failure.
pub(super) fn is_failure(verdict: &str) -> bool {
    matches!(verdict, "FAILED" | "UNCLEAN" | "WRONG CODE")
}

fn tester_worked(status: Option<ExitStatus>) -> Result<(), Failure> {
    match status.map(|status| status.code()) {
        // 1 tells that cases failed.
        Some(Some(0 | 1)) => Ok(()),
        Some(code) => Err(Failure::Check(format!("the tester ended with {code:?}"))),
        None => Err(Failure::Check("the tester does not end".to_owned())),
    }
}

/// How long a peer may take for all cases in one role.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How long the tester may take once the driver is gone or it was asked to end.
const FAREWELL: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn failed_and_unplayed_cases_were_not_passed() {
        let result =
            |behavior: &str, close: &str| json!({"behavior": behavior, "behavior_close": close});
        let report = json!({
            "cases": [{"id": "1"}, {"id": "2"}, {"id": "3"}, {"id": "4"}],
            "agents": [{"results": {
                "1": result("OK", "NON-STRICT"),
                "2": result("OK", "UNCLEAN"),
                "3": result("UNIMPLEMENTED", "OK"),
            }}],
        });
        assert_eq!(not_passed(&report), ["2", "4"]);
    }
}
