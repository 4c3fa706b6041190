//! tokio-tungstenite, which runs inside the test; it has no compression.

use futures_util::{SinkExt, StreamExt};
use sockeye::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as ServerRequest, Response,
};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_hdr_async, connect_async};

use crate::ours::{self, Compression, OUR_CLOSE, SUBPROTOCOL, THEIR_CLOSE};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::test]
async fn our_client_and_a_server_by_tungstenite_understand_each_other() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    let client = ours::client(Compression::Off, None)?;
    ours::echo(&client, &url).await?;
    ours::fragments(&client, &url).await?;
    ours::ping(&client, &url).await?;
    ours::close(&client, &url).await
}

#[tokio::test]
async fn a_client_by_tungstenite_and_our_server_understand_each_other() -> Result<()> {
    let mut server = ours::serve(Compression::Off, None).await?;
    echo(&server.url).await.map_err(Error::other)?;
    receive(&server.url).await.map_err(Error::other)?;
    server.assert_closed().await;
    Ok(())
}

async fn serve(tcp: TcpStream) -> tungstenite::Result<()> {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "tungstenite's own type")]
    let answer = |request: &ServerRequest, mut response: Response| {
        request.uri().path().clone_into(&mut path);
        if request.headers().contains_key("Sec-WebSocket-Protocol") {
            let chosen = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert("Sec-WebSocket-Protocol", chosen);
        }
        Ok::<_, ErrorResponse>(response)
    };
    let mut ws = accept_hdr_async(tcp, answer).await?;
    match path.as_str() {
        "/fragments" => {
            for frame in fragments() {
                ws.send(frame).await?;
            }
        }
        "/ping" => ws.send(Message::Ping("are you there?".into())).await?,
        "/close" => ws.close(Some(frame(THEIR_CLOSE))).await?,
        _ => {}
    }
    while let Some(message) = ws.next().await {
        match message? {
            Message::Pong(payload) => {
                let text = String::from_utf8_lossy(&payload).into_owned();
                ws.send(Message::text(text)).await?;
            }
            message if message.is_text() || message.is_binary() => ws.send(message).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn echo(url: &str) -> tungstenite::Result<()> {
    let mut request = format!("{url}/echo").into_client_request()?;
    let offered = HeaderValue::from_static("other, sockeye.test");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
    let (mut ws, response) = connect_async(request).await?;
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], SUBPROTOCOL);
    for message in ours::messages() {
        let message = match message {
            sockeye::Message::Text(text) => Message::text(text.as_str()),
            sockeye::Message::Binary(bytes) => Message::Binary(bytes),
        };
        ws.send(message.clone()).await?;
        assert!(next(&mut ws).await? == Some(message));
    }
    for frame in fragments() {
        ws.send(frame).await?;
    }
    assert_fragments(&mut ws).await?;
    ws.send(Message::Ping("are you there?".into())).await?;
    assert_eq!(next(&mut ws).await?, Some(Message::Pong("are you there?".into())));
    ws.close(Some(frame(OUR_CLOSE))).await?;
    assert_eq!(next(&mut ws).await?, Some(Message::Close(Some(frame(OUR_CLOSE)))));
    assert_eq!(next(&mut ws).await?, None);
    Ok(())
}

async fn receive(url: &str) -> tungstenite::Result<()> {
    let (mut ws, _) = connect_async(format!("{url}/fragments")).await?;
    assert_fragments(&mut ws).await?;
    let (mut ws, _) = connect_async(format!("{url}/ping")).await?;
    assert!(matches!(next(&mut ws).await?, Some(Message::Ping(_))));
    assert_eq!(next(&mut ws).await?, Some(Message::text("ponged")));
    let (mut ws, _) = connect_async(format!("{url}/close")).await?;
    assert_eq!(next(&mut ws).await?, Some(Message::Close(Some(frame(THEIR_CLOSE)))));
    assert_eq!(next(&mut ws).await?, None);
    Ok(())
}

async fn next(ws: &mut Client) -> tungstenite::Result<Option<Message>> {
    ws.next().await.transpose()
}

async fn assert_fragments(ws: &mut Client) -> tungstenite::Result<()> {
    assert_eq!(next(ws).await?, Some(Message::text("fragments ✓")));
    assert_eq!(next(ws).await?, Some(Message::binary(vec![0, 255, 128])));
    Ok(())
}

fn fragments() -> impl Iterator<Item = Message> {
    let frames: [(&'static [u8], Data, bool); 5] = [
        (b"frag", Data::Text, false),
        (b"", Data::Continue, false),
        ("ments ✓".as_bytes(), Data::Continue, true),
        (&[0, 255], Data::Binary, false),
        (&[128], Data::Continue, true),
    ];
    frames.into_iter().map(|(payload, opcode, is_final)| {
        Message::Frame(Frame::message(payload, OpCode::Data(opcode), is_final))
    })
}

fn frame((code, reason): (sockeye::CloseCode, &'static str)) -> CloseFrame {
    CloseFrame { code: code.get().into(), reason: reason.into() }
}
