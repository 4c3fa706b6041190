//! What the server's process has used, as /proc tells it.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use super::Failure;

/// The process of the server.
#[derive(Debug)]
pub struct Server(PathBuf);

/// What the process had used at a moment.
#[derive(Debug)]
pub struct Usage {
    at: Instant,
    /// Time on a processor of all threads, in nanoseconds.
    cpu: u64,
    user_ticks: u64,
    system_ticks: u64,
}

impl Server {
    /// Looks at the process of this number.
    pub fn new(pid: u32) -> Self {
        Self(format!("/proc/{pid}").into())
    }

    /// Tells what it has used.
    ///
    /// # Errors
    /// It is not there, or /proc is not as it was.
    pub fn usage(&self) -> Result<Usage, Failure> {
        let mut cpu = 0;
        for thread in fs::read_dir(self.0.join("task"))? {
            // A thread that ends meanwhile takes its time with it; the servers keep theirs.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            cpu += number(text.split(' ').next())?;
        }
        let stat = fs::read_to_string(self.0.join("stat"))?;
        // The name before the last parenthesis may hold anything.
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc has no such stat")?;
        let mut fields = fields.split(' ').skip(11);
        let user_ticks = number(fields.next())?;
        let system_ticks = number(fields.next())?;
        Ok(Usage { at: Instant::now(), cpu, user_ticks, system_ticks })
    }

    /// Returns the memory that is the process's own, in bytes.
    ///
    /// # Errors
    /// As [`Server::usage`].
    pub fn private_memory(&self) -> Result<u64, Failure> {
        let rollup = fs::read_to_string(self.0.join("smaps_rollup"))?;
        let mut bytes = 0;
        for line in rollup.lines().filter(|line| line.starts_with("Private_")) {
            bytes += number(line.split_whitespace().nth(1))? << 10;
        }
        Ok(bytes)
    }
}

impl Usage {
    /// Returns what each of `count` things took between two moments.
    pub fn per(&self, end: &Self, count: u64) -> Value {
        let user = end.user_ticks - self.user_ticks;
        let ticks = user + end.system_ticks - self.system_ticks;
        let cpu = (end.cpu - self.cpu) as f64;
        let each = cpu / count as f64;
        // The kernel tells the two parts in ticks of 10 ms, so the sum is split as they are.
        let user = each * user as f64 / ticks.max(1) as f64;
        let seconds = (end.at - self.at).as_secs_f64();
        json!({
            "count": count,
            "per second": (count as f64 / seconds).round(),
            "cpu ns": each.round(),
            "user ns": user.round(),
            "system ns": (each - user).round(),
            "ticks": ticks,
            "busy": (cpu / seconds / 1e7).round() / 100.0,
        })
    }
}

fn number(text: Option<&str>) -> Result<u64, Failure> {
    Ok(text.ok_or("/proc has too few fields")?.parse()?)
}
