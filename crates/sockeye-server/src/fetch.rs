//! Asks other servers: one request, one answer, nothing followed and nothing unbounded.
//!
//! Owns URLs that may be asked and what comes back of it. No redirects, no cookies, no proxies, no
//! connection is kept: keys are fetched rarely, and a webhook that is asked often stands close by.

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod endpoint;
mod error;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

pub use endpoint::{Endpoint, EndpointError};
pub use error::FetchError;

/// Sends requests. A clone is a pointer.
#[derive(Clone)]
pub struct Fetcher {
    tls: TlsConnector,
}

/// What one exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the look-up of the host's name to the last byte of the answer.
    pub timeout: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}

impl Fetcher {
    /// Makes one that trusts what the operating system does.
    ///
    /// # Errors
    /// The system's certificates cannot be had.
    pub fn new() -> Result<Self, FetchError> {
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|_| FetchError::Tls)?;
        Ok(Self::with_tls(config.with_no_client_auth()))
    }

    /// Makes one that checks servers as a configuration says.
    pub fn with_tls(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: Arc::new(config).into() }
    }

    /// Gets a document.
    ///
    /// # Errors
    /// It can't be had whole within the bounds, or the answer is not a 200.
    pub async fn get(&self, from: &Endpoint, bounds: Bounds) -> Result<Bytes, FetchError> {
        self.ask(from, bounds, (Method::GET, HeaderMap::new(), Bytes::new())).await
    }

    /// Posts JSON, with further headers, and returns the answer.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn post(
        &self,
        to: &Endpoint,
        bounds: Bounds,
        mut headers: HeaderMap,
        json: Bytes,
    ) -> Result<Bytes, FetchError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.ask(to, bounds, (Method::POST, headers, json)).await
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        bounds: Bounds,
        (method, mut headers, body): (Method, HeaderMap, Bytes),
    ) -> Result<Bytes, FetchError> {
        headers.insert(HOST, endpoint.authority());
        headers.insert(USER_AGENT, HeaderValue::from_static("sockeye"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = endpoint.target();
        *request.headers_mut() = headers;
        let exchange = async {
            let tcp = connect(endpoint).await?;
            match endpoint.server_name() {
                None => exchange(tcp, request, bounds.body).await,
                Some(name) => {
                    let tls = self.tls.connect(name, tcp).await.map_err(|_| FetchError::Tls)?;
                    exchange(tls, request, bounds.body).await
                }
            }
        };
        tokio::time::timeout(bounds.timeout, exchange).await.unwrap_or(Err(FetchError::Timeout))
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

/// Connects to the first address of the endpoint that answers.
async fn connect(endpoint: &Endpoint) -> Result<TcpStream, FetchError> {
    let addresses = tokio::net::lookup_host(endpoint.host_and_port()).await;
    let addresses = addresses.map_err(|_| FetchError::Resolve)?;
    // What a resolver says of `localhost` must not send a request in the clear elsewhere.
    let allowed: Vec<SocketAddr> =
        addresses.filter(|address| endpoint.may_be_at(address.ip())).collect();
    let mut last = FetchError::Resolve;
    for address in allowed {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = FetchError::Connect(error.kind()),
        }
    }
    Err(last)
}

async fn exchange<I>(io: I, request: Request<Full<Bytes>>, max: usize) -> Result<Bytes, FetchError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let handshake = builder.handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(|_| FetchError::Protocol)?;
    // Aborted with this future: nothing of an exchange outlives its bounds.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| FetchError::hyper(&error))?;
    match response.status() {
        StatusCode::OK => read(response, max).await,
        status if status.is_redirection() => Err(FetchError::Redirect(status.as_u16())),
        status => Err(FetchError::Status(status.as_u16())),
    }
}

async fn read(response: Response<Incoming>, max: usize) -> Result<Bytes, FetchError> {
    let mut body = response.into_body();
    // What is announced as too long is not waited for.
    if body.size_hint().lower() > u64::try_from(max).unwrap_or(u64::MAX) {
        return Err(FetchError::Long { max });
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::hyper(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - whole.len() {
            return Err(FetchError::Long { max });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The most bytes that are buffered of an answer's head.
const HEAD_BYTES: usize = 64 * 1024;

/// The most headers of an answer.
const HEADERS: usize = 100;

#[cfg(test)]
pub(crate) mod tests;
