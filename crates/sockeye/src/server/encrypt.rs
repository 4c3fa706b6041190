//! The TLS handshake of a connection that was accepted, and what becomes of one that fails.
//!
//! Whose certificate is shown, and whose are taken, is the configuration's.

use std::io;
use std::net::SocketAddr;

use rustls::InvalidMessage::HandshakePayloadTooLarge;
use rustls::PeerMisbehaved;
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
            part(tcp, last_words(&error)).await;
            None
        }
    }
}

/// Returns the alert that is still to be written. The TLS library writes one for whatever it finds
/// wrong, but for messages that are too long and for floods.
fn last_words(error: &io::Error) -> &'static [u8] {
    use PeerMisbehaved::{TooManyEmptyFragments, TooManyWarningAlertsReceived};
    use rustls::Error::{InvalidMessage, PeerMisbehaved as Misbehaved};
    let is_told = match error.get_ref().map(|inner| inner.downcast_ref()) {
        Some(Some(
            InvalidMessage(HandshakePayloadTooLarge)
            | Misbehaved(TooManyEmptyFragments | TooManyWarningAlertsReceived),
        )) => false,
        // Its buffer is full.
        Some(None) => error.kind() != io::ErrorKind::InvalidData,
        Some(Some(_)) | None => true,
    };
    if is_told { &[] } else { &DECODE_ERROR }
}

/// Whether bytes that are no TLS look like the method of an HTTP request.
fn begins_http(bytes: &[u8]) -> bool {
    let is_of_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
    bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.iter().all(is_of_method)
}

/// The record of a fatal alert (RFC 8446 section 6), which is not encrypted amid a hello.
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];
