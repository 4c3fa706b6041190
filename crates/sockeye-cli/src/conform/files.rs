//! Where reports go: files in several forms, and a summary on standard output.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use sockeye_conform::report::Report;

use crate::say;
use crate::terminal;

/// Flags of every command that makes a report.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Write the report as one HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the report as JSON, with what went over the wire.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the verdicts as JSON in the form of Autobahn's index.json.
    #[arg(long, value_name = "FILE")]
    index_json: Option<PathBuf>,
}

impl ReportArgs {
    /// Makes sure before a test that its report can be written after it.
    pub(super) fn check(&self) -> Result<(), String> {
        for path in [&self.html, &self.json, &self.index_json].into_iter().flatten() {
            let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
            open.map_err(|error| problem(path, &error))?;
        }
        Ok(())
    }

    /// Writes the files asked for and the summary.
    pub(super) fn write(&self, report: &Report) -> Result<(), String> {
        let out = std::io::stdout();
        let width = if out.is_terminal() { terminal::width() } else { UNCUT };
        say::say(report.summary(width).trim_end());
        self.write_files(report)
    }

    /// Writes the files asked for.
    pub(super) fn write_files(&self, report: &Report) -> Result<(), String> {
        write_file(self.html.as_deref(), || report.to_html())?;
        write_file(self.json.as_deref(), || report.to_json())?;
        write_file(self.index_json.as_deref(), || report.to_index_json())
    }
}

/// Writes a file, if it was asked for.
fn write_file(path: Option<&Path>, content: impl FnOnce() -> String) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, content()).map_err(|error| problem(path, &error))
}

fn problem(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// Columns of a summary that no terminal shows.
const UNCUT: usize = 1000;
