//! A server that answers as it is told, and what the fetcher makes of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;

/// What a [`Server`] does with a request.
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Now(Vec<u8>),
    /// Sends these bytes once it is allowed to.
    When(Arc<Semaphore>, Vec<u8>),
    /// Reads and says nothing.
    Never,
}

/// A server over plain TCP on the loop-back interface. It ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Starts one that gives each request, head and body, to a function.
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, reply) = (asked.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (count, reply) = (count.clone(), reply.clone());
                tokio::spawn(async move { answer(stream, &count, &*reply).await });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("http://127.0.0.1:{}/ask?x=1", self.port)).unwrap()
    }

    /// Returns how many requests have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(
    mut stream: TcpStream,
    count: &AtomicUsize,
    reply: &(dyn Fn(&str) -> Reply + Sync),
) {
    let Some(request) = read_request(&mut stream).await else { return };
    count.fetch_add(1, Ordering::SeqCst);
    let bytes = match reply(&request) {
        Reply::Now(bytes) => bytes,
        Reply::When(allowed, bytes) => {
            allowed.acquire().await.unwrap().forget();
            bytes
        }
        Reply::Never => std::future::pending().await,
    };
    // Whoever has read enough goes away, which is part of some tests.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(request);
        }
    }
}

/// Makes a whole response.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Makes a 200 with JSON.
pub(crate) fn ok(body: &str) -> Reply {
    Reply::Now(response("200 OK", "", body))
}

/// Returns a port that nobody listens on.
pub(crate) async fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Makes a fetcher that trusts no certificate, without asking the system for any.
pub(crate) fn fetcher() -> Fetcher {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty());
    Fetcher::with_tls(config.with_no_client_auth())
}

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(20), body: 1000 };

async fn get(reply: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Result<Bytes, FetchError> {
    let server = Server::start(move |_| Reply::Now(reply())).await;
    fetcher().get(&server.endpoint(), BOUNDS).await
}

#[tokio::test]
async fn document_is_fetched_whole_by_length_chunks_and_end() {
    assert_eq!(get(|| response("200 OK", "", "{}")).await.unwrap(), "{}");
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    assert_eq!(get(|| chunked.into()).await.unwrap(), "{}");
    assert_eq!(get(|| "HTTP/1.1 200 OK\r\n\r\n{}".into()).await.unwrap(), "{}");
}

#[tokio::test]
async fn request_names_host_path_and_query() {
    let server = Server::start(ok).await;
    let (endpoint, json) = (server.endpoint(), Bytes::from_static(b"{\"a\":1}"));
    let echoed = fetcher().post(&endpoint, BOUNDS, HeaderMap::new(), json).await.unwrap();
    let echoed = std::str::from_utf8(&echoed).unwrap();
    assert!(echoed.starts_with("POST /ask?x=1 HTTP/1.1\r\n"), "{echoed}");
    assert!(echoed.contains(&format!("\r\nhost: 127.0.0.1:{}\r\n", server.port)), "{echoed}");
    assert!(echoed.contains("\r\ncontent-type: application/json\r\n"), "{echoed}");
    assert!(echoed.ends_with("\r\n\r\n{\"a\":1}"), "{echoed}");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Server::start(|_| ok("{}")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", elsewhere.port);
    let redirected = get(move || response("302 Found", &location, "")).await;
    assert_eq!(redirected, Err(FetchError::Redirect(302)));
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn status_other_than_200_is_an_error() {
    for (status, code) in [("500 Oh", 500), ("204 No", 204), ("206 Part", 206), ("404 No", 404)] {
        let answered = get(move || response(status, "", "{}")).await;
        assert_eq!(answered, Err(FetchError::Status(code)));
    }
}

#[tokio::test]
async fn answer_beyond_the_bound_is_refused_announced_or_not() {
    let long = Err(FetchError::Long { max: 1000 });
    assert_eq!(get(|| response("200 OK", "", &"x".repeat(1000))).await.unwrap().len(), 1000);
    assert_eq!(get(|| response("200 OK", "", &"x".repeat(1001))).await, long);
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(10_000_000, b'x');
    assert_eq!(get(move || endless.clone()).await, long);
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(get(move || head.clone().into()).await, Err(FetchError::Protocol));
}

#[tokio::test]
async fn answer_that_breaks_off_or_is_not_http_is_an_error() {
    for bytes in
        ["", "HTTP/1.1 200", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]
    {
        assert_eq!(get(|| bytes.into()).await, Err(FetchError::Protocol), "{bytes}");
    }
}

#[tokio::test]
async fn silence_is_an_error_after_the_time_out() {
    let server = Server::start(|_| Reply::Never).await;
    let bounds = Bounds { timeout: Duration::from_millis(50), ..BOUNDS };
    let answered = fetcher().get(&server.endpoint(), bounds).await;
    assert_eq!(answered, Err(FetchError::Timeout));
}

#[tokio::test]
async fn refused_connection_is_an_error() {
    let url = format!("http://127.0.0.1:{}/", closed_port().await);
    let answered = fetcher().get(&Endpoint::parse(&url).unwrap(), BOUNDS).await;
    assert_eq!(answered, Err(FetchError::Connect(std::io::ErrorKind::ConnectionRefused)));
}

#[tokio::test]
async fn server_whose_certificate_nobody_vouches_for_is_not_asked() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let chain = vec![certified.cert.der().clone()];
    let provider = Arc::new(ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let serve = async {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            assert!(tls.read(&mut request).await.unwrap() > 0);
            tls.write_all(&response("200 OK", "", "{}")).await.unwrap();
            tls.shutdown().await.unwrap();
        }
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let trusting = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let trusting = Fetcher::with_tls(trusting.with_no_client_auth());
    let endpoint = Endpoint::parse(&url).unwrap();
    let ask = async {
        assert_eq!(fetcher().get(&endpoint, BOUNDS).await, Err(FetchError::Tls));
        assert_eq!(trusting.get(&endpoint, BOUNDS).await.unwrap(), "{}");
    };
    futures_util::future::join(serve, ask).await;
}
