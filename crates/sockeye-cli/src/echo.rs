//! `sockeye echo`: each message comes back as it was.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use sockeye::{Config, Origins, Server};

use crate::data_plane::{DataPlane, Service};
use crate::listen::{self, ListenArgs};

/// Flags of `sockeye echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let routes = |server: Server, plane: &Arc<DataPlane>| {
        // An echo holds nothing that a foreign page could steal.
        let server = server.origins(Origins::Any);
        let paths = ["/", "/{*path}"].into_iter();
        paths.fold(server, |server, path| server.hand_over(path, plane.taker(|_| Service::Echo)))
    };
    let router = Router::new().fallback(listen::upgrade_required);
    listen::run(&args.listen, Config::server(), routes, router).await
}
