//! `sockeye serve`: topics, an echo and the pages to try them.

mod pages;

use std::process::ExitCode;
use std::sync::Arc;

use sockeye::{Config, Incoming, Rejection, Server};

use crate::data_plane::{DataPlane, Service};
use crate::listen::{self, ListenArgs};

/// Flags of `sockeye serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let mut config = Config::server();
    config.limits.message = DEFAULT_MESSAGE;
    let routes = |server: Server, plane: &Arc<DataPlane>| {
        let topic =
            |request: &Incoming| Service::Topic(request.param("topic").unwrap_or_default().into());
        server
            .hand_over("/echo", plane.taker(|_| Service::Echo))
            .hand_over("/t/{topic}", plane.taker(topic))
            .check(check_topic)
    };
    listen::run(&args.listen, config, routes, pages::router()).await
}

/// Refuses names that no topic may have.
fn check_topic(request: &mut Incoming) -> Result<(), Rejection> {
    match request.param("topic") {
        Some(topic) if topic.len() > MAX_TOPIC => {
            let text = format!("A topic's name has at most {MAX_TOPIC} bytes.\n");
            Err(Rejection::new(400, text))
        }
        _ => Ok(()),
    }
}

/// The longest name of a topic, in bytes.
const MAX_TOPIC: usize = 255;

/// The longest message, in bytes: every member of a topic may have it waiting.
const DEFAULT_MESSAGE: usize = 64 << 10;
