//! A server's process: started for one run, watched, and ended with it.

use std::env::temp_dir;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::points::Point;
use super::servers::Server;
use crate::load::Failure;

/// A server that has been started; it ends with this.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    port: u16,
    /// What it says on standard error.
    complaints: PathBuf,
}

impl Running {
    /// Starts a server, and waits until it listens.
    ///
    /// # Errors
    /// It ends, or does not listen in time.
    pub(super) fn start(server: &Server, point: &Point) -> Result<Self, Failure> {
        let port = free_port()?;
        let complaints = temp_dir().join(format!("sockeye-bench-{}-{port}", std::process::id()));
        let child = server
            .command(point, port)
            .stdout(Stdio::null())
            .stderr(File::create(&complaints)?)
            .spawn()?;
        let mut running = Self { child, port, complaints };
        running.wait().map(|()| running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns what the server did wrong, as far as it can be told: that it ended, and its last words.
    pub(super) fn fate(&mut self) -> String {
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => format!("; the server ended: {status}"),
            Ok(None) | Err(_) => String::new(),
        };
        let words = fs::read(&self.complaints).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or(ended.clone(), |last| format!("{ended}; it said: {}", last.trim()))
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Err(format!("it did not start{}", self.fate()).into());
            }
            if TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                // What it does at its start should not be taken for the work of the run.
                std::thread::sleep(SETTLE);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("it does not listen{}", self.fate()).into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.complaints);
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

const START: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_millis(100);
