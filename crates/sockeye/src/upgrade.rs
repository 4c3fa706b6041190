//! Upgrades of requests that a hyper server has read.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version as HttpVersion};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sockeye_proto::handshake::{Accepted, Rejection, RequestHead, Version, accept as judge};

use crate::error::{Error, ErrorKind, Result};
use crate::io::{AnyIo, Rewound};
use crate::log;
use crate::server::Acceptor;
use crate::websocket::WebSocket;

/// Accepts a WebSocket from within any hyper service: returns the response to send, and the
/// connection that follows it, to be awaited in a task of its own.
///
/// # Errors
/// The response that refuses the request.
#[expect(clippy::result_large_err, reason = "the error is the response, as hyper takes it")]
pub fn upgrade<B>(
    request: &mut Request<B>,
    acceptor: &Acceptor,
) -> Result<(Response<Bytes>, Upgrade), Response<Bytes>> {
    let accepted = head_of(request).and_then(|head| judge(&head, acceptor.policy()));
    let refuse = |rejection: Rejection| {
        log::rejected(&rejection, None, &[]);
        rejected_response(&rejection)
    };
    let accepted = accepted.map_err(refuse)?;
    let response = accepted_response(&accepted).map_err(|_| refuse(unwritable()))?;
    let upgrading = hyper::upgrade::on(request);
    Ok((response, Upgrade { upgrading, accepted, acceptor: acceptor.clone() }))
}

/// A connection that opens once hyper has sent the 101. Made by [`upgrade`].
#[derive(Debug)]
#[must_use = "the connection opens when it is awaited"]
pub struct Upgrade {
    upgrading: OnUpgrade,
    accepted: Accepted,
    acceptor: Acceptor,
}

impl Future for Upgrade {
    type Output = Result<WebSocket>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.upgrading).poll(cx)).map_err(|error| {
            Error::new(ErrorKind::Handshake, "hyper did not upgrade").with_source(error)
        })?;
        let (io, received) = transport(upgraded);
        Poll::Ready(Ok(self.acceptor.start(io, &self.accepted, &received, None)))
    }
}

/// Takes the transport out of hyper's hands, with what was read from it behind the request. One that
/// came from a [`Server`](crate::Server) is itself again; another goes into a box.
pub(crate) fn transport(upgraded: Upgraded) -> (AnyIo, Bytes) {
    match upgraded.downcast::<TokioIo<Rewound<AnyIo>>>() {
        Ok(parts) => {
            let (unread, io) = parts.io.into_inner().into_parts();
            let received = [parts.read_buf, unread].concat();
            (io, received.into())
        }
        Err(upgraded) => (AnyIo::new(TokioIo::new(upgraded)), Bytes::new()),
    }
}

/// Puts a request of hyper's into the core's form.
pub(crate) fn head_of<B>(request: &Request<B>) -> Result<RequestHead<'_>, Rejection> {
    let version = match request.version() {
        HttpVersion::HTTP_11 => Version::Http11,
        HttpVersion::HTTP_10 => Version::Http10,
        _ => return Err(Rejection::new(505, "A WebSocket opens over HTTP/1.1.\n")),
    };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Ok(RequestHead::from_parts(request.method().as_str(), target, version, headers))
}

/// Makes hyper's form of a 101.
pub(crate) fn accepted_response(accepted: &Accepted) -> Result<Response<Bytes>, http::Error> {
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = accepted.headers();
    headers
        .fold(response, |response, (name, value)| response.header(name, value))
        .body(Bytes::new())
}

/// Returns the refusal of a handshake whose answer hyper does not take.
pub(crate) fn unwritable() -> Rejection {
    Rejection::new(500, "The answer cannot be written.\n").with_rule("answer")
}

/// Makes hyper's form of a refusal.
pub(crate) fn rejected_response(rejection: &Rejection) -> Response<Bytes> {
    let response = Response::builder().status(rejection.status());
    let headers = rejection.headers();
    let response = headers.fold(response, |response, (name, value)| response.header(name, value));
    let body = Bytes::copy_from_slice(rejection.content());
    response.body(body).unwrap_or_else(|_| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
