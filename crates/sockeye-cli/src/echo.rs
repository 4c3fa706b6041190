//! `sockeye echo`: each message comes back as it was.

use std::process::ExitCode;

use sockeye_server::config::{Config, Key, OriginEntry};
use sockeye_server::serve::Site;

use crate::config_args::{ConfigArgs, Configured};
use crate::listen;

/// Flags of `sockeye echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs<Echoing>,
}

/// `sockeye echo`, which has flags for what concerns connections.
#[derive(Clone, Copy, Debug)]
struct Echoing;

impl Configured for Echoing {
    fn takes(key: &Key) -> bool {
        KEYS.contains(&key.path())
    }

    fn default() -> Config {
        Config {
            // It holds one message of a connection at a time, so longer ones do no harm.
            max_message: 1 << 20,
            // An echo has nothing that a stranger or a foreign page could steal.
            allow_anonymous: true,
            origins: vec![OriginEntry::any()],
            ..Config::default()
        }
    }
}

pub(crate) async fn run(args: Args) -> ExitCode {
    listen::run(&args.config, Site::Echo).await
}

/// The keys that concern connections.
const KEYS: [&str; 13] = [
    "listen",
    "trusted_proxies",
    "proxy_protocol",
    "max_message",
    "deflate",
    "tls.cert",
    "tls.key",
    "tls.client_ca",
    "limits.connections",
    "limits.pending_per_ip",
    "time.drain",
    "log.level",
    "log.format",
];
