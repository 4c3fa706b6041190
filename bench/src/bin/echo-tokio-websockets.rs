//! An echo server by tokio-websockets, as its example `autobahn_server` does it.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::MAX_MESSAGE;
use tokio::net::TcpStream;
use tokio_websockets::{Error, Limits, ServerBuilder};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    sockeye_bench::serve(async |stream| {
        // Most cases end a connection by an error on purpose.
        let _ = echo(stream).await;
    })
    .await
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    // Texts are checked always. The example has no limit at all.
    let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE));
    let (_, mut ws) = ServerBuilder::new().limits(limits).accept(stream).await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}
