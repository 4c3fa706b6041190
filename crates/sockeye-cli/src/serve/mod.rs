//! `sockeye serve`: topics, an echo and the pages to try them.

mod pages;
mod topics;

use std::future::ready;
use std::process::ExitCode;

use sockeye::{Config, Incoming, Rejection, Server};

use crate::data_plane::Service;
use crate::echo::echo;
use crate::listen::{self, ListenArgs};
use topics::{MAX_TOPIC, Topics};

/// Flags of `sockeye serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let mut config = Config::server();
    config.limits.message = DEFAULT_MESSAGE;
    let topics = Topics::default();
    let routes = |server: Server| {
        server
            .route("/echo", echo)
            .route("/t/{topic}", move |ws, request| {
                let topics = topics.clone();
                async move { topics.join(request.param("topic").unwrap_or_default(), ws).await }
            })
            .authorize(|request| ready(check_topic(request)))
    };
    let service = |request: &Incoming| match request.param("topic") {
        Some(topic) => Service::Topic(topic.into()),
        None => Service::Echo,
    };
    listen::run(&args.listen, config, routes, service, pages::router()).await
}

/// Refuses names that no topic may have.
fn check_topic(request: &Incoming) -> Result<(), Rejection> {
    match request.param("topic") {
        Some(topic) if topic.len() > MAX_TOPIC => {
            let text = format!("A topic's name has at most {MAX_TOPIC} bytes.\n");
            Err(Rejection::new(400, text))
        }
        _ => Ok(()),
    }
}

/// The longest message, in bytes: every member of a topic may have it waiting.
const DEFAULT_MESSAGE: usize = 64 << 10;
