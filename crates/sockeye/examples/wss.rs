//! Echo over TLS, both ends. Make a certificate, then run each in a terminal of its own:
//!
//! ```text
//! openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout key.pem \
//!     -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost \
//!     -addext basicConstraints=critical,CA:FALSE
//! cargo run -p sockeye --example wss -- serve cert.pem key.pem
//! cargo run -p sockeye --example wss -- connect wss://localhost:9443 cert.pem
//! ```
#![expect(clippy::print_stdout, reason = "what it prints is what it is run for")]

use sockeye::tls::{ServerTls, Tls};
use sockeye::{Client, CloseCode, Error, Result, Server};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", certificate, key] => serve(certificate, key).await,
        ["connect", url, roots] => connect(url, roots).await,
        _ => Err(Error::other("usage: wss serve CERTIFICATE KEY | connect URL ROOTS")),
    }
}

async fn serve(certificate: &str, key: &str) -> Result<()> {
    Server::bind("localhost:9443")
        .tls(ServerTls::from_pem_files(certificate, key)?)
        .route("/", |mut ws, _request| async move {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok(())
        })
        .serve()
        .await
}

async fn connect(url: &str, roots: &str) -> Result<()> {
    let client = Client::builder().tls(Tls::with_roots(roots)?).build();
    let mut ws = client.request(url).await?;
    ws.send("hello, in secret").await?;
    println!("{:?}", ws.recv().await?);
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(())
}
