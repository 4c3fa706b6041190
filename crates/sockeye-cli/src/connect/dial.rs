//! From the flags to an open connection.

use sockeye::{Client, Config, DeflateConfig, Error, Keepalive, WebSocket};
use tokio::time::timeout;

use super::args::Args;
use crate::client::exit::{Exit, Failure};
use crate::client::output::complain;

/// Opens the connection.
pub(super) async fn dial(args: &Args) -> Result<WebSocket, Failure> {
    let client = Client::builder()
        .config(config(args))
        // The whole is bounded below; this keeps the library's own bound out of the way.
        .connect_timeout(args.connect_timeout.saturating_mul(2))
        .tls(args.tls.tls()?)
        .build();
    let mut request = client.request(&args.full_url());
    for header in args.read_headers()? {
        request = request.header(&header.name, &header.value);
    }
    if let Some(token) = args.read_bearer()? {
        request = request.bearer(&token);
    }
    if let Some(origin) = &args.origin {
        request = request.origin(origin);
    }
    if !args.subprotocols.is_empty() {
        request = request.subprotocols(&args.subprotocols);
    }
    match timeout(args.connect_timeout, request.with_response()).await {
        Ok(Ok((ws, response))) => {
            args.tls.warn_of(&args.full_url());
            if args.verbose {
                show_head(
                    &format!("{:?} {}", response.version(), response.status()),
                    response.headers(),
                );
            }
            Ok(ws)
        }
        Ok(Err(error)) => {
            if args.verbose {
                show_answer(&error);
            }
            Err(Failure::opening(&error))
        }
        Err(_) => {
            let seconds = args.connect_timeout.as_secs_f64();
            let text = format!("not connected after {seconds} s; raise --connect-timeout to wait");
            Err(Failure::new(Exit::Timeout, text))
        }
    }
}

/// Shows what a server answered instead of opening a WebSocket.
fn show_answer(error: &Error) {
    let Some(response) = error.response() else { return };
    show_head(&format!("{:?} {}", response.version(), response.status()), response.headers());
    for line in String::from_utf8_lossy(response.body()).lines() {
        complain(&format!("< {line}"));
    }
}

fn show_head(status: &str, headers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>) {
    complain(&format!("< {status}"));
    for (name, value) in headers {
        let name = name.as_ref();
        let secret = name.eq_ignore_ascii_case("set-cookie");
        let value = if secret { "…".into() } else { String::from_utf8_lossy(value.as_ref()) };
        complain(&format!("< {name}: {value}"));
    }
}

fn config(args: &Args) -> Config {
    let mut config = Config::client();
    config.limits.message = args.max_message;
    config.timeouts.handshake = args.connect_timeout.saturating_mul(2);
    config.keepalive =
        (!args.ping.is_zero()).then(|| Keepalive::new(args.ping, Keepalive::default().timeout));
    config.deflate = args.deflate.then(DeflateConfig::default);
    config
}
