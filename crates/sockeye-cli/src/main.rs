//! The command `sockeye`: a WebSocket server, client and toolbox in one binary.
#![forbid(unsafe_code)]

mod check_config;
mod client;
mod config_args;
mod conform;
mod connect;
mod echo;
mod listen;
mod log;
mod publish;
mod say;
mod serve;
mod subscribe;
mod terminal;
mod token;

use std::process::{self, ExitCode};
use std::{io, panic};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

/// WebSocket server, client and toolbox.
#[derive(Parser)]
#[command(name = "sockeye", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve topics and pages: what one WebSocket sends to /t/NAME, all on that topic get.
    Serve(serve::Args),
    /// Serve an echo on every path: each message comes back as it was.
    Echo(echo::Args),
    /// Talk to a WebSocket server from the terminal or through pipes.
    Connect(connect::Args),
    /// Publish messages to a topic of a Sockeye server, from the command line or standard input.
    Pub(publish::Args),
    /// Print what is published to topics of a Sockeye server, come back by itself, miss nothing.
    Sub(subscribe::Args),
    /// Test how well a WebSocket server or client keeps to the protocol.
    Conform(conform::Args),
    /// Check a configuration of serve and print what it comes to.
    CheckConfig(check_config::Args),
    /// Make a token for trying out serve with auth.
    Token(token::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = match start_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return say::report(&format!("cannot start: {error}")),
    };
    let code = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Echo(args) => echo::run(args).await,
            Command::Connect(args) => connect::run(args).await.into(),
            Command::Pub(args) => publish::run(args).await.into(),
            Command::Sub(args) => subscribe::run(args).await,
            Command::Conform(args) => conform::run(args).await,
            Command::CheckConfig(args) => check_config::run(args),
            Command::Token(args) => token::run(args),
        }
    });
    // A look-up of a name that nobody waits for any more must not hold the process up.
    runtime.shutdown_background();
    code
}

/// Starts the threads that commands run on. Ends the process where the system has none: tokio panics
/// then, and would wait for ever for those threads that it has started.
///
/// # Errors
/// The system has no pollers left.
fn start_runtime() -> io::Result<Runtime> {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(|why| {
        let why = why.payload().downcast_ref::<String>().map_or("no threads", String::as_str);
        say::complain(&format!("sockeye: cannot start: {why}"));
        process::exit(1);
    }));
    let started = Runtime::new();
    panic::set_hook(tell);
    started
}
