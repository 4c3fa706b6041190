//! The two commands as processes, and a server that keeps all there is.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::scratch::Scratch;
use crate::support::{Ended, PATIENCE, Served, command};

/// A configuration under which the history loses nothing that a test publishes.
pub(crate) const KEEPS_ALL: &str =
    "[[topic]]\nmatch = \"*\"\nhistory = 10000\nhistory_bytes = 10000000\n";

/// A run of `sockeye sub` or `sockeye pub`.
pub(crate) struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Run {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            stderr: BufReader::new(child.stderr.take().unwrap()).lines(),
            child,
        }
    }

    /// Starts a subscriber and waits until it is one.
    pub(crate) async fn subscribed(args: &[&str]) -> Self {
        let mut run = Self::start(&[&["sub", "-v"], args].concat());
        let told = run.complaint().await;
        assert!(told.starts_with("sockeye: subscribed at "), "{told}");
        run
    }

    /// Starts a publisher whose input is these lines, to the end.
    pub(crate) fn publishing(args: &[&str], lines: impl IntoIterator<Item = String>) -> Self {
        let mut run = Self::start(&[&["pub"], args].concat());
        let (input, mut stdin) = (joined(lines), run.stdin.take().unwrap());
        tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
        run
    }

    /// Gives it lines, and more may follow.
    pub(crate) async fn feed(&mut self, lines: impl IntoIterator<Item = String>) {
        let (input, stdin) = (joined(lines), self.stdin.as_mut().unwrap());
        let feeding = timeout(PATIENCE, stdin.write_all(input.as_bytes())).await;
        feeding.expect("it is read").unwrap();
    }

    /// Reads a line of what it prints; `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.stdout.next_line()).await.expect("a line comes").unwrap()
    }

    /// Reads an envelope; `None` at the end, or where it was cut.
    pub(crate) async fn envelope(&mut self) -> Option<Value> {
        serde_json::from_str(&self.line().await?).ok()
    }

    /// Reads a line of standard error.
    pub(crate) async fn complaint(&mut self) -> String {
        let line = timeout(PATIENCE, self.stderr.next_line()).await.expect("a line comes");
        line.unwrap().expect("it goes on")
    }

    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    }

    /// Waits for the status, with its input left open.
    pub(crate) async fn status(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }

    /// Waits for the end, with what was not read before.
    pub(crate) async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let ending = async {
            let (mut stdout, mut stderr) = (String::new(), String::new());
            let (mut out, mut err) = (self.stdout.into_inner(), self.stderr.into_inner());
            let reading = (out.read_to_string(&mut stdout), err.read_to_string(&mut stderr));
            let (out, err) = tokio::join!(reading.0, reading.1);
            out.and(err).unwrap();
            let code = self.child.wait().await.unwrap().code();
            Ended { code, stdout, stderr }
        };
        timeout(PATIENCE, ending).await.expect("it ends")
    }
}

fn joined(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Starts a server with a configuration, at an address.
pub(crate) async fn serve(scratch: &Scratch, configuration: &str, address: &str) -> Served {
    let file = scratch.write("sockeye.toml", configuration);
    Served::spawn(&mut command(&["serve", "--config", &file, "--listen", address])).await
}

/// The server's URL.
pub(crate) fn url(served: &Served) -> String {
    format!("{}://{}", served.scheme, served.address)
}

/// Publishes one message and returns its id.
pub(crate) async fn publish(url: &str, topic: &str, text: &str) -> String {
    let ended = Run::start(&["pub", url, topic, text]).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.trim_end().to_owned()
}
