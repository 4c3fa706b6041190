//! The command `sockeye`.
#![forbid(unsafe_code)]

mod connect;

use std::process::ExitCode;

use clap::Parser;

/// WebSocket tools.
#[derive(Parser)]
#[command(name = "sockeye", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Talks to a WebSocket server from the terminal or through pipes.
    Connect(connect::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Connect(args) => connect::run(args).await.into(),
    }
}
