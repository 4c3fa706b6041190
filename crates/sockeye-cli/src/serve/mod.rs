//! `sockeye serve`: topics, an echo and the pages to try them.

mod pages;
mod topics;

use sockeye::{Config, Incoming, Rejection, Result};

use crate::echo::echo;
use crate::listen::{self, ListenArgs};
use topics::{MAX_TOPIC, Topics};

/// Flags of `sockeye serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: ListenArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let mut config = Config::server();
    config.limits.message = DEFAULT_MESSAGE;
    let topics = Topics::default();
    let server = args
        .listen
        .server(config)?
        .route("/echo", echo)
        .route("/t/{topic}", move |ws, request| {
            let topics = topics.clone();
            async move { topics.join(request.param("topic").unwrap_or_default(), ws).await }
        })
        .authorize(|request| std::future::ready(check_topic(request)));
    listen::serve(server, &args.listen, pages::router()).await
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
