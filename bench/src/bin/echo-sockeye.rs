//! An echo server by sockeye on tokio, as its example; with `feed`, answers to messages that came together leave
//! together. Compresses where the client offers it, as `sockeye echo --deflate` does.
#![forbid(unsafe_code)]

use sockeye::{Config, DeflateConfig, Result, Server};
use sockeye_bench::{Form, argument, form};

#[tokio::main]
async fn main() -> Result<()> {
    let form = form();
    let mut config = Config::server();
    config.deflate = Some(DeflateConfig::default());
    Server::bind(argument("ADDR").as_str())
        .config(config)
        .route("/", move |mut ws, _request| async move {
            while let Some(message) = ws.recv().await? {
                match form {
                    Form::Feed => ws.feed(message).await?,
                    Form::Send => ws.send(message).await?,
                }
            }
            Ok(())
        })
        .serve()
        .await
}
