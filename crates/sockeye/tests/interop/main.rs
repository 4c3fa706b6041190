//! Exchanges with WebSocket programs by others, in both roles: the npm package ws, Python's
//! websockets and aiohttp, tungstenite, and Chromium.
//!
//! Owns who meets whom; what they exchange is in `ours` and in the scripts beside it.

mod ours;
mod peer;
mod tungstenite;

use sockeye::Result;

use ours::{Certificate, Compression};
use peer::Peer;

/// Lets our client talk to a server by others.
async fn meet_server(
    script: &'static str,
    compression: Compression,
    certificate: Option<&Certificate>,
) -> Result<()> {
    let files = certificate.map(|files| [files.certificate.as_path(), files.key.as_path()]);
    let files = files.iter().flatten().map(|path| path.to_str().unwrap_or_default());
    let arguments: Vec<&str> = [compression.name()].into_iter().chain(files).collect();
    let mut peer = Peer::start(script, &arguments)?;
    let port = peer.port().await?;
    let url = match certificate {
        Some(_) => format!("wss://localhost:{port}"),
        None => format!("ws://127.0.0.1:{port}"),
    };
    let client = ours::client(compression, certificate)?;
    ours::echo(&client, &url).await?;
    compression.assert_agreed(&peer.extensions(r#","close":[4002,"tschüß"]}"#).await?);
    if !script.starts_with("aiohttp") {
        ours::fragments(&client, &url).await?;
    }
    ours::ping(&client, &url).await?;
    ours::close(&client, &url).await
}

/// Lets a client by others talk to our server.
async fn meet_client(
    script: &'static str,
    compression: Compression,
    certificate: Option<&Certificate>,
) -> Result<()> {
    let mut server = ours::serve(compression, certificate).await?;
    let roots = certificate.map(|files| files.certificate.to_str().unwrap_or_default());
    let arguments = [server.url.as_str(), compression.name()];
    let arguments: Vec<&str> = arguments.into_iter().chain(roots).collect();
    let mut peer = Peer::start(script, &arguments)?;
    let extensions = peer.extensions(r#","passed":true}"#).await?;
    compression.assert_agreed(&extensions);
    server.assert_closed().await;
    Ok(())
}

async fn meet_server_in_every_compression(script: &'static str) -> Result<()> {
    for compression in Compression::ALL {
        meet_server(script, compression, None).await?;
    }
    Ok(())
}

async fn meet_client_in_every_compression(script: &'static str) -> Result<()> {
    for compression in Compression::ALL {
        meet_client(script, compression, None).await?;
    }
    Ok(())
}

#[tokio::test]
async fn our_client_and_a_server_by_ws_understand_each_other() -> Result<()> {
    meet_server_in_every_compression("ws_server.mjs").await
}

#[tokio::test]
async fn a_client_by_ws_and_our_server_understand_each_other() -> Result<()> {
    meet_client_in_every_compression("ws_client.mjs").await
}

#[tokio::test]
async fn our_client_and_a_server_by_websockets_understand_each_other() -> Result<()> {
    meet_server_in_every_compression("websockets_server.py").await
}

#[tokio::test]
async fn a_client_by_websockets_and_our_server_understand_each_other() -> Result<()> {
    meet_client_in_every_compression("websockets_client.py").await
}

#[tokio::test]
async fn our_client_and_a_server_by_aiohttp_understand_each_other() -> Result<()> {
    meet_server_in_every_compression("aiohttp_server.py").await
}

#[tokio::test]
async fn a_client_by_aiohttp_and_our_server_understand_each_other() -> Result<()> {
    meet_client_in_every_compression("aiohttp_client.py").await
}

#[tokio::test]
async fn a_page_in_chromium_and_our_server_understand_each_other() -> Result<()> {
    meet_client_in_every_compression("chromium_client.mjs").await
}

#[tokio::test]
async fn our_client_and_a_server_by_ws_understand_each_other_over_tls() -> Result<()> {
    let certificate = Certificate::make("ws_server")?;
    meet_server("ws_server.mjs", Compression::Takeover, Some(&certificate)).await
}

#[tokio::test]
async fn a_client_by_ws_and_our_server_understand_each_other_over_tls() -> Result<()> {
    let certificate = Certificate::make("ws_client")?;
    meet_client("ws_client.mjs", Compression::Takeover, Some(&certificate)).await
}

#[tokio::test]
async fn our_client_and_a_server_by_websockets_understand_each_other_over_tls() -> Result<()> {
    let certificate = Certificate::make("websockets_server")?;
    meet_server("websockets_server.py", Compression::Takeover, Some(&certificate)).await
}

#[tokio::test]
async fn a_client_by_websockets_and_our_server_understand_each_other_over_tls() -> Result<()> {
    let certificate = Certificate::make("websockets_client")?;
    meet_client("websockets_client.py", Compression::Takeover, Some(&certificate)).await
}
