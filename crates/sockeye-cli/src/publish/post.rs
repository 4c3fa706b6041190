//! One connection to the server's HTTP API, opened anew when it is gone, and what comes back over it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sockeye::tls::rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::args::{Args, Credential};
use super::messages::Payload;
use crate::client::endpoint::Endpoint;
use crate::client::exit::{Exit, Failure};
use crate::client::tls::TlsArgs;

/// Posts to one topic.
pub(super) struct Poster {
    endpoint: Endpoint,
    target: String,
    /// What all requests say.
    headers: HeaderMap,
    /// `None` where the URL is without TLS.
    tls: Option<TlsConnector>,
    flags: TlsArgs,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// What drives the connection; it ends with this.
    driver: JoinSet<hyper::Result<()>>,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Why no answer came, for people. Whether the server has the message is not known.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl Poster {
    /// Prepares what all requests have in common.
    ///
    /// # Errors
    /// A flag that says what no header can, or a file that cannot be read.
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let endpoint = args.server.endpoint()?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, header("the host", endpoint.url().authority())?);
        headers.insert(USER_AGENT, HeaderValue::from_static("sockeye"));
        match args.credential()? {
            Credential::Nobody => {}
            Credential::Key(key) => drop(headers.insert(API_KEY, secret("the API key", &key)?)),
            Credential::Token(token) => {
                let token = secret("the token", &format!("Bearer {token}"))?;
                headers.insert(AUTHORIZATION, token);
            }
        }
        if let Some(event) = &args.event {
            headers.insert(EVENT, label("--event", event)?);
        }
        if let Some(id) = &args.if_version {
            headers.insert(IF_VERSION, header("--if-version", id)?);
        }
        let tls = if endpoint.url().is_secure() {
            let config = args.server.tls.tls()?.config();
            let config =
                config.map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))?;
            Some(TlsConnector::from(config))
        } else {
            None
        };
        let target = endpoint.topic(&args.topic);
        Ok(Self {
            endpoint,
            target,
            headers,
            tls,
            flags: args.server.tls.clone(),
            connection: None,
            driver: JoinSet::new(),
        })
    }

    /// Posts a message under a key, and returns the answer.
    ///
    /// # Errors
    /// None came in time.
    pub(super) async fn post(
        &mut self,
        payload: &Payload,
        key: &HeaderValue,
    ) -> Result<Answer, Lost> {
        let exchange = timeout(EXCHANGE, self.exchange(payload, key)).await;
        let late = || Lost(format!("no answer in {} s", EXCHANGE.as_secs()));
        let answer = exchange.unwrap_or_else(|_| Err(late()));
        if answer.is_err() {
            self.hang_up();
        }
        answer
    }

    async fn exchange(&mut self, payload: &Payload, key: &HeaderValue) -> Result<Answer, Lost> {
        let (kind, body) = match payload {
            Payload::Binary(bytes) => ("application/octet-stream", bytes),
            Payload::Text(text) => ("text/plain", text),
        };
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.parse().map_err(|error| lost("the topic", &error))?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        request.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
        let response = self.connection().await?.send_request(request).await;
        read(response.map_err(|error| lost("the connection was lost", &error))?).await
    }

    /// Returns the connection, opened if there is none that could take a request.
    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Lost> {
        let ready = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.hang_up();
            self.connection = Some(self.dial().await?);
        }
        self.connection.as_mut().ok_or_else(|| Lost("no connection".to_owned()))
    }

    fn hang_up(&mut self) {
        self.connection = None;
        self.driver = JoinSet::new();
    }

    async fn dial(&mut self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let url = self.endpoint.url();
        let to = format!("cannot connect to {}:{}", url.host(), url.port());
        let tcp = TcpStream::connect((url.host(), url.port())).await;
        let tcp = tcp.map_err(|error| lost(&to, &error))?;
        // A message is a write and a half; waiting for more would cost a round trip.
        tcp.set_nodelay(true).map_err(|error| lost(&to, &error))?;
        match &self.tls {
            None => self.shake_hands(tcp).await,
            Some(tls) => {
                let name = url.server_name().unwrap_or(url.host()).to_owned();
                let name = ServerName::try_from(name).map_err(|error| lost("host name", &error))?;
                let stream = tls.connect(name, tcp).await;
                let stream = stream.map_err(|error| lost("TLS failed", &error))?;
                self.flags.warn_of(&format!("https://{}", url.authority()));
                self.shake_hands(stream).await
            }
        }
    }

    async fn shake_hands<I>(&mut self, io: I) -> Result<SendRequest<Full<Bytes>>, Lost>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let shaken = http1::handshake(TokioIo::new(io)).await;
        let (sender, connection) = shaken.map_err(|error| lost("no HTTP", &error))?;
        self.driver.spawn(connection);
        Ok(sender)
    }
}

/// Reads an answer with a body within reason.
async fn read(response: Response<Incoming>) -> Result<Answer, Lost> {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let (mut incoming, mut body) = (response.into_body(), BytesMut::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| lost("the answer broke off", &error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > LONGEST_ANSWER - body.len() {
            return Err(Lost("the answer is too long to be a Sockeye server's".to_owned()));
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status, retry_after, body: body.freeze() })
}

fn lost(what: &str, error: &dyn std::error::Error) -> Lost {
    match error.source() {
        Some(source) => Lost(format!("{what}: {error}: {source}")),
        None => Lost(format!("{what}: {error}")),
    }
}

/// Makes a header of a name of an event or key: what is not ASCII, and `%`, is percent-encoded.
///
/// # Errors
/// It is empty.
pub(super) fn label(what: &str, text: &str) -> Result<HeaderValue, Failure> {
    if text.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("{what} is empty")));
    }
    header(what, &utf8_percent_encode(text, ENCODED).to_string())
}

fn header(what: &str, text: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_str(text);
    value.map_err(|_| Failure::new(Exit::Usage, format!("{what} has characters it cannot have")))
}

fn secret(what: &str, text: &str) -> Result<HeaderValue, Failure> {
    let mut value = header(what, text)?;
    value.set_sensitive(true);
    Ok(value)
}

const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const EVENT: HeaderName = HeaderName::from_static("event");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IF_VERSION: HeaderName = HeaderName::from_static("if-version");

/// How long an exchange may take, with the opening of its connection.
const EXCHANGE: Duration = Duration::from_secs(10);

/// The most bytes of an answer's body; what a server says of a message is short.
const LONGEST_ANSWER: usize = 64 << 10;
