//! Programs by others, written for these tests: starts them, reads what they report, ends them.
//!
//! Each prints a line of JSON when it listens or is done, and stops with the test that started it.

use std::env;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sockeye::{Error, Result};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A program of this directory that runs.
pub(crate) struct Peer {
    script: &'static str,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed when dropped.
    _child: Child,
}

impl Peer {
    /// Starts a script by its file's name.
    pub(crate) fn start(script: &'static str, arguments: &[&str]) -> Result<Self> {
        let interpreter = match Path::new(script).extension().and_then(|name| name.to_str()) {
            Some("py") => tool("SOCKEYE_TEST_PYTHON")?,
            _ => "node".to_owned(),
        };
        // Node finds its packages and the browser by these two itself.
        tool("SOCKEYE_TEST_NODE_MODULES")?;
        tool("SOCKEYE_TEST_CHROMIUM")?;
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut child = Command::new(interpreter)
            .arg(directory.join(script))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Error::other("no standard output"))?;
        Ok(Self { script, lines: BufReader::new(stdout).lines(), _child: child })
    }

    /// Waits for the next line it prints.
    pub(crate) async fn line(&mut self) -> Result<String> {
        let script = self.script;
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(line) => line?.ok_or_else(|| Error::other(format!("{script} failed, see above"))),
            Err(_) => Err(Error::other(format!("{script} said nothing for {PATIENCE:?}"))),
        }
    }

    /// Waits until it listens, and returns its port.
    pub(crate) async fn port(&mut self) -> Result<u16> {
        let line = self.line().await?;
        let port = line.strip_prefix(r#"{"port":"#).and_then(|rest| rest.strip_suffix('}'));
        let port = port.and_then(|port| port.parse().ok());
        port.ok_or_else(|| Error::other(format!("{} printed {line:?}, not a port", self.script)))
    }

    /// Waits for its report, checks that it ends as `rest` says, and returns the extensions in it.
    pub(crate) async fn extensions(&mut self, rest: &str) -> Result<String> {
        let line = self.line().await?;
        let report = line.strip_prefix(r#"{"extensions":""#).and_then(|line| line.split_once('"'));
        match report {
            Some((extensions, seen)) if seen == rest => Ok(extensions.to_owned()),
            _ => Err(Error::other(format!("{} printed {line:?}, not …{rest:?}", self.script))),
        }
    }
}

/// Returns where a tool is, from the environment.
fn tool(variable: &str) -> Result<String> {
    let missing = |_| {
        let text = format!("{variable} is not set: `cargo xtask test` gets the tools and sets it");
        Error::other(text)
    };
    env::var(variable).map_err(missing)
}

/// How long a program may be silent. A browser starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
