//! An echo server by sockudo-ws: the handshake as its Autobahn server does it, since its `accept` agrees on no
//! compression, and the streams that its documentation shows. With `feed` it is the documentation's loop for batches.
#![forbid(unsafe_code)]

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper::body::Bytes;
use sockeye_bench::{Form, MAX_MESSAGE, form};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{
    CompressedWebSocketStream, Config, Error, Message, Result, Role, WebSocketStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    sockeye_bench::serve(async |stream| {
        // Most cases end a connection by an error on purpose.
        let _ = accept(stream).await;
    })
    .await
}

async fn accept(mut stream: TcpStream) -> Result<()> {
    let mut head = Vec::with_capacity(4096);
    let (response, deflate, size) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        let Some((request, size)) = parse_request(&head)? else { continue };
        let policy = DeflateConfig::default();
        let agreed =
            request.extensions.and_then(|offers| negotiate_server_deflate(offers, &policy));
        let extensions = agreed.as_ref().map(|agreed| agreed.to_response_header());
        let key = generate_accept_key(request.key);
        let response = build_response(&key, None, extensions.as_deref());
        break (response, agreed.map(|agreed| agreed.config), size);
    };
    stream.write_all(&response).await?;
    let rest = (size < head.len()).then(|| Bytes::from(head.split_off(size)));
    // Texts are checked by default; a frame may be as long as a message.
    let config = Config::builder().max_payload_length(MAX_MESSAGE).build();
    match deflate {
        Some(deflate) => {
            echo(CompressedWebSocketStream::server_with_leftover(stream, config, deflate, rest))
                .await
        }
        None => {
            echo(WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, rest)).await
        }
    }
}

async fn echo<S>(mut ws: S) -> Result<()>
where
    S: Stream<Item = Result<Message>> + Sink<Message, Error = Error> + Unpin,
{
    let form = form();
    while let Some(message) = ws.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => match form {
                // Reading on flushes before it waits.
                Form::Feed => ws.feed(message).await?,
                Form::Send => ws.send(message).await?,
            },
            // Its answer is sent by reading on.
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    Ok(())
}
