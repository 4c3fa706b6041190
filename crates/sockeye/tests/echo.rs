//! A client and a server of this crate, over real sockets.

use sockeye::{CloseCode, Config, Message, Result, Server, connect};

async fn echo_server(config: Config) -> std::net::SocketAddr {
    let server = Server::bind("127.0.0.1:0").config(config).route("/", |mut ws, _| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    });
    let server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.serve());
    address
}

#[tokio::test]
async fn messages_of_every_length_come_back() -> Result<()> {
    let address = echo_server(Config::server()).await;
    let mut ws = connect(&format!("ws://{address}/")).await?;
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let text = "x".repeat(len);
        ws.send(text.as_str()).await?;
        assert_eq!(ws.recv().await?, Some(Message::text(text.as_str())));
    }
    let info = ws.close(CloseCode::NORMAL, "done").await?;
    assert!(info.clean);
    assert_eq!(info.code, CloseCode::NORMAL);
    Ok(())
}
