//! What has been measured, as `results-load.json` holds it; all tables and charts are made of it alone.
//!
//! Figures are medians. A ratio is the median of the ratios of each round, in which the servers ran one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::points::{Group, Point};
use super::stats::median;
use crate::load::Failure;

/// All that has been measured.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Results {
    pub(super) processor: String,
    pub(super) system: String,
    /// The servers, the one that others are compared to first.
    pub(super) servers: Vec<About>,
    pub(super) points: Vec<Measured>,
}

/// A server and what it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) about: String,
}

/// A point and its runs.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Measured {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) point: Point,
    #[serde(rename = "load average")]
    pub(super) load_average: String,
    #[serde(rename = "seconds per run")]
    pub(super) seconds: f64,
    /// What the load generator said in each round, by the server; of a run that failed, why.
    pub(super) runs: BTreeMap<String, Vec<Value>>,
}

impl Results {
    /// Reads results.
    ///
    /// # Errors
    /// There is no such file, or it holds something else.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Writes the results.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(path, text)?)
    }

    /// Takes in a point that was measured, in the place of an earlier measurement of the same.
    pub(super) fn insert(&mut self, measured: Measured) {
        match self.points.iter_mut().find(|one| one.point == measured.point) {
            Some(earlier) => *earlier = measured,
            None => self.points.push(measured),
        }
    }

    /// Takes in a server, in the place of what was known of it.
    pub(super) fn insert_server(&mut self, about: About) {
        match self.servers.iter_mut().find(|one| one.name == about.name) {
            Some(earlier) => *earlier = about,
            None => self.servers.push(about),
        }
    }

    /// Returns the name of the server that others are compared to.
    pub(super) fn base(&self) -> &str {
        self.servers.first().map_or("", |server| &server.name)
    }

    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = &Measured> {
        self.points.iter().filter(move |measured| measured.point.group() == group)
    }
}

impl Measured {
    /// Returns a server's figure at the point.
    pub(super) fn figure(&self, server: &str) -> Option<f64> {
        self.median(server, self.point.figure())
    }

    /// Returns the median of one of the figures of a server's runs.
    pub(super) fn median(&self, server: &str, figure: &str) -> Option<f64> {
        median(self.runs(server).iter().filter_map(|run| run[figure].as_f64()))
    }

    /// Returns the ratio of a server's figure to another's.
    pub(super) fn ratio(&self, server: &str, base: &str) -> Option<f64> {
        let figure = |run: &Value| run[self.point.figure()].as_f64().filter(|value| *value > 0.0);
        let pairs = self.runs(server).iter().zip(self.runs(base));
        median(pairs.filter_map(|(run, base)| Some(figure(run)? / figure(base)?)))
    }

    /// Returns the ratio of a server's user time to another's. The kernel samples it, so all runs are put together.
    pub(super) fn user_ratio(&self, server: &str, base: &str) -> Option<f64> {
        Some(self.user(server)? / self.user(base)?)
    }

    /// Returns a server's user time, the mean of its runs; half a sample where there was none.
    pub(super) fn user(&self, server: &str) -> Option<f64> {
        let mut sum = 0.0;
        let (mut ticks, mut cpu, mut runs) = (0.0, 0.0, 0.0);
        for run in self.runs(server) {
            let Some(user) = run["user ns"].as_f64() else { continue };
            sum += user;
            cpu += run["cpu ns"].as_f64()?;
            ticks += run["ticks"].as_f64().unwrap_or(1.0);
            runs += 1.0;
        }
        let least = 0.5 / f64::max(ticks, 1.0) * cpu;
        (runs > 0.0).then(|| f64::max(sum, least) / runs)
    }

    /// Returns why runs of a server failed.
    pub(super) fn failures(&self, server: &str) -> impl Iterator<Item = &str> {
        self.runs(server).iter().filter_map(|run| run["error"].as_str())
    }

    /// Returns a server's runs, none if it was not measured here.
    pub(super) fn runs(&self, server: &str) -> &[Value] {
        self.runs.get(server).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Two echo points and one of idle connections, of two servers; `b` fails once.
    pub(in super::super) fn sample() -> Results {
        let run = |cpu: f64, user: f64| json!({ "cpu ns": cpu, "user ns": user, "ticks": 100 });
        let point = |mode: &str, size: usize, a: Value, b: Value| {
            json!({
                "name": "n", "mode": mode, "data": "binary", "size": size, "connections": 64,
                "in flight": 16, "load average": "0.10", "seconds per run": 2.0,
                "runs": { "a": a, "b": b },
            })
        };
        let failed = json!({ "error": "the server ended" });
        serde_json::from_value(json!({
            "processor": "P", "system": "S",
            "servers": [{ "name": "a", "about": "A" }, { "name": "b", "about": "B" }],
            "points": [
                point("echo", 16, json!([run(100.0, 10.0), run(200.0, 30.0), run(100.0, 20.0)]),
                    json!([run(200.0, 10.0), failed, run(400.0, 30.0)])),
                point("echo", 1_024, json!([run(100.0, 0.0)]), json!([run(50.0, 1.0)])),
                point("idle", 16, json!([{ "private bytes": 256.0 }]),
                    json!([{ "private bytes": 512.0 }])),
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_ratio_is_taken_round_by_round_and_leaves_out_those_that_failed() {
        let results = sample();
        let point = &results.points[0];
        assert_eq!(point.figure("b"), Some(300.0));
        assert_eq!(point.ratio("b", "a"), Some(3.0));
        assert_eq!(point.failures("b").collect::<Vec<_>>(), ["the server ended"]);
        assert_eq!(point.ratio("c", "a"), None);
    }

    #[test]
    fn user_time_is_put_together_and_never_nothing() {
        let results = sample();
        assert_eq!(results.points[0].user_ratio("b", "a"), Some(1.0));
        assert_eq!(results.points[1].user("a"), Some(0.5));
        assert_eq!(results.points[2].user("a"), None);
    }

    #[test]
    fn a_point_measured_anew_takes_the_place_of_the_earlier() {
        let mut results = sample();
        let mut again = sample().points.swap_remove(1);
        again.seconds = 9.0;
        results.insert(again);
        assert_eq!(results.points.len(), 3);
        assert_eq!(results.points[1].seconds, 9.0);
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let text = serde_json::to_string(&sample()).unwrap();
        let again: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}
