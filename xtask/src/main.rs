//! The project's own automation. `cargo xtask` alone prints what there is.
//!
//! One file per subcommand. This file owns the table of subcommands and the exit codes; it
//! does no work of its own.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

mod catalogue;
mod conformance;
mod deps;
mod failure;
mod fuzz;
mod licenses;
mod lints;
mod metadata;
mod repo;
mod sanitize;
mod shape;
mod shell;
mod test;
mod tools;
mod unsafety;

use std::process::ExitCode;

use failure::Failure;
use repo::Repo;

/// A subcommand: its name, what follows the name, one line of help, and the code behind it.
struct Subcommand {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&Repo, &[String]) -> Result<(), Failure>,
}

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "test",
        arguments: "[--only STEP]",
        help: "install what the tests need, then run every check and every test",
        run: test::command,
    },
    Subcommand {
        name: "catalogue",
        arguments: "[--summary | --missing GROUP]",
        help: "tell which rows of docs/catalogue.md a test proves",
        run: catalogue::command,
    },
    Subcommand {
        name: "conformance",
        arguments: "[--cases PATTERNS] [--peers NAMES]",
        help: "put servers and clients, ours and others', through the suite; write docs/conformance.*",
        run: conformance::command,
    },
    Subcommand {
        name: "deps",
        arguments: "",
        help: "check the edges between our crates against the edge table",
        run: deps::command,
    },
    Subcommand {
        name: "fuzz",
        arguments: "[--seconds N] [TARGET]",
        help: "run the fuzz targets for a minute in all, or as told",
        run: fuzz::command,
    },
    Subcommand {
        name: "licenses",
        arguments: "",
        help: "check licences, bans and sources of every dependency against deny.toml",
        run: licenses::command,
    },
    Subcommand {
        name: "lints",
        arguments: "",
        help: "check that the parsers deny panics, cutting casts and overflow",
        run: lints::command,
    },
    Subcommand {
        name: "sanitize",
        arguments: "",
        help: "run the integration tests under the address and leak sanitizers",
        run: sanitize::command,
    },
    Subcommand {
        name: "shape",
        arguments: "",
        help: "check that no Rust file has grown past its limit",
        run: shape::command,
    },
    Subcommand {
        name: "unsafe",
        arguments: "",
        help: "check that `unsafe` stays in the files that may hold it",
        run: unsafety::command,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("xtask: {message}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", help());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return Ok(());
    }
    let subcommand = SUBCOMMANDS
        .iter()
        .find(|subcommand| subcommand.name == name)
        .ok_or_else(|| Failure::Usage(format!("there is no `{name}`\n\n{}", help())))?;
    (subcommand.run)(&Repo::locate()?, rest)
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask SUBCOMMAND\n\n");
    for subcommand in SUBCOMMANDS {
        let call = format!("{} {}", subcommand.name, subcommand.arguments);
        text.push_str(&format!("  {call:<50} {}\n", subcommand.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_subcommand() {
        let text = help();
        assert!(SUBCOMMANDS.iter().all(|subcommand| text.contains(subcommand.help)));
    }

    #[test]
    fn unknown_subcommand_is_a_usage_error() {
        let failure = dispatch(&["tset".to_owned()]).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
    }
}
