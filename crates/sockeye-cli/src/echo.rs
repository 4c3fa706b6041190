//! `sockeye echo`: each message comes back as it was.

use std::process::ExitCode;

use axum::Router;
use sockeye::{Config, Incoming, Origins, Result, Server, WebSocket};

use crate::data_plane::Service;
use crate::listen::{self, ListenArgs};

/// Flags of `sockeye echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    // An echo holds nothing that a foreign page could steal.
    let routes =
        |server: Server| server.origins(Origins::Any).route("/", echo).route("/{*path}", echo);
    let router = Router::new().fallback(listen::upgrade_required);
    listen::run(&args.listen, Config::server(), routes, |_| Service::Echo, router).await
}

/// Sends every message back. Answers to messages that came together leave together.
pub(crate) async fn echo(mut ws: WebSocket, _: Incoming) -> Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.feed(message).await?;
    }
    Ok(())
}
