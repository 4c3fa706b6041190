//! From the configuration to listeners.

use std::sync::Arc;

use axum::Router;
use sockeye::{DeflateConfig, ForwardedHeader, Listening, Origins, Server};

use super::sockets::Sockets;
use super::{ServeError, http};
use crate::app::App;
use crate::config::Config;
use crate::plane::Asked;
use crate::tls::{CertificateError, Certificates, Files};
use crate::{door, pages};

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// An echo on every path.
    Echo,
    /// Topics, and the pages to try them.
    Topics,
}

/// Listens on all addresses; connections wait until they are accepted.
///
/// # Errors
/// An address can't be bound, or a socket not be used.
pub(super) async fn listen(
    app: &Arc<App>,
    config: &Config,
    site: Site,
    sockets: &mut Sockets,
    certificates: Option<&Certificates>,
) -> Result<Vec<Listening>, ServeError> {
    let mut listening = Vec::new();
    for address in &config.listen {
        let server = sockets.server(address)?;
        let server = match site {
            Site::Echo => echo(server, app),
            Site::Topics => door::open(server, app),
        };
        let router = router(app, site);
        let server = server.http(move |connection| http::serve(connection, router.clone()));
        let tls = certificates.map(Certificates::server_tls).into_iter();
        listening.push(tls.fold(set_up(server, config), Server::tls).listen().await?);
    }
    Ok(listening)
}

/// Reads the certificate, if the server is to have one.
///
/// # Errors
/// It can't be used.
pub(super) fn certificates(config: &Config) -> Result<Option<Certificates>, CertificateError> {
    Files::of(&config.tls).map(Certificates::load).transpose()
}

/// Returns the scheme of the URLs.
pub(super) fn scheme(config: &Config) -> &'static str {
    if config.tls.cert.is_some() { "https" } else { "http" }
}

fn echo(server: Server, app: &Arc<App>) -> Server {
    let paths = ["/", "/{*path}"].into_iter();
    paths.fold(server, |server, path| {
        let app = app.clone();
        server.hand_over(path, move |whole| app.plane.take(whole, Asked::Echo, None))
    })
}

/// Returns the routes of all that is no WebSocket.
fn router(app: &Arc<App>, site: Site) -> Router {
    match site {
        Site::Echo => Router::new().fallback(http::upgrade_required),
        Site::Topics => pages::router()
            .merge(crate::http::router(app.topics()))
            .merge(crate::admin::health(app.clone())),
    }
}

/// Sets what the configuration says of connections.
fn set_up(server: Server, config: &Config) -> Server {
    let mut server = server
        // Whose pages may connect is the policy's to say, which may change.
        .origins(Origins::Any)
        .config(protocol(config))
        .max_connections(config.limits.connections);
    if let Some(most) = config.limits.pending_per_ip {
        server = server.max_pending_handshakes_per_ip(most);
    }
    if !config.trusted_proxies.is_empty() {
        let networks = config.trusted_proxies.iter().copied();
        server = server.trusted_proxies(ForwardedHeader::XForwardedFor, networks);
    }
    if config.proxy_protocol { server.proxy_protocol() } else { server }
}

/// Returns the limits and times of a WebSocket.
fn protocol(config: &Config) -> sockeye::Config {
    let mut protocol = sockeye::Config::server();
    let limits = &mut protocol.limits;
    limits.message = config.max_message;
    // One message must find room: reading stops above the high-water mark, and an echo may be on its
    // way then.
    let room = limits.queue_high.saturating_add(limits.message);
    limits.queue = config.limits.queue.max(room);
    protocol.keepalive = protocol.keepalive.map(|mut keepalive| {
        keepalive.interval = config.time.ping;
        keepalive.timeout = config.time.pong;
        keepalive
    });
    protocol.deflate = config.deflate.then(DeflateConfig::default);
    protocol
}
