//! An echo server by sockeye's handlers on tokio. Compresses where the client offers it, as
//! `sockeye echo --deflate` does.
#![forbid(unsafe_code)]

use sockeye::{Config, DeflateConfig, MessageRef, Out, Result, Server};
use sockeye_bench::argument;

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = Config::server();
    config.deflate = Some(DeflateConfig::default());
    let echo = |message: MessageRef<'_>, out: &mut Out<'_>| {
        // One for which there is no room is lost: the client reads none of its echoes.
        let _ = out.send(message);
    };
    Server::bind(argument("ADDR").as_str())
        .config(config)
        .handle("/", move |_request| echo)
        .serve()
        .await
}
