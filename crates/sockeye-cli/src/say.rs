//! What commands say on standard output and standard error.

use std::io::{self, Write};
use std::process::ExitCode;

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

/// Says a line on standard output.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody may be reading; the command's work does not depend on it.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
