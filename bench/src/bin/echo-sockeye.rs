//! An echo server by sockeye on tokio, as its example, except that answers to messages that came together leave together.
#![forbid(unsafe_code)]

use sockeye::{Result, Server};

#[tokio::main]
async fn main() -> Result<()> {
    Server::bind(sockeye_bench::argument("ADDR").as_str())
        .route("/", |mut ws, _request| async move {
            while let Some(message) = ws.recv().await? {
                ws.feed(message).await?;
            }
            Ok(())
        })
        .serve()
        .await
}
