//! What commands say on standard output and standard error.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines on their way to standard output, for which nobody waits who serves: it may be a pipe that is
/// full.
pub(crate) struct Aside(Receiver<()>);

impl Aside {
    /// Says lines on standard output by and by; at once where the system has no thread for it.
    pub(crate) fn say(lines: &str) -> Self {
        let (done, saying) = sync_channel(1);
        let thread = thread::Builder::new().name("say".to_owned());
        let text = lines.to_owned();
        let speak = move || {
            say(&text);
            // Perhaps nobody has waited so long.
            let _ = done.send(());
        };
        if thread.spawn(speak).is_err() {
            say(lines);
        }
        Self(saying)
    }

    /// Waits until they have been said, as far as somebody reads them.
    pub(crate) fn finish(self) {
        let _ = self.0.recv_timeout(LAST_LINES);
    }
}

/// Says on standard error why the command failed, in one line.
pub(crate) fn report(problem: &str) -> ExitCode {
    complain(&format!("sockeye: {problem}"));
    ExitCode::FAILURE
}

/// Says a line on standard error.
pub(crate) fn complain(line: &str) {
    // If that cannot be written either, the exit code still tells.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says lines on standard output.
pub(crate) fn say(lines: &str) {
    let mut out = io::stdout().lock();
    // Nobody may be reading; the command's work does not depend on it.
    let _ = writeln!(out, "{lines}");
    let _ = out.flush();
}

/// How long the end of a command waits for lines that nobody reads.
pub(crate) const LAST_LINES: Duration = Duration::from_secs(1);
