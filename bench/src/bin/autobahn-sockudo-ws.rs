//! An Autobahn client by sockudo-ws, which publishes none: the loop of its echo server, dialled.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::MAX_MESSAGE;
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::{Config, Error, Http1, Message, Result, Stream, WebSocketStream};

#[tokio::main]
async fn main() -> Result<()> {
    sockeye_bench::drive("sockudo-ws", count, play, report).await
}

async fn connect(url: String) -> Result<WebSocketStream<Stream<Http1>>> {
    // Texts are checked by default; a frame may be as long as a message. Its client offers no compression.
    let config = Config::builder().max_payload_length(MAX_MESSAGE).build();
    let (ws, _) = WebSocketClient::<Http1>::new(config).connect_to_url(&url, None).await?;
    Ok(ws)
}

async fn count(url: String) -> Result<usize> {
    let mut ws = connect(url).await?;
    let mut count = None;
    while let Some(message) = ws.next().await {
        if let Message::Text(text) = message? {
            count = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        }
    }
    count.ok_or(Error::ConnectionClosed)
}

async fn play(url: String) -> Result<()> {
    let mut ws = connect(url).await?;
    while let Some(message) = ws.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => ws.send(message).await?,
            // Its answer is sent by reading on.
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    Ok(())
}

async fn report(url: String) -> Result<()> {
    let mut ws = connect(url).await?;
    while ws.next().await.is_some() {}
    Ok(())
}
