//! HTTP/1.1 beside WebSocket, on the same connections.

use std::convert::Infallible;
use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye::{HttpConnection, Upgrades};

use crate::http::ClientAddr;

/// Serves a connection, upgrades included, until it ends or the server stops.
pub(crate) async fn serve(connection: HttpConnection, router: Router) {
    let HttpConnection { io, upgrades, .. } = connection;
    let answering = upgrades.clone();
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let client = answering.client_addr(request.headers());
        request.extensions_mut().insert(ClientAddr(client.ip()));
        let (router, upgrades) = (router.clone(), answering.clone());
        async move { answer(request, router, upgrades).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_headers(100).max_buf_size(BUFFER);
    let mut serving = pin!(http.serve_connection(TokioIo::new(io), service).with_upgrades());
    tokio::select! {
        // An error here is the client's: it left, or sent what is no HTTP.
        _ = &mut serving => {}
        () = upgrades.stopping() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// What is buffered of a connection either way, in bytes: four times the longest head.
const BUFFER: usize = 64 << 10;

/// Answers one request: an upgrade by the server's routes, anything else by the router.
async fn answer(
    mut request: Request<hyper::body::Incoming>,
    mut router: Router,
    upgrades: Upgrades,
) -> Result<Response, Infallible> {
    if request.headers().contains_key("upgrade") {
        return Ok(upgrades.upgrade(&mut request).await.map(Body::from));
    }
    let served = tower_service::Service::call(&mut router, request.map(Body::new)).await;
    Ok(served.into_response())
}

/// Answers a request for a WebSocket's path that does not ask for one.
pub(crate) async fn upgrade_required() -> impl IntoResponse {
    let headers =
        [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")];
    let text = "This is a WebSocket: connect to it with ws://.\n";
    (StatusCode::UPGRADE_REQUIRED, headers, text)
}
