//! `sockeye serve`: topics, an echo and the pages to try them.

use std::process::ExitCode;

use sockeye_server::serve::Site;

use crate::config_args::ConfigArgs;
use crate::listen;

/// Flags of `sockeye serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    listen::run(&args.config, Site::Topics).await
}
