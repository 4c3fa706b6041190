//! Runs whole servers against each other: each in a process of its own on one core, the load generator on
//! another, the servers in turn.
//!
//! A server is started anew for every run, so that none carries what an earlier run left in its memory.

mod points;
mod report;
mod servers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::flags::Flags;
use crate::load::{Failure, raise_descriptors};
use points::Point;
use servers::Server;

/// What to compare.
#[derive(Debug)]
pub struct Comparison {
    points: Vec<Point>,
    servers: Vec<Server>,
    runs: usize,
    seconds: f64,
    load: PathBuf,
    results: PathBuf,
}

impl Comparison {
    /// Reads a comparison from the command line.
    ///
    /// # Errors
    /// A flag is unknown or its value is no such thing, or a program that it needs has not been built.
    pub fn parse(mut flags: Flags) -> Result<Self, Failure> {
        let points = flags.take("points")?.unwrap_or_else(|| "quick".to_owned());
        let uws = flags.take("uws")?;
        let sockeye = flags.take("sockeye")?;
        let only: Option<String> = flags.take("servers")?;
        let part: String = flags.take("only")?.unwrap_or_default();
        let runs = flags.take("runs")?.unwrap_or(3);
        let seconds = flags.take("seconds")?.unwrap_or(2.0);
        let results = flags.take("out")?.unwrap_or_else(|| RESULTS.into());
        flags.finish()?;
        let programs = std::env::current_exe()?;
        let programs = programs.parent().ok_or("the program has no directory")?;
        let servers = servers::available(programs, uws, sockeye, only.as_deref())?;
        let load = programs.join("load");
        let mut points = points::named(&points)?;
        points.retain(|point| point.to_string().contains(&part));
        Ok(Self { points, servers, runs, seconds, load, results })
    }

    /// Compares, and returns the tables. What has been measured is written after every point.
    ///
    /// # Errors
    /// The results cannot be written. A run that fails is part of the results.
    pub fn run(&self) -> Result<String, Failure> {
        raise_descriptors();
        let begun = load_average();
        let mut measured = Map::new();
        for point in &self.points {
            eprintln!("{point}");
            measured.insert(point.to_string(), self.rounds(point));
            let results = json!({
                "processor": processor(),
                "load average": { "at the beginning": begun, "at the end": load_average() },
                "seconds per run": self.seconds,
                "points": measured,
            });
            fs::write(&self.results, format!("{results:#}\n"))?;
        }
        Ok(report::tables(&self.points, &self.servers, &measured))
    }

    /// Measures a point: all servers once, then all again.
    fn rounds(&self, point: &Point) -> Value {
        let servers: Vec<&Server> =
            self.servers.iter().filter(|server| server.takes(point)).collect();
        let mut runs: Map<String, Value> =
            servers.iter().map(|server| (server.name.to_owned(), json!([]))).collect();
        for _ in 0..self.runs {
            for server in &servers {
                let run = self.measure(server, point).unwrap_or_else(|error| {
                    eprintln!("  {}: {error}", server.name);
                    json!({ "error": error.to_string() })
                });
                if let Some(runs) = runs.get_mut(server.name).and_then(Value::as_array_mut) {
                    runs.push(run);
                }
            }
        }
        Value::Object(runs)
    }

    fn measure(&self, server: &Server, point: &Point) -> Result<Value, Failure> {
        let running = server.start(point)?;
        let output = Command::new("taskset")
            .args(["-c", LOAD_CORE])
            .arg(&self.load)
            .args(["--pid", &running.pid().to_string()])
            .args(["--port", &running.port().to_string()])
            .args(["--path", server.path(point)])
            .args(["--seconds", &self.seconds.to_string()])
            .args(point.arguments())
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Returns the model of the processor.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned()
}

fn load_average() -> String {
    let text = fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

const LOAD_CORE: &str = "1";
const SERVER_CORE: &str = "0";
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results-load.json");
