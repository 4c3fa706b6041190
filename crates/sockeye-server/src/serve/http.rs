//! HTTP/1.1 beside WebSocket, on the same connections.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye::{AnyIo, HttpConnection, Upgrades};

use super::stream::{Rest, Slot, Writing};
use crate::http::ClientAddr;

/// Serves a connection, upgrades and streams included, until it ends or the server stops.
pub(crate) async fn serve(connection: HttpConnection, router: Router) {
    let upgrades = connection.upgrades.clone();
    // In a box, which is gone when a stream is left.
    let left = Box::pin(serve_requests(connection, router)).await;
    if let Some((io, rest)) = left {
        // In a task of its own, since this one keeps the room that requests have taken.
        tokio::spawn(Writing::new(io, rest, upgrades.into_place()));
    }
}

/// Answers requests; returns what is left to be written once an answer is a stream.
async fn serve_requests(connection: HttpConnection, router: Router) -> Option<(AnyIo, Rest)> {
    let HttpConnection { io, upgrades, .. } = connection;
    let stream = Slot::default();
    let (answering, streaming) = (upgrades.clone(), stream.clone());
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let client = answering.client_addr(request.headers());
        request.extensions_mut().insert(ClientAddr(client.ip()));
        let (router, upgrades, stream) = (router.clone(), answering.clone(), streaming.clone());
        async move { answer(request, router, upgrades, stream).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_headers(100).max_buf_size(BUFFER);
    let mut serving = http.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut stopping = pin!(upgrades.stopping());
    let mut is_stopping = false;
    let rest = poll_fn(|context| {
        if !is_stopping && stopping.as_mut().poll(context).is_ready() {
            is_stopping = true;
            Pin::new(&mut serving).graceful_shutdown();
        }
        // An error here is the client's: it left, or sent what is no HTTP.
        if Pin::new(&mut serving).poll(context).is_ready() {
            return Poll::Ready(None);
        }
        // The head of a stream was written in this very poll, and is gone once all is flushed.
        let is_written = stream.is_some() && upgrades.is_flushed();
        if is_written { Poll::Ready(stream.take()) } else { Poll::Pending }
    });
    let rest = rest.await?;
    let (_, io) = serving.into_parts()?.io.into_inner().into_parts();
    Some((io, rest))
}

/// What is buffered of a connection either way, in bytes: four times the longest head.
const BUFFER: usize = 64 << 10;

/// Answers one request: an upgrade by the server's routes, anything else by the router.
async fn answer(
    mut request: Request<hyper::body::Incoming>,
    mut router: Router,
    upgrades: Upgrades,
    stream: Slot,
) -> Result<Response, Infallible> {
    if upgrades.is_wanted_by(&request) {
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
