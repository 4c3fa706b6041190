//! The TLS handshake of a connection that was accepted, and what becomes of one that fails.
//!
//! Whose certificate is shown, and whose are taken, is the configuration's.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::acceptor::part;
use crate::io::AnyIo;
use crate::log;

/// Puts TLS over a connection; `None` where its client does not come in. To be bounded in time.
pub(super) async fn encrypt(
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    peer: SocketAddr,
) -> Option<AnyIo> {
    // Only a look: whatever it is, the TLS library answers it.
    let mut first = [0; 4];
    let count = tcp.peek(&mut first).await.ok()?;
    if first.get(..count).is_some_and(begins_http) {
        log::http_on_tls_port(peer);
    }
    match acceptor.accept(tcp).into_fallible().await {
        Ok(tls) => Some(TlsStream::from(tls).into()),
        Err((error, tcp)) => {
            log::tls_failed(&error, peer);
            // The alert that says why has been written.
            part(tcp, &[]).await;
            None
        }
    }
}

/// Whether bytes that are no TLS look like the method of an HTTP request.
fn begins_http(bytes: &[u8]) -> bool {
    let is_of_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
    bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.iter().all(is_of_method)
}
