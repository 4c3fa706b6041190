//! An echo server by tokio-websockets, as its example `autobahn_server` does it; with `feed`, in batches.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use sockeye_bench::{Form, MAX_MESSAGE, echo_in_batches, form};
use tokio::net::TcpStream;
use tokio_websockets::{Error, Limits, Message, ServerBuilder};

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
    if form() == Form::Feed {
        let is_data = |message: &Message| message.is_text() || message.is_binary();
        let answer = |message: Result<Message, _>| message.map(|one| Some(one).filter(is_data));
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
