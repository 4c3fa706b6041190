//! Tests the right peers against tungstenite: what is tested with them must be right itself.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::CloseFrame};
use tokio_tungstenite::{WebSocketStream, accept_async, connect_async};

use crate::peer::{Client, Server};

#[tokio::test]
async fn the_right_server_works_with_tungstenite() {
    let server = Server::start(None).await.unwrap();
    let (socket, response) = connect_async(server.url()).await.unwrap();
    assert_eq!(response.status(), 101);
    converse(socket).await;
}

#[tokio::test]
async fn the_right_client_works_with_tungstenite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client { address: listener.local_addr().unwrap(), fault: None };
    let client = tokio::spawn(client.connect("/", 1));
    let (stream, _) = listener.accept().await.unwrap();
    converse(accept_async(stream).await.unwrap()).await;
    client.await.unwrap().unwrap();
}

/// Has messages echoed and a ping answered, then closes in good order.
async fn converse<S>(mut socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let messages = [Message::binary(vec![0xfe; length]), Message::text("é".repeat(length))];
        for message in messages {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
    }
    socket.send(Message::Ping("ping".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("ping".into()));
    let close = CloseFrame { code: 3000.into(), reason: "through".into() };
    socket.close(Some(close)).await.unwrap();
    let Some(Ok(Message::Close(Some(answer)))) = socket.next().await else {
        panic!("no Close frame");
    };
    assert_eq!(u16::from(answer.code), 3000);
    let end = socket.next().await;
    assert!(matches!(end, None | Some(Err(Error::ConnectionClosed))), "{end:?}");
}
