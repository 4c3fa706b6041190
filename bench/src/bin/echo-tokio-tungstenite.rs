//! An echo server by tokio-tungstenite, as its example `autobahn-server` does it; with `feed`, in batches.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::{Form, MAX_MESSAGE, echo_in_batches, form};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Result};

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
    if form() == Form::Feed {
        let is_data = |message: &Message| message.is_text() || message.is_binary();
        let answer = |message: Result<Message>| message.map(|one| Some(one).filter(is_data));
        return echo_in_batches(&mut ws, answer).await;
    }
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}
