//! The command `sockeye`: a WebSocket server, client and toolbox in one binary.
#![forbid(unsafe_code)]

mod echo;
mod listen;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// WebSocket server, client and toolbox.
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve topics and pages: what one WebSocket sends to /t/NAME, all on that topic get.
    Serve(serve::Args),
    /// Serve an echo on every path: each message comes back as it was.
    Echo(echo::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(args).await,
        Command::Echo(args) => echo::run(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "where a command reports")]
            {
                eprintln!("sockeye: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
