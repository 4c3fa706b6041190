//! A child process that is waited for with a bound and does not outlive its owner.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// A process that runs; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a command. What it prints is kept, what it complains of is thrown away.
    ///
    /// # Errors
    /// [`Failure::Check`] when it can't be started.
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Failure::during(name, error))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // Read to the end, so that the process never waits for a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// Waits for the line `listening on ADDR` and returns what stands behind it.
    ///
    /// # Errors
    /// [`Failure::Check`] when it does not come.
    pub(super) fn address(&self) -> Result<String, Failure> {
        let line = self.lines.recv_timeout(START).unwrap_or_default();
        let address = line.strip_prefix("listening on ");
        let problem = || Failure::Check(format!("no address but {line:?} was printed"));
        address.map(str::to_owned).ok_or_else(problem)
    }

    /// Returns how it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end; `None` if it has not come in time.
    pub(super) fn wait(&mut self, time: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            let ended = self.ended();
            if ended.is_some() || start.elapsed() >= time {
                return ended;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Asks it to end, by SIGTERM.
    pub(super) fn ask_to_end(&self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How long a process may take until it listens.
const START: Duration = Duration::from_secs(30);

/// The pause between two looks at whether a process has ended.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_what_stands_behind_the_words() {
        let process = Process::start(Command::new("echo").arg("listening on 127.0.0.1:1")).unwrap();
        assert_eq!(process.address().unwrap(), "127.0.0.1:1");
        let silent = Process::start(&mut Command::new("true")).unwrap();
        assert!(silent.address().is_err());
    }

    #[test]
    fn process_that_does_not_end_is_not_waited_for_and_ends_when_asked() {
        let mut process = Process::start(Command::new("sleep").arg("1000")).unwrap();
        assert!(process.wait(Duration::ZERO).is_none());
        process.ask_to_end();
        assert!(process.wait(START).is_some_and(|status| !status.success()));
    }
}
