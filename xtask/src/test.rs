//! `cargo xtask test`: everything that must hold before a change is merged, in one command.
//!
//! Owns the order of the steps and what each needs. The test runner comes last, so that its
//! summary is the last thing on the terminal.

use std::path::PathBuf;
use std::time::Instant;

use crate::failure::Failure;
use crate::repo::Repo;
use crate::tools::Tool;
use crate::{catalogue, deps, fuzz, licenses, lints, shape, shell, tools, unsafety};

/// One step: its name, what it makes sure of, the tools it needs and how it is run.
struct Step {
    name: &'static str,
    ensures: &'static str,
    needs: &'static [Tool],
    action: Action,
}

/// How a step is run.
enum Action {
    /// A cargo command line, given without `cargo`.
    Cargo(&'static [&'static str]),
    /// `cargo doc` with warnings as errors.
    Docs,
    /// A subcommand of ours, with its arguments.
    Own(fn(&Repo, &[String]) -> Result<(), Failure>, &'static [&'static str]),
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        ensures: "rustfmt would change nothing",
        needs: &[Tool::Rustfmt],
        action: Action::Cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "shape",
        ensures: "no Rust file is too long",
        needs: &[],
        action: Action::Own(shape::command, &[]),
    },
    Step {
        name: "deps",
        ensures: "our crates depend on each other as the edge table says",
        needs: &[],
        action: Action::Own(deps::command, &[]),
    },
    Step {
        name: "licenses",
        ensures: "dependencies have the licences, names and sources deny.toml allows",
        needs: &[],
        action: Action::Own(licenses::command, &[]),
    },
    Step {
        name: "unsafe",
        ensures: "`unsafe` stays in the files that may hold it",
        needs: &[],
        action: Action::Own(unsafety::command, &[]),
    },
    Step {
        name: "lints",
        ensures: "the parsers deny panics and cutting casts, and check for overflow",
        needs: &[],
        action: Action::Own(lints::command, &[]),
    },
    Step {
        name: "catalogue",
        ensures: "the catalogue is well formed and every test names rows that exist",
        needs: &[],
        action: Action::Own(catalogue::command, &["--summary"]),
    },
    Step {
        name: "no-std",
        ensures: "the core compiles cleanly without its default features",
        needs: &[Tool::Clippy],
        action: Action::Cargo(&[
            "clippy",
            "-p",
            "sockeye-proto",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ]),
    },
    Step {
        name: "clippy",
        ensures: "no lint speaks up, no function is too long",
        needs: &[Tool::Clippy],
        action: Action::Cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
            "-D",
            "clippy::too_many_lines",
        ]),
    },
    Step {
        name: "docs",
        ensures: "the libraries' pages build without a warning",
        needs: &[],
        action: Action::Docs,
    },
    Step {
        name: "build",
        ensures: "everything builds",
        needs: &[],
        action: Action::Cargo(&["build", "--workspace"]),
    },
    Step {
        name: "examples",
        ensures: "the examples build",
        needs: &[],
        action: Action::Cargo(&["build", "--workspace", "--examples"]),
    },
    Step {
        name: "doctest",
        ensures: "the examples in the documentation run",
        needs: &[],
        action: Action::Cargo(&["test", "--workspace", "--doc", "--quiet"]),
    },
    Step {
        name: "fuzz",
        ensures: "no input of the corpora, and none found in a minute, breaks the core",
        needs: &[Tool::CargoFuzz],
        action: Action::Own(fuzz::command, &["--seconds", "60"]),
    },
    Step {
        name: "nextest",
        ensures: "every test passes",
        needs: &[Tool::Nextest, Tool::Peers],
        action: Action::Cargo(&["nextest", "run", "--workspace"]),
    },
];

/// Runs the subcommand: all steps, or the one that `--only` names.
///
/// # Errors
/// [`Failure::Usage`] for a bad argument or an unknown step; [`Failure::Check`] when a tool can't
/// be had or a step of ours fails; [`Failure::Told`] when the test runner fails.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    let steps = select(arguments)?;
    let mut needed: Vec<Tool> = Vec::new();
    for tool in steps.iter().flat_map(|step| step.needs) {
        if !needed.contains(tool) {
            needed.push(*tool);
        }
    }
    println!("==> tools: {needed:?}");
    let environment = tools::provide(repo, &needed)?;
    for (name, path) in &environment {
        println!("    {name}={}", path.display());
    }
    for (index, step) in steps.iter().enumerate() {
        println!("==> [{}/{}] {}: {}", index + 1, steps.len(), step.name, step.ensures);
        let start = Instant::now();
        let result = step.run(repo, &environment);
        let seconds = start.elapsed().as_secs_f32();
        // The runner's own summary closes the run; a line of ours would push it up.
        let is_runner = step.name == "nextest";
        if !is_runner {
            let verdict = if result.is_ok() { "ok" } else { "FAILED" };
            println!("    {verdict} after {seconds:.1} s");
        }
        result.map_err(|failure| match failure {
            Failure::Told if !is_runner => Failure::Check(format!("step `{}` failed", step.name)),
            other => other,
        })?;
    }
    Ok(())
}

/// Tells whether a step runs clippy over the workspace and fails on any warning.
pub(crate) fn clippy_fails_on_warnings() -> bool {
    STEPS.iter().any(|step| match step.action {
        Action::Cargo(["clippy", "--workspace", "--all-targets", "--", lints @ ..]) => {
            lints.windows(2).any(|pair| pair == ["-D", "warnings"])
        }
        _ => false,
    })
}

fn select(arguments: &[String]) -> Result<Vec<&'static Step>, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(STEPS.iter().collect()),
        ["--only", name] => {
            let step = STEPS.iter().find(|step| step.name == *name);
            step.map(|step| vec![step]).ok_or_else(|| {
                let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
                Failure::Usage(format!("no step `{name}`; there are: {}", names.join(", ")))
            })
        }
        _ => Err(Failure::Usage("usage: test [--only STEP]".to_owned())),
    }
}

impl Step {
    fn run(&self, repo: &Repo, environment: &[(String, PathBuf)]) -> Result<(), Failure> {
        let mut command = shell::cargo(repo.root());
        command.envs(environment.iter().map(|(name, path)| (name, path)));
        match &self.action {
            Action::Cargo(arguments) => shell::run(command.args(*arguments)),
            // `--lib`: the binary `sockeye` and the library `sockeye` want the same directory.
            Action::Docs => shell::run(
                command
                    .args(["doc", "--workspace", "--no-deps", "--lib"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
            Action::Own(run, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
                run(repo, &arguments)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_is_the_last_step() {
        assert_eq!(STEPS.last().unwrap().name, "nextest");
    }

    #[test]
    fn only_selects_one_step() {
        let steps = select(&["--only".to_owned(), "clippy".to_owned()]).unwrap();
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].name, "clippy");
    }

    #[test]
    fn unknown_step_is_refused_with_the_list_of_steps() {
        let failure = select(&["--only".to_owned(), "lint".to_owned()]).err().unwrap();
        assert!(failure.message().unwrap().contains("clippy"));
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn names_of_steps_are_unique() {
        for (index, step) in STEPS.iter().enumerate() {
            let others = &STEPS[index + 1..];
            assert!(others.iter().all(|other| other.name != step.name));
        }
    }
}
