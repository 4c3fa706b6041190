//! Upgrades of requests that a hyper server has read.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sockeye::{Acceptor, CloseCode, Config, Drain, HttpConnection, upgrade};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::{CLOSE, From, REQUEST, Raw, TEXT, echo, start, whole};

/// A body of one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.0.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

fn whole_body(response: Response<Bytes>) -> Response<Whole> {
    response.map(|bytes| Whole(Some(bytes)))
}

/// A hyper server of the application's own, whose one path is an echo.
async fn plain_hyper() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let service = service_fn(|mut request: Request<Incoming>| async move {
                if request.uri().path() == "/page" {
                    return Ok::<_, Infallible>(whole_body(Response::new("page".into())));
                }
                let response = match upgrade(&mut request, &Acceptor::new()) {
                    Ok((response, opening)) => {
                        tokio::spawn(async move {
                            let mut ws = opening.await.unwrap();
                            while let Ok(Some(message)) = ws.recv().await {
                                ws.send(message).await.unwrap();
                            }
                        });
                        response
                    }
                    Err(refusal) => refusal,
                };
                Ok(whole_body(response))
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(tcp), service).with_upgrades());
        }
    });
    address
}

/// Serves what is not a WebSocket, and hands later upgrades back.
pub(crate) async fn serve_http(connection: HttpConnection) {
    let upgrades = connection.upgrades;
    let service = service_fn(|mut request: Request<Incoming>| {
        let upgrades = upgrades.clone();
        async move {
            Ok::<_, Infallible>(if request.uri().path() == "/page" {
                whole_body(Response::new("page".into()))
            } else {
                whole_body(upgrades.upgrade(&mut request).await)
            })
        }
    });
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(connection.io), service).with_upgrades().await;
}

pub(crate) const PAGE: &[u8] = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n";

/// Gets a page and then a WebSocket over the same connection.
async fn page_then_upgrade(address: SocketAddr) -> Raw<TcpStream> {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    for _ in 0..2 {
        raw.write(PAGE).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(raw.take(4).await, b"page");
    }
    // The first frame comes in the same segment as the request.
    raw.write(&[REQUEST.as_bytes(), &whole(From::Client, TEXT, b"early")].concat()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw.frame().await.unwrap().payload, b"early");
    raw.send(TEXT, b"late").await;
    assert_eq!(raw.frame().await.unwrap().payload, b"late");
    raw
}

#[tokio::test]
async fn a_hyper_service_upgrades_a_connection_that_it_served_pages_on() {
    let mut raw = page_then_upgrade(plain_hyper().await).await;
    raw.send(CLOSE, &1000u16.to_be_bytes()).await;
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn a_hyper_service_refuses_what_is_no_handshake_and_ends_the_connection() {
    let address = plain_hyper().await;
    let cases = [
        (REQUEST.replace("GET", "POST"), 405),
        (REQUEST.replace("Upgrade: websocket\r\n", ""), 426),
        (REQUEST.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 7"), 426),
        (REQUEST.replace("Host: x\r\n", "Host: x\r\nOrigin: http://evil.example\r\n"), 403),
    ];
    for (request, status) in cases {
        let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
        raw.write(request.as_bytes()).await;
        let answer = String::from_utf8(raw.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_server_hands_pages_to_hyper_and_takes_the_upgrade_back() {
    let address = start(echo(Config::server()).http(serve_http)).await;
    let mut raw = page_then_upgrade(address).await;
    raw.send(CLOSE, &1000u16.to_be_bytes()).await;
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn an_upgrade_inside_hyper_is_refused_by_the_same_rules() {
    let server = echo(Config::server()).http(serve_http);
    let address =
        start(server.authorize(|_| async { Err(sockeye::Rejection::new(401, "Sign in.\n")) }))
            .await;
    for (request, status) in [
        (REQUEST.replace("GET / ", "GET /nowhere "), 404),
        (REQUEST.replace("Version: 13", "Version: 8"), 426),
        // What hyper's parser would let pass.
        (REQUEST.replace("GET / ", "GET /#part "), 400),
        (REQUEST.replacen("\r\nUpgrade", "\nUpgrade", 1), 400),
        (REQUEST.replace("Host: x\r\n", "Host: x\r\nContent-Length: 0\nA: b\r\n"), 400),
        (REQUEST.to_owned(), 401),
    ] {
        let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
        raw.write(PAGE).await;
        raw.head().await;
        raw.take(4).await;
        raw.write(request.as_bytes()).await;
        let answer = String::from_utf8(raw.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_that_came_together_with_the_request_before_it_is_accepted_too() {
    let address = start(echo(Config::server()).http(serve_http)).await;
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(&[PAGE, PAGE, REQUEST.as_bytes()].concat()).await;
    for _ in 0..2 {
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(raw.take(4).await, b"page");
    }
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    raw.send(TEXT, b"late").await;
    assert_eq!(raw.frame().await.unwrap().payload, b"late");
}

#[tokio::test]
async fn a_drain_waits_for_connections_that_hyper_upgraded() {
    let server = echo(Config::server()).http(serve_http).listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, Duration::from_secs(3600));
    let serving = tokio::spawn(server.serve_until(stopped, drain));
    let mut raw = page_then_upgrade(address).await;
    stop.send(()).unwrap();
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1001));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished());
    raw.send(CLOSE, &1001u16.to_be_bytes()).await;
    drop(raw);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_page_connection_is_dropped_at_the_deadline_of_a_drain() {
    let server = echo(Config::server()).http(serve_http).listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, Duration::from_millis(20));
    let serving = tokio::spawn(server.serve_until(stopped, drain));
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(PAGE).await;
    raw.head().await;
    raw.take(4).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(raw.io.read(&mut [0; 10]).await.unwrap_or(0), 0);
}
