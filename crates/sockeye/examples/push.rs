//! Pushes the time to everybody, every second: `cargo run -p sockeye --example push`, then
//! `cargo run -p sockeye --example client -- ws://127.0.0.1:9000`.

use std::time::{Duration, SystemTime};

use sockeye::{Result, Server, WebSocket};
use tokio::sync::watch;
use tokio::time::interval;

#[tokio::main]
async fn main() -> Result<()> {
    let (ticks, latest) = watch::channel(String::new());
    tokio::spawn(tick(ticks));
    Server::bind("127.0.0.1:9000")
        .route("/", move |ws, _request| push(ws, latest.clone()))
        .serve()
        .await
}

async fn tick(ticks: watch::Sender<String>) {
    let mut seconds = interval(Duration::from_secs(1));
    for count in 0_u64.. {
        seconds.tick().await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let json = format!(r#"{{"tick":{count},"unix":{}}}"#, now.as_secs());
        ticks.send_replace(json);
    }
}

/// Sends each tick; a client too slow for one a second gets the newest when it is ready.
async fn push(mut ws: WebSocket, mut latest: watch::Receiver<String>) -> Result<()> {
    loop {
        // Either may be dropped half-way: no tick and no message is lost.
        tokio::select! {
            changed = latest.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let json = latest.borrow_and_update().clone();
                ws.send(json).await?;
            }
            message = ws.recv() => {
                if message?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}
