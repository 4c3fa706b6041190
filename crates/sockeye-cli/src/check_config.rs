//! `sockeye check-config`: what a configuration comes to, without serving.

use std::path::PathBuf;
use std::process::ExitCode;

use sockeye_server::config::Config;
use sockeye_server::tls::{Certificates, Files};

use crate::config_args::{ConfigArgs, REFUSED};
use crate::say;

/// Flags of `sockeye check-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration to check, TOML; the same as --config.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    path: Option<PathBuf>,

    /// Print an example instead: every key with its default.
    #[arg(long, conflicts_with = "path")]
    default: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) fn run(mut args: Args) -> ExitCode {
    if args.default {
        say::say(Config::example().trim_end());
        return ExitCode::SUCCESS;
    }
    args.config.file = args.path.or(args.config.file);
    let config = match args.config.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Some(Err(error)) = Files::of(&config.tls).map(Certificates::load) {
        say::complain(&format!("sockeye: tls: {error}"));
        return ExitCode::from(REFUSED);
    }
    for warning in config.warnings() {
        say::complain(&format!("sockeye: warning: {warning}"));
    }
    say::say(config.to_toml().trim_end());
    ExitCode::SUCCESS
}
