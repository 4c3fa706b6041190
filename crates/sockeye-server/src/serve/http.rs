//! HTTP/1.1 beside WebSocket, on the same connections.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode, Version};
use http_body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye::{AnyIo, HttpConnection, Upgrades};

use super::stream::{Framing, Rest, Writing};
use crate::http::{ClientAddr, Endless};

/// Serves a connection, upgrades and streams included, until it ends or the server stops.
pub(crate) async fn serve(connection: HttpConnection, router: Router) {
    let upgrades = connection.upgrades.clone();
    let stream = Stream::default();
    // In a box, which is gone when a stream is left.
    let Some(io) = Box::pin(serve_requests(connection, router, stream.clone())).await else {
        return;
    };
    if let Some(rest) = stream.take() {
        // In a task of its own, since this one keeps the room that requests have taken.
        tokio::spawn(Writing::new(io, rest, upgrades.into_place()));
    }
}

/// Answers requests; returns the connection once a stream is left of it.
async fn serve_requests(
    connection: HttpConnection,
    router: Router,
    stream: Stream,
) -> Option<AnyIo> {
    let HttpConnection { io, upgrades, .. } = connection;
    let (answering, streaming) = (upgrades.clone(), stream.clone());
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let client = answering.client_addr(request.headers());
        request.extensions_mut().insert(ClientAddr(client.ip()));
        let (router, upgrades, stream) = (router.clone(), answering.clone(), streaming.clone());
        async move { answer(request, router, upgrades, stream).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_headers(100).max_buf_size(BUFFER);
    let mut serving = Box::pin(http.serve_connection(TokioIo::new(io), service).with_upgrades());
    let mut stopping = pin!(upgrades.stopping());
    let mut is_stopping = false;
    let is_stream = poll_fn(|context| {
        if !is_stopping && stopping.as_mut().poll(context).is_ready() {
            is_stopping = true;
            serving.as_mut().graceful_shutdown();
        }
        // An error here is the client's: it left, or sent what is no HTTP.
        if serving.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        // Its head was asked for in this very task, and written once all is flushed.
        if stream.is_some() && upgrades.is_flushed() { Poll::Ready(true) } else { Poll::Pending }
    });
    if !is_stream.await {
        return None;
    }
    let (_, io) = Pin::into_inner(serving).into_parts()?.io.into_inner().into_parts();
    Some(io)
}

/// Where the body of a stream waits while its head is written.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Option<Rest>>>);

impl Stream {
    /// Takes the body out of a response that is a stream.
    fn put(&self, version: Version, mut response: Response) -> Response {
        if response.extensions_mut().remove::<Endless>().is_none() {
            return response;
        }
        let (mut head, body) = response.into_parts();
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        *self.lock() = Some(Rest { body, framing: Framing::of(version) });
        Response::from_parts(head, Body::new(Elsewhere))
    }

    fn is_some(&self) -> bool {
        self.lock().is_some()
    }

    fn take(&self) -> Option<Rest> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is written by somebody else.
struct Elsewhere;

impl http_body::Body for Elsewhere {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// What is buffered of a connection either way, in bytes: four times the longest head.
const BUFFER: usize = 64 << 10;

/// Answers one request: an upgrade by the server's routes, anything else by the router.
async fn answer(
    mut request: Request<hyper::body::Incoming>,
    mut router: Router,
    upgrades: Upgrades,
    stream: Stream,
) -> Result<Response, Infallible> {
    if request.headers().contains_key("upgrade") {
        return Ok(upgrades.upgrade(&mut request).await.map(Body::from));
    }
    let version = request.version();
    let served = tower_service::Service::call(&mut router, request.map(Body::new)).await;
    Ok(stream.put(version, served.into_response()))
}

/// Answers a request for a WebSocket's path that does not ask for one.
pub(crate) async fn upgrade_required() -> impl IntoResponse {
    let headers =
        [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")];
    let text = "This is a WebSocket: connect to it with ws://.\n";
    (StatusCode::UPGRADE_REQUIRED, headers, text)
}
