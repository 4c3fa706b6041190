//! An echo server by tokio-tungstenite, as its example `autobahn-server` does it.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::MAX_MESSAGE;
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Result;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    sockeye_bench::serve(async |stream| {
        // Most cases end a connection by an error on purpose.
        let _ = echo(stream).await;
    })
    .await
}

async fn echo(stream: TcpStream) -> Result<()> {
    // Texts are checked always. A frame may be as long as a message: its own limit is 16 MiB otherwise.
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut ws = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}
