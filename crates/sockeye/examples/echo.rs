//! An echo server: `cargo run --example echo`, then `sockeye connect ws://127.0.0.1:9000`.

use sockeye::{Result, Server};

#[tokio::main]
async fn main() -> Result<()> {
    Server::bind("127.0.0.1:9000")
        .route("/", |mut ws, _request| async move {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok(())
        })
        .serve()
        .await
}
