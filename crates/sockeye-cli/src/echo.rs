//! `sockeye echo`: each message comes back as it was.

use axum::Router;
use sockeye::{Config, Incoming, Origins, Result, WebSocket};

use crate::listen::{self, ListenArgs};

/// Flags of `sockeye echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    // An echo holds nothing that a foreign page could steal.
    let server = args.listen.server(Config::server())?.origins(Origins::Any);
    let server = server.route("/", echo).route("/{*path}", echo);
    let router = Router::new().fallback(listen::upgrade_required);
    listen::serve(server, &args.listen, router).await
}

/// Sends every message back. Answers to messages that came together leave together.
pub(crate) async fn echo(mut ws: WebSocket, _: Incoming) -> Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.feed(message).await?;
    }
    Ok(())
}
