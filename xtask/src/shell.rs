//! Running other programs: loudly for the reader, or quietly for their output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Starts a cargo command line in `directory`, with the cargo that started us.
pub(crate) fn cargo(directory: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

/// Prints the command line, runs it on our terminal and waits.
///
/// # Errors
/// [`Failure::Check`] when it can't be started, [`Failure::Told`] when it exits unsuccessfully.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("    $ {}", line_of(command));
    let status = command.status().map_err(|error| Failure::during(line_of(command), error))?;
    if status.success() { Ok(()) } else { Err(Failure::Told) }
}

/// Runs a command quietly and returns what it wrote on standard output.
///
/// # Errors
/// [`Failure::Check`] when it can't be started, exits unsuccessfully or writes no UTF-8.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::during(line_of(command), error))?;
    if !output.status.success() {
        return Err(Failure::during(line_of(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| Failure::during(line_of(command), error))
}

/// Tells whether a command starts and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Finds a program on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line =
        program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_command_is_a_failure_already_told() {
        assert!(matches!(run(&mut Command::new("false")), Err(Failure::Told)));
    }

    #[test]
    fn missing_program_is_named() {
        let failure = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(failure.message().unwrap().contains("no-such-program"));
    }

    #[test]
    fn captured_output_is_returned() {
        let text = capture(Command::new("echo").arg("sockeye")).unwrap();
        assert_eq!(text, "sockeye\n");
    }
}
