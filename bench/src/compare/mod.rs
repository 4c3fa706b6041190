//! Runs whole servers against each other: each in a process of its own on one core, the load generator on
//! another, the servers in turn.
//!
//! A server is started anew for every run, so that none carries what an earlier run left in its memory.
//! What has been measured is kept as JSON, and all that is shown is rendered from that.

mod charts;
mod document;
mod points;
mod report;
mod results;
mod running;
mod servers;
mod stats;
mod summary;
mod svg;
mod versions;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::flags::Flags;
use crate::load::{Failure, raise_descriptors};
use points::Point;
use results::{Measured, Results};
use running::Running;
use servers::{Places, Server, Servers};

/// What to compare.
#[derive(Debug)]
pub struct Comparison {
    points: Vec<Point>,
    servers: Servers,
    runs: usize,
    seconds: f64,
    load: PathBuf,
    results: PathBuf,
    /// Where to add to what was measured before, instead of beginning anew.
    adds: bool,
}

/// Does what the command line asks for: measures and renders, or only renders.
///
/// # Errors
/// A flag is unknown or its value is no such thing, a program that it names is not there, or a file
/// cannot be read or written. A run that fails is part of the results.
pub fn compare(mut flags: Flags) -> Result<(), Failure> {
    let out: Option<PathBuf> = flags.take("out")?;
    // Results of their own leave the documentation alone unless told otherwise.
    let docs = flags.take("docs")?.or_else(|| out.is_none().then(|| PathBuf::from(DOCS)));
    let out = out.unwrap_or_else(|| RESULTS.into());
    if flags.switch("render") {
        flags.finish()?;
    } else {
        Comparison::parse(flags, out.clone())?.run()?;
    }
    let results = Results::read(&out)?;
    match docs {
        Some(docs) => document::write(&results, &docs),
        None => {
            print!("{}", report::markdown(&results));
            Ok(())
        }
    }
}

impl Comparison {
    fn parse(mut flags: Flags, results: PathBuf) -> Result<Self, Failure> {
        let plan = flags.take("points")?.unwrap_or_else(|| "quick".to_owned());
        let uws = flags.take("uws")?;
        let sockeye = flags.take("sockeye")?;
        let only: Option<String> = flags.take("servers")?;
        let part: String = flags.take("only")?.unwrap_or_default();
        let runs = flags.take("runs")?.unwrap_or(3);
        let seconds = flags.take("seconds")?.unwrap_or(2.0);
        let adds = flags.switch("add");
        flags.finish()?;
        let programs = std::env::current_exe()?;
        let programs = programs.parent().ok_or("the program has no directory")?.to_owned();
        let load = programs.join("load");
        let servers = Servers::find(&Places { programs, uws, sockeye }, only.as_deref())?;
        let mut points = points::named(&plan, raise_descriptors())?;
        points.retain(|point| point.to_string().contains(&part));
        if points.is_empty() {
            return Err(format!("--only {part}: no point's name holds it").into());
        }
        Ok(Self { points, servers, runs, seconds, load, results, adds })
    }

    /// Measures all points. What has been measured is written after every one.
    fn run(&self) -> Result<(), Failure> {
        for missing in &self.servers.missing {
            eprintln!("left out: {missing}");
        }
        eprintln!("about {:.0} minutes", (self.estimate() / 60.0).ceil());
        let mut results = self.begin()?;
        for point in &self.points {
            eprintln!("{point}");
            let load_average = load_average();
            let runs = self.rounds(point);
            results.insert(Measured {
                name: point.to_string(),
                point: point.clone(),
                load_average,
                seconds: self.window(point),
                runs,
            });
            results.write(&self.results)?;
        }
        Ok(())
    }

    /// Returns what is to be added to.
    fn begin(&self) -> Result<Results, Failure> {
        let (processor, system) = (processor(), system());
        let mut results = Results { processor, system, servers: Vec::new(), points: Vec::new() };
        if self.adds {
            results = Results::read(&self.results)?;
        }
        for server in &self.servers.there {
            results.insert_server(server.about.clone());
        }
        Ok(results)
    }

    /// Returns about how many seconds it takes.
    fn estimate(&self) -> f64 {
        let takers = |point| self.servers.there.iter().filter(|server| server.takes(point)).count();
        let round = |point| takers(point) as f64 * (self.window(point) + AROUND);
        self.points.iter().map(round).sum::<f64>() * self.runs as f64
    }

    /// Returns how many seconds a point is measured in each run.
    fn window(&self, point: &Point) -> f64 {
        self.seconds * point.stretch()
    }

    /// Measures a point: all servers once, then all again.
    fn rounds(&self, point: &Point) -> BTreeMap<String, Vec<Value>> {
        let mut runs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for _ in 0..self.runs {
            for server in self.servers.there.iter().filter(|server| server.takes(point)) {
                let run = self.measure(server, point).unwrap_or_else(|error| {
                    eprintln!("  {}: {error}", server.name());
                    json!({ "error": error.to_string() })
                });
                runs.entry(server.name().to_owned()).or_default().push(run);
            }
        }
        runs
    }

    fn measure(&self, server: &Server, point: &Point) -> Result<Value, Failure> {
        let mut running = Running::start(server, point)?;
        let seconds = self.window(point);
        let limit = (seconds + PATIENCE).to_string();
        let output = Command::new("timeout")
            .args(["--signal=KILL", &limit, "taskset", "-c", LOAD_CORE])
            .arg(&self.load)
            .args(["--pid", &running.pid().to_string()])
            .args(["--port", &running.port().to_string()])
            .args(["--path", server.path(point)])
            .args(["--seconds", &seconds.to_string()])
            .args(point.arguments())
            .output()?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let why = if said.is_empty() { format!("no end in {limit} s") } else { said };
        Err((why + &running.fate()).into())
    }
}

/// Returns the model of the processor.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned()
}

/// Returns the name of the kernel.
fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

fn load_average() -> String {
    let text = fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

const LOAD_CORE: &str = "1";
const SERVER_CORE: &str = "0";
/// How many seconds a run may take beyond its window.
const PATIENCE: f64 = 60.0;
/// How many seconds starting, opening and warming up take, about.
const AROUND: f64 = 2.0;
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results-load.json");
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
