//! `cargo xtask fuzz`: each fuzz target for a while, failing on the first crash.
//!
//! Owns how a target is run: from its committed corpus, which stays as it is, with its dictionary
//! and with bounds on time and memory. What the targets check is in `fuzz/`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::failure::Failure;
use crate::metadata::{Metadata, Scope};
use crate::repo::Repo;
use crate::shell;
use crate::tools::{self, Tool};

/// What the command line asks for.
#[derive(Debug, Eq, PartialEq)]
struct Request {
    /// Seconds for all targets together.
    seconds: u64,
    /// The one target to run, or all.
    target: Option<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Usage`] for a bad argument or an unknown target; [`Failure::Check`] when a target
/// crashes, naming the input, or cargo-fuzz can't be had; [`Failure::Told`] when nothing builds.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    let request = Request::parse(arguments)?;
    let targets = select(targets(repo)?, request.target.as_deref())?;
    tools::provide(repo, &[Tool::CargoFuzz])?;
    shell::run(cargo_fuzz(repo, "build").args(request.target.iter()))?;
    let scratch = Metadata::load(repo, Scope::Workspace)?.target_directory.join("fuzz-corpus");
    let seconds = share(request.seconds, targets.len());
    targets.iter().try_for_each(|target| run(repo, target, &scratch, seconds))?;
    println!("    {} targets, {seconds} s each, no crash", targets.len());
    Ok(())
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (seconds, rest) = match words.as_slice() {
            ["--seconds", number, rest @ ..] => (number.parse().ok(), rest),
            rest => (Some(DEFAULT_SECONDS), rest),
        };
        match (seconds, rest) {
            (Some(seconds), []) => Ok(Self { seconds, target: None }),
            (Some(seconds), [target]) if !target.starts_with('-') => {
                Ok(Self { seconds, target: Some((*target).to_owned()) })
            }
            _ => Err(Failure::Usage("usage: fuzz [--seconds N] [TARGET]".to_owned())),
        }
    }
}

/// Lists the targets by name, sorted.
fn targets(repo: &Repo) -> Result<Vec<String>, Failure> {
    let files = repo.files(&["rs"])?;
    let targets = files.iter().filter(|path| path.starts_with("fuzz/fuzz_targets"));
    Ok(targets
        .filter_map(|path| path.file_stem())
        .map(|stem| stem.to_string_lossy().into_owned())
        .collect())
}

fn select(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(targets);
    };
    if targets.iter().any(|target| target == wanted) {
        return Ok(vec![wanted.to_owned()]);
    }
    Err(Failure::Usage(format!("no target `{wanted}`; there are: {}", targets.join(", "))))
}

/// Returns the seconds of one target: at least one, since none would mean for ever.
fn share(seconds: u64, targets: usize) -> u64 {
    let targets = u64::try_from(targets).unwrap_or(u64::MAX);
    seconds.checked_div(targets).unwrap_or(seconds).max(1)
}

/// Starts a `cargo fuzz` command line.
fn cargo_fuzz(repo: &Repo, subcommand: &str) -> Command {
    let mut command = shell::cargo(repo.root());
    // Sanitizers are unstable flags of the compiler, and this opens them on a stable one.
    command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", subcommand]);
    command
}

fn run(repo: &Repo, target: &str, scratch: &Path, seconds: u64) -> Result<(), Failure> {
    // What is found goes to a directory of its own, not among the committed files.
    let found = scratch.join(target);
    fs::create_dir_all(&found).map_err(|error| Failure::during(found.display(), error))?;
    let fuzz = repo.root().join("fuzz");
    let mut command = cargo_fuzz(repo, "run");
    command.arg(target).arg(&found).arg(fuzz.join("corpus").join(target)).arg("--").args(BOUNDS);
    command.arg(format!("-max_total_time={seconds}"));
    let dictionary = fuzz.join("dictionaries").join(target).with_extension("dict");
    if dictionary.is_file() {
        let mut argument = OsString::from("-dict=");
        argument.push(dictionary);
        command.arg(argument);
    }
    let output = command.output().map_err(|error| Failure::during("cargo fuzz", error))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        println!("    {target}: {}", summary(&told));
        return Ok(());
    }
    print!("{told}");
    Err(Failure::Check(advice(repo, target)))
}

/// Picks from the statistics of a run without a crash the line that is worth reading.
fn summary(told: &str) -> String {
    let runs = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    format!("{} inputs", runs.map_or("?", str::trim))
}

/// Says how to run the crash again.
fn advice(repo: &Repo, target: &str) -> String {
    let input = newest(&repo.root().join("fuzz/artifacts").join(target));
    let input = input.map_or_else(
        || format!("fuzz/artifacts/{target}/…"),
        |path| path.strip_prefix(repo.root()).unwrap_or(&path).display().to_string(),
    );
    format!(
        "fuzz target `{target}` failed; to run it again:\n  \
         RUSTC_BOOTSTRAP=1 cargo fuzz run {target} {input}"
    )
}

/// Returns the file that was written last.
fn newest(directory: &Path) -> Option<PathBuf> {
    let written = |path: &PathBuf| {
        let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
        metadata.unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let files = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.max_by_key(written)
}

/// Seconds for all targets together, unless the command line says otherwise.
const DEFAULT_SECONDS: u64 = 60;

/// Limits are low in every target, so that no input takes long and nothing large is allocated: more
/// than 8 MiB at once would be for what a peer announced, not for what it sent.
const BOUNDS: &[&str] =
    &["-max_len=2048", "-malloc_limit_mb=8", "-timeout=20", "-verbosity=0", "-print_final_stats=1"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Request, Failure> {
        Request::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn seconds_and_target_are_both_optional() {
        let request =
            |seconds, target: Option<&str>| Request { seconds, target: target.map(str::to_owned) };
        assert_eq!(parse(&[]).unwrap(), request(DEFAULT_SECONDS, None));
        assert_eq!(parse(&["utf8"]).unwrap(), request(DEFAULT_SECONDS, Some("utf8")));
        assert_eq!(parse(&["--seconds", "5", "utf8"]).unwrap(), request(5, Some("utf8")));
    }

    #[test]
    fn bad_arguments_are_usage_errors() {
        for words in [&["--seconds"][..], &["--seconds", "x"], &["--fast"], &["a", "b"]] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn every_target_has_a_corpus() {
        let repo = Repo::locate().unwrap();
        let targets = targets(&repo).unwrap();
        assert!(targets.len() >= 10);
        for target in targets {
            assert!(repo.root().join("fuzz/corpus").join(&target).is_dir(), "{target}");
        }
    }

    #[test]
    fn unknown_target_is_refused_with_the_list_of_targets() {
        let failure = select(vec!["utf8".to_owned()], Some("utf9")).unwrap_err();
        assert!(failure.message().unwrap().contains("utf8"));
    }

    #[test]
    fn of_a_run_without_a_crash_the_count_is_kept() {
        let told = "\"0x\" # Uses: 4\nstat::number_of_executed_units: 85\nstat::peak_rss_mb: 9\n";
        assert_eq!(summary(told), "85 inputs");
    }

    #[test]
    fn time_is_shared_and_never_none() {
        assert_eq!(share(60, 10), 6);
        assert_eq!(share(5, 10), 1);
        assert_eq!(share(0, 1), 1);
    }
}
