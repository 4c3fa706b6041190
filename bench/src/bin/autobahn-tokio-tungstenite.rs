//! An Autobahn client by tokio-tungstenite, which does what its example `autobahn-client` does.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::MAX_MESSAGE;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Result;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

#[tokio::main]
async fn main() -> Result<()> {
    sockeye_bench::drive("tokio-tungstenite", count, play, report).await
}

async fn connect(url: String) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    // Texts are checked always. A frame may be as long as a message: its own limit is 16 MiB otherwise.
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (ws, _) = connect_async_with_config(url, Some(config), true).await?;
    Ok(ws)
}

async fn count(url: String) -> Result<usize> {
    let mut ws = connect(url).await?;
    let message = ws.next().await.expect("the number of cases")?;
    ws.close(None).await?;
    Ok(message.to_text()?.parse().expect("a number"))
}

async fn play(url: String) -> Result<()> {
    let mut ws = connect(url).await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}

async fn report(url: String) -> Result<()> {
    connect(url).await?.close(None).await
}
