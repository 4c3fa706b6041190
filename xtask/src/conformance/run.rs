//! One peer's way through the suite: started, tested, ended, whatever it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::peers::{PEERS, Peer, Places, Role};
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
        // A part of the suite does not replace what the whole of it came to.
        let part = if cases.is_empty() { "whole" } else { "part" };
        let scratch = target.join("conformance").join(part);
        fs::create_dir_all(&scratch).map_err(|error| Failure::during(scratch.display(), error))?;
        let cases = if cases.is_empty() { "*".to_owned() } else { cases };
        Ok(Self { places: Places { repo, target, environment }, scratch, cases })
    }

    /// Tests a peer in each of its roles; the reports lie in the scratch directory.
    ///
    /// # Errors
    /// [`Failure::Check`] when it can't be started or the tester fails.
    pub(super) fn test(&self, peer: &Peer) -> Result<(), Failure> {
        let label = format!("{} {}", peer.name, self.places.version(peer)?);
        for role in peer.roles() {
            println!("==> {label}, {}", role.name());
            let start = Instant::now();
            self.test_role(peer, *role, &label)?;
            println!("    {:.1} s", start.elapsed().as_secs_f32());
        }
        Ok(())
    }

    /// Merges the reports of all peers, those of earlier runs too, into one: as a page, and as JSON
    /// in a file whose path is returned.
    ///
    /// # Errors
    /// [`Failure::Check`] when the tester can't.
    pub(super) fn merge(&self, page: &Path) -> Result<PathBuf, Failure> {
        let files = PEERS.iter().flat_map(|peer| {
            let roles = peer.roles().iter();
            roles.flat_map(|role| ROUNDS.map(|round| self.file(peer, *role, round)))
        });
        let merged = self.scratch.join("merged.json");
        let mut command = self.places.built("sockeye");
        command.args(["conform", "merge", "--json"]).arg(&merged).arg("--html").arg(page);
        command.args(files.filter(|file| file.exists()));
        tester_worked(Process::start(&mut command)?.wait(PATIENCE))?;
        Ok(merged)
    }

    /// Plays the cases, and what was not passed once more with nothing beside it: on a busy machine
    /// the clock may have failed a peer.
    fn test_role(&self, peer: &Peer, role: Role, label: &str) -> Result<(), Failure> {
        let [first, second] = ROUNDS.map(|round| self.file(peer, role, round));
        let _ = fs::remove_file(&second);
        let round = Round { peer, label, cases: &self.cases, jobs: "16", report: first };
        let report = self.play(role, &round)?;
        let again = not_passed(&report);
        if again.is_empty() {
            return Ok(());
        }
        println!("    again, one at a time: {} cases", again.len());
        let cases = again.join(",");
        let round = Round { cases: &cases, jobs: "1", report: second, ..round };
        println!("    not passed: {}", not_passed(&self.play(role, &round)?).len());
        Ok(())
    }

    /// Returns where the report of a round goes.
    fn file(&self, peer: &Peer, role: Role, round: &str) -> PathBuf {
        self.scratch.join(format!("{}-{}-{round}.json", peer.name, role.name()))
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

/// The rounds that a peer plays in each role; where both have a case, the second counts.
const ROUNDS: [&str; 2] = ["first", "again"];

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
