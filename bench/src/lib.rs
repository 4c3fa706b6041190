//! What the programs of the peers have in common: their address, their limit, their HTTP.
//!
//! The programs `echo-*` serve and the programs `autobahn-*` dial; each shows the peer's own way to do it
//! and says what it sets and why. `cargo xtask conformance` starts them, and so does [`compare`].
#![forbid(unsafe_code)]

pub mod compare;
pub mod flags;
pub mod load;

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, SEC_WEBSOCKET_VERSION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// The longest message of every peer: Autobahn's longest has 16 MiB.
pub const MAX_MESSAGE: usize = 64 << 20;

/// What a server answers to a request.
pub type Answer = Response<Empty<Bytes>>;

/// How a program sends the answers to messages that came together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Together, as far as the peer can.
    Feed,
    /// Each at once.
    Send,
}

/// Returns the form that the command line asks for: `feed` behind the address, or `send`, which goes without saying.
pub fn form() -> Form {
    match std::env::args().nth(2).as_deref() {
        Some("feed") => Form::Feed,
        None | Some("send") => Form::Send,
        Some(other) => panic!("{other} is neither feed nor send"),
    }
}

/// Echoes in batches: takes the messages that are there already, at most [`BATCH`], feeds the answers and flushes once.
/// For peers that leave batching to the program; `answer` is told each thing that came.
pub async fn echo_in_batches<S, Answer>(
    ws: &mut S,
    answer: impl Fn(S::Item) -> Result<Option<Answer>, S::Error>,
) -> Result<(), S::Error>
where
    S: Stream + Sink<Answer> + Unpin,
{
    let mut came = Vec::new();
    while let Some(first) = ws.next().await {
        came.push(first);
        // All are taken before the first is answered: some flush whatever is fed when they read.
        while came.len() < BATCH
            && let Some(Some(next)) = ws.next().now_or_never()
        {
            came.push(next);
        }
        for one in came.drain(..) {
            if let Some(answer) = answer(one)? {
                ws.feed(answer).await?;
            }
        }
        ws.flush().await?;
    }
    Ok(())
}

/// Listens on the address of the command line, tells so, and runs a task for each connection.
pub async fn serve<F, Served>(connection: F) -> std::io::Result<()>
where
    F: Fn(TcpStream) -> Served,
    Served: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(argument("ADDR")).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
    }
}

/// Serves HTTP on a connection with hyper, for the peers that leave the handshake's head to it. A request that the peer
/// refuses is answered with 400 and the version that is spoken, as an application would; what it does not check, nobody does.
pub async fn serve_http<E: Debug>(
    stream: TcpStream,
    upgrade: impl Fn(Request<Incoming>) -> Result<Answer, E>,
) {
    let answer = |request| {
        let response = upgrade(request).unwrap_or_else(|_| bad_request());
        async { Ok::<_, Infallible>(response) }
    };
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    // A peer that leaves in the middle of a request is no fault of the server.
    let _ = connection.with_upgrades().await;
}

/// Returns the first argument of the command line.
pub fn argument(name: &str) -> String {
    std::env::args().nth(1).unwrap_or_else(|| panic!("the argument {name} is missing"))
}

/// Plays the part of an Autobahn client: asks how many cases there are, plays each, and asks for the report.
///
/// A case that ends with an error mostly had to: what the peer did on the wire is judged, not what it returns.
pub async fn drive<E: Debug>(
    agent: &str,
    count: impl AsyncFn(String) -> Result<usize, E>,
    play: impl AsyncFn(String) -> Result<(), E>,
    report: impl AsyncFn(String) -> Result<(), E>,
) -> Result<(), E> {
    let url = argument("URL");
    for case in 1..=count(format!("{url}/getCaseCount")).await? {
        let _ = play(format!("{url}/runCase?case={case}&agent={agent}")).await;
    }
    report(format!("{url}/updateReports?agent={agent}")).await
}

fn bad_request() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

/// How many answers leave together at most: as many as in yawc's own comparison.
const BATCH: usize = 32;
