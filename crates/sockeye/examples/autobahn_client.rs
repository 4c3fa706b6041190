//! Lets Autobahn judge our client: start `wstest -m fuzzingserver`, then
//! `cargo run -p sockeye --example autobahn_client -- ws://127.0.0.1:9001`.

use sockeye::{Client, Config, DeflateConfig, Result, WebSocket};

#[tokio::main]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let client = Client::builder().config(config()).build();
    let mut ws = client.request(&format!("{server}/getCaseCount")).await?;
    let answer = ws.recv().await?;
    let count = answer.as_ref().and_then(|message| message.as_text()?.parse().ok()).unwrap_or(0);
    for case in 1..=count {
        let url = format!("{server}/runCase?case={case}&agent=sockeye");
        // Some cases break the handshake on purpose, most others end with a fault.
        let done = match client.request(&url).await {
            Ok(ws) => echo(ws).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            eprintln!("case {case} of {count}: {error}");
        }
    }
    let mut ws = client.request(&format!("{server}/updateReports?agent=sockeye")).await?;
    while ws.recv().await?.is_some() {}
    Ok(())
}

/// Sends every message back until the connection ends.
async fn echo(mut ws: WebSocket) -> Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Offers `permessage-deflate; client_no_context_takeover; client_max_window_bits`, which leaves
/// every choice to the server, so that all of section 13 runs.
fn config() -> Config {
    let mut deflate = DeflateConfig::default();
    deflate.threshold = 0;
    deflate.server_max_window_bits = 15;
    deflate.client_max_window_bits = 15;
    deflate.server_no_context_takeover = false;
    let mut config = Config::client();
    config.deflate = Some(deflate);
    config.limits.message = 64 << 20;
    config
}
