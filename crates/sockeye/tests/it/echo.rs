//! A client and a server of this crate, over real sockets.

use sockeye::{CloseCode, Config, Message, Result, connect};

use crate::support::{echo, start};

#[tokio::test]
async fn messages_of_every_length_come_back() -> Result<()> {
    let address = start(echo(Config::server())).await;
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
