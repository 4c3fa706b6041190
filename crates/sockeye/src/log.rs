//! The events that this crate logs, one function each: names, levels and fields are decided here and
//! nowhere else.
//!
//! Without the feature `tracing` every function is empty, so that callers need no `cfg`. Nothing here
//! decides what happens on the wire, and nothing but the bounds on repeated events is kept.
#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "events are compiled to nothing")
)]

#[cfg(feature = "tracing")]
mod escape;
#[cfg(all(feature = "tracing", feature = "server"))]
mod limit;

#[cfg(feature = "server")]
use std::io;
use std::net::SocketAddr;

#[cfg(feature = "server")]
use sockeye_proto::handshake::Rejection;
use sockeye_proto::{CloseInfo, Error};
#[cfg(feature = "tracing")]
use tracing::field::display;
#[cfg(all(feature = "tracing", feature = "rustls"))]
use tracing::warn;
#[cfg(feature = "tracing")]
use tracing::{debug, error, info};
#[cfg(all(feature = "tracing", feature = "server"))]
use {
    escape::Request,
    limit::{PerReason, Rarely},
    std::time::Instant,
    tracing::{Level, enabled},
};

#[cfg(feature = "tracing")]
use escape::escape;

/// Where this crate can see that code of the application panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// In the hook that judges requests.
    #[cfg(feature = "server")]
    Handshake,
    /// In the handler of a connection.
    Handler,
}

/// Tells that a connection is open.
pub(crate) fn opened(peer: Option<SocketAddr>) {
    #[cfg(feature = "tracing")]
    debug!(peer = peer.map(display), "ws.opened");
}

/// Tells that a connection failed by what the peer did or did not do. To be called once for each.
pub(crate) fn failed(error: &Error, peer: Option<SocketAddr>) {
    #[cfg(feature = "tracing")]
    {
        use sockeye_proto::Timeout;
        let peer = peer.map(display);
        match error.close_code() {
            Some(code) => info!(code = code.get(), reason = %error, peer, "ws.failed"),
            None if *error == Error::Timeout(Timeout::Keepalive) => info!(peer, "ws.ping_timeout"),
            // The closing handshake came too late: that is told with the end.
            None => {}
        }
    }
}

/// Tells how a connection ended.
pub(crate) fn closed(info: Option<&CloseInfo>, peer: Option<SocketAddr>) {
    #[cfg(feature = "tracing")]
    {
        use sockeye_proto::{CloseCode, Side};
        let code = info.map_or(CloseCode::ABNORMAL, |info| info.code).get();
        let reason = info.map(|info| escape(info.reason.as_bytes()));
        let clean = info.is_some_and(|info| info.clean);
        let by = info.map(|info| match info.by {
            Side::Local => "local",
            Side::Remote => "remote",
            Side::Transport => "transport",
        });
        debug!(code, reason = reason.as_deref(), clean, by, peer = peer.map(display), "ws.closed");
    }
}

/// Tells that a request was refused; `received` is what came of it.
#[cfg(feature = "server")]
pub(crate) fn rejected(rejection: &Rejection, peer: Option<SocketAddr>, received: &[u8]) {
    #[cfg(feature = "tracing")]
    {
        static REASONS: PerReason = PerReason::new();
        if !enabled!(Level::INFO) {
            return;
        }
        let (status, reason) = (rejection.status(), rejection.rule());
        let Some(suppressed) = REASONS.admit(reason, Instant::now()) else { return };
        let suppressed = (suppressed > 0).then_some(suppressed);
        let peer = peer.map(display);
        let request = Request::find(received);
        let (path, origin) = (request.path.as_deref(), request.origin.as_deref());
        let user_agent = request.user_agent.as_deref();
        info!(status, reason, peer, path, origin, user_agent, suppressed, "handshake.rejected");
    }
}

/// Tells that a client spoke TLS where plain HTTP is expected.
#[cfg(feature = "server")]
pub(crate) fn tls_on_plain_port(peer: SocketAddr) {
    #[cfg(feature = "tracing")]
    {
        static PEERS: Rarely = Rarely::new();
        if enabled!(Level::INFO) && PEERS.admit(peer.ip(), Instant::now()) {
            info!(%peer, "tls_on_plain_port");
        }
    }
}

/// Tells that a client spoke plain HTTP where TLS is expected.
#[cfg(all(feature = "server", feature = "rustls"))]
pub(crate) fn http_on_tls_port(peer: SocketAddr) {
    #[cfg(feature = "tracing")]
    {
        static PEERS: Rarely = Rarely::new();
        if enabled!(Level::INFO) && PEERS.admit(peer.ip(), Instant::now()) {
            info!(%peer, "http_on_tls_port");
        }
    }
}

/// Tells that a TLS handshake failed. A client whose certificate is none of those that are wanted is
/// told of; all else is what scanners cause.
#[cfg(all(feature = "server", feature = "rustls"))]
pub(crate) fn tls_failed(error: &io::Error, peer: SocketAddr) {
    #[cfg(feature = "tracing")]
    {
        use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
        static PEERS: Rarely = Rarely::new();
        let fault = error.get_ref().and_then(|fault| fault.downcast_ref::<rustls::Error>());
        match fault {
            Some(InvalidCertificate(_) | NoCertificatesPresented) => {
                if enabled!(Level::INFO) && PEERS.admit(peer.ip(), Instant::now()) {
                    info!(%peer, %error, "tls.client_refused");
                }
            }
            _ => debug!(%peer, %error, "tls.handshake_failed"),
        }
    }
}

/// Tells that a client will trust any server.
#[cfg(feature = "rustls")]
pub(crate) fn certificates_not_verified() {
    #[cfg(feature = "tracing")]
    warn!("tls.verification_off");
}

/// Tells that a client trusts a server whose certificate it has not checked.
#[cfg(feature = "rustls")]
pub(crate) fn certificate_not_verified(server: &rustls::pki_types::ServerName<'_>) {
    #[cfg(feature = "tracing")]
    warn!(server = %server.to_str(), "tls.not_verified");
}

/// Tells that code of the application panicked and others are served on.
pub(crate) fn handler_panic(stage: Stage) {
    #[cfg(feature = "tracing")]
    {
        let stage = match stage {
            #[cfg(feature = "server")]
            Stage::Handshake => "handshake",
            Stage::Handler => "handler",
        };
        // The hook for panics ran on this thread, and may have told of it by the same id.
        error!(stage, thread = ?std::thread::current().id(), "handler.panic");
    }
}

/// Tells that no connection can be accepted for now, for want of descriptors most likely.
#[cfg(feature = "server")]
pub(crate) fn accept_error(error: &io::Error) {
    #[cfg(feature = "tracing")]
    error!(%error, "accept.error");
}
