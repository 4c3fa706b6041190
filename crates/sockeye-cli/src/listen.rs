//! What every serving command has in common: where it listens, its limits, HTTP beside WebSocket, and
//! stopping when told to.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{future, io};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use clap::builder::NonEmptyStringValueParser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit, setrlimit};
use sockeye::tls::ServerTls;
use sockeye::{
    Config, DeflateConfig, Drain, ForwardedHeader, HttpConnection, Network, Result, Server,
    Upgrades,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::data_plane::DataPlane;

use crate::log::LogArgs;

/// Flags of every serving command.
#[derive(Debug, clap::Args)]
pub(crate) struct ListenArgs {
    /// Address to listen on, as HOST:PORT; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "SOCKEYE_LISTEN")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    listen: String,

    /// Certificate chain for wss://, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "SOCKEYE_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "SOCKEYE_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Longest message taken, in bytes; a longer one closes its connection with 1009.
    #[arg(long, value_name = "BYTES", env = "SOCKEYE_MAX_MESSAGE")]
    max_message: Option<usize>,

    /// Compress with permessage-deflate where the client offers it.
    #[arg(long, env = "SOCKEYE_DEFLATE")]
    deflate: bool,

    /// How long connections get to close when the server is told to stop, in seconds; what is open
    /// then is dropped.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, env = "SOCKEYE_DRAIN")]
    drain: u32,

    /// Handshakes that may be pending at a time from one address; further ones get 429 [default: 64,
    /// and any number from this machine].
    #[arg(long, value_name = "COUNT", env = "SOCKEYE_MAX_PENDING_PER_IP")]
    max_pending_per_ip: Option<usize>,

    /// Reverse proxies whose X-Forwarded-For is believed: an address or a range such as 10.0.0.0/8.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', env = "SOCKEYE_TRUSTED_PROXY")]
    trusted_proxy: Vec<Network>,

    /// Expect a PROXY header, version 1 or 2, in front of every connection.
    #[arg(long, env = "SOCKEYE_PROXY_PROTOCOL")]
    proxy_protocol: bool,

    #[command(flatten)]
    log: LogArgs,
}

impl ListenArgs {
    /// Returns a server that is set up as the flags say, and otherwise as `config` does.
    fn server(&self, mut config: Config) -> Result<Server> {
        if let Some(longest) = self.max_message {
            config.limits.message = longest;
        }
        // An echo must find room: reading stops above the high-water mark, and one message may be on
        // its way then.
        let room = config.limits.queue_high.saturating_add(config.limits.message);
        config.limits.queue = config.limits.queue.max(room);
        if self.deflate {
            config.deflate = Some(DeflateConfig::default());
        }
        let mut server = Server::bind(self.listen.as_str()).config(config);
        if let Some(most) = self.max_pending_per_ip {
            server = server.max_pending_handshakes_per_ip(most);
        }
        if !self.trusted_proxy.is_empty() {
            let networks = self.trusted_proxy.iter().copied();
            server = server.trusted_proxies(ForwardedHeader::XForwardedFor, networks);
        }
        if self.proxy_protocol {
            server = server.proxy_protocol();
        }
        Ok(match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                server.tls(ServerTls::from_pem_files(certificate, key)?)
            }
            _ => server,
        })
    }

    fn drain(&self) -> Drain {
        let mut drain = Drain::default();
        drain.deadline = Duration::from_secs(self.drain.into());
        drain
    }

    fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }
}

/// Runs a server to which `routes` gives its WebSockets, on the data plane, with `router` for everything else, until
/// SIGTERM or SIGINT.
pub(crate) async fn run(
    args: &ListenArgs,
    config: Config,
    routes: impl FnOnce(Server, &Arc<DataPlane>) -> Server,
    router: Router,
) -> ExitCode {
    raise_descriptors();
    let plane = match DataPlane::start() {
        Ok(plane) => Arc::new(plane),
        Err(error) => return report(&format!("cannot start: {error}")),
    };
    let server = match args.server(config) {
        Ok(server) => routes(server, &plane),
        Err(error) => return report(&format!("{error}; check --tls-cert and --tls-key")),
    };
    let log = args.log.start();
    let served = serve(server, args, router, &plane).await;
    log.finish();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&format!("{error}; choose another address with --listen HOST:PORT")),
    }
}

/// Says on standard error why the command failed, in one line.
pub(crate) fn report(problem: &str) -> ExitCode {
    complain(&format!("sockeye: {problem}"));
    ExitCode::FAILURE
}

/// Says a line on standard error.
pub(crate) fn complain(line: &str) {
    // If that cannot be written either, the exit code still tells.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says a line on standard output.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody may be reading; the command's work does not depend on it.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Takes as many descriptors as the system grants: each connection is one, and the usual soft limit
/// of 1,024 is there for programs that use `select`.
pub(crate) fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused the server takes fewer connections, and is none the worse otherwise.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Serves; says where once it accepts.
async fn serve(server: Server, args: &ListenArgs, router: Router, plane: &DataPlane) -> Result<()> {
    let http = move |connection| serve_http(connection, router.clone());
    let mut listening = server.http(http).listen().await?;
    let stop = stop_signal()?;
    if let Some((listener, doorstep)) = listening.let_accept()? {
        plane.listen(listener, doorstep);
    }
    say(&format!("listening on {}://{}", args.scheme(), listening.local_addr()?));
    let drain = args.drain();
    let stop = async {
        stop.await;
        plane.unlisten();
        plane.close_all(drain.code);
    };
    listening.serve_until(stop, drain.clone()).await
}

/// Serves HTTP/1.1 on a connection, upgrades included, until it ends or the server stops.
async fn serve_http(connection: HttpConnection, router: Router) {
    let HttpConnection { io, upgrades, .. } = connection;
    let answering = upgrades.clone();
    let service = service_fn(move |request| {
        let (router, upgrades) = (router.clone(), answering.clone());
        async move { answer(request, router, upgrades).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_headers(100);
    let serving = http.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // An error here is the client's: it left, or sent what is no HTTP.
        _ = &mut serving => {}
        () = upgrades.stopping() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// Answers one request: an upgrade by the server's routes, anything else by the router.
async fn answer(
    mut request: Request<hyper::body::Incoming>,
    router: Router,
    upgrades: Upgrades,
) -> Result<Response, std::convert::Infallible> {
    if request.headers().contains_key("upgrade") {
        return Ok(upgrades.upgrade(&mut request).await.map(Body::from));
    }
    let mut router = router;
    let served = tower_service::Service::call(&mut router, request.map(Body::new)).await;
    Ok(served.into_response())
}

/// Answers a request for a WebSocket's path that does not ask for one.
pub(crate) async fn upgrade_required() -> impl IntoResponse {
    let headers =
        [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")];
    (
        axum::http::StatusCode::UPGRADE_REQUIRED,
        headers,
        "This is a WebSocket: connect to it with ws://.\n",
    )
}

/// Returns a future that is ready when the process is asked to stop.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        future::poll_fn(|cx| {
            if terminate.poll_recv(cx).is_ready() || interrupt.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
    })
}
