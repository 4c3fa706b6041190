//! Lets Autobahn judge our server: `cargo run -p sockeye --example autobahn_server`, then
//! `wstest -m fuzzingclient` against `ws://127.0.0.1:9002`.

use sockeye::{Config, DeflateConfig, Result, Server};

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    Server::bind(address)
        .config(config())
        .route("/", |mut ws, _request| async move {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok(())
        })
        .serve()
        .await
}

/// Grants whatever section 13 asks for, and compresses messages of any length.
fn config() -> Config {
    let mut deflate = DeflateConfig::default();
    deflate.threshold = 0;
    deflate.server_max_window_bits = 15;
    deflate.client_max_window_bits = 15;
    deflate.server_no_context_takeover = false;
    deflate.client_no_context_takeover = false;
    let mut config = Config::server();
    config.deflate = Some(deflate);
    config.limits.message = 64 << 20;
    config
}
