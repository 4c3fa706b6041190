//! Handlers that panic: each takes its own connection down and nothing else.

use sockeye::{CloseCode, Config, Message, Server, WebSocket};

use crate::support::{echo, start};

/// Panics as a handler with a bug does, but without the report on standard error.
fn give_out() {
    std::panic::resume_unwind(Box::new("a bug in the handler"));
}

/// An echo, and a handler for each place in which one can panic.
fn fragile() -> Server {
    echo(Config::server())
        .route("/called", |_, _| {
            give_out();
            std::future::ready(Ok(()))
        })
        .route("/begun", |_ws, _| async {
            give_out();
            Ok(())
        })
        .route("/talking", |mut ws, _| async move {
            ws.recv().await?;
            give_out();
            ws.send("never").await
        })
        .route("/sending", |mut ws, _| async move {
            let sending = ws.send("answer");
            give_out();
            sending.await
        })
        .route("/alone", |mut ws, _| async move {
            ws.recv().await?;
            ws.close(CloseCode::AWAY, "").await?;
            give_out();
            Ok(())
        })
}

async fn assert_echoes(ws: &mut WebSocket, text: &str) {
    ws.send(text).await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::from(text)));
}

// RES-019
// All on one thread, which a panic that was not caught would end.
#[tokio::test]
async fn a_handler_that_panics_anywhere_ends_its_own_connection_and_no_other() {
    let address = start(fragile()).await;
    let connect = |path: &str| {
        let url = format!("ws://{address}/{path}");
        async move { sockeye::connect(&url).await.unwrap() }
    };
    let mut bystander = connect("").await;
    let ends =
        [("called", 1011), ("begun", 1011), ("talking", 1011), ("sending", 1011), ("alone", 1001)];
    for (path, code) in ends {
        for _ in 0..2 {
            let mut ws = connect(path).await;
            // It may be over before.
            let _ = ws.try_send("go");
            assert_eq!(ws.recv().await.unwrap(), None, "{path}");
            assert_eq!(ws.close_info().unwrap().code.get(), code, "{path}");
            assert_echoes(&mut bystander, path).await;
            assert_echoes(&mut connect("").await, path).await;
        }
    }
}
