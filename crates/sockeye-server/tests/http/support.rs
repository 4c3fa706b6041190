//! A server on a free port, and a client that speaks plain HTTP/1.1 to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye_hub::{Epoch, Hub, Limits, Payload, Publication, Rules, TopicName, TopicRules};
use sockeye_proto::handshake::Origins;
use sockeye_server::auth::jwt::{self, Trust, Verifier};
use sockeye_server::auth::keys::{Key, KeySet};
use sockeye_server::auth::{ApiKeys, Auth, Grant, Mint, Patterns, Secret};
use sockeye_server::clients::Clients;
use sockeye_server::clock::Clock;
use sockeye_server::http::{ClientAddr, HttpLimits, Topics, router};
use sockeye_server::policy::{Policies, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A key that back ends of the tests use.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What every wait of a test is bounded by. Far more than it takes.
const BOUND: Duration = Duration::from_secs(20);

/// A server.
pub(crate) struct Server {
    pub(crate) topics: Arc<Topics>,
    pub(crate) addr: SocketAddr,
}

/// Grants everything to everybody.
pub(crate) fn everything() -> Grant {
    let all: Patterns = ["*".parse().unwrap()].into_iter().collect();
    Grant { publish: all.clone(), subscribe: all, ..Grant::default() }
}

/// Lets everybody do everything; back ends have a key.
pub(crate) fn open() -> Policy {
    let mut policy = Policy::new(Auth::Anonymous(Arc::new(everything())));
    policy.api_keys = ApiKeys::new([KEY]).unwrap();
    policy.origins = Origins::list(["https://app.example"]).unwrap();
    policy
}

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

/// Lets those in who have tokens.
pub(crate) fn by_tokens() -> Policy {
    let keys = KeySet::from(Key::from_secret(secret()));
    let verifier = Verifier::new(vec![Trust::in_keys(keys)], jwt::Rules::default()).unwrap();
    Policy { auth: Auth::Jwt { verifier, anonymous: None }, ..open() }
}

/// Makes a token for a client that may subscribe to `sub` and publish to `publish`.
pub(crate) fn token(sub: &str, publish: &str, lifetime: Duration) -> String {
    let mint = Mint {
        subject: "ann".into(),
        lifetime,
        publish: vec![publish.into()],
        subscribe: vec![sub.into()],
        info: None,
        issuer: None,
        audience: None,
    };
    mint.sign(&secret(), std::time::SystemTime::now()).unwrap()
}

impl Server {
    /// Starts one with a policy, whose topics keep 10 messages, after changes to the rest.
    pub(crate) async fn start(policy: Policy, change: impl FnOnce(&mut Topics)) -> Self {
        let mut rules = TopicRules::default();
        rules.history.messages = 10;
        let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default());
        let mut topics = Topics {
            hub: Arc::new(hub),
            clock: Clock::start(),
            policies: Arc::new(Policies::new(policy)),
            limits: HttpLimits::default(),
            clients: Arc::new(Clients::new(Epoch::from_random(1))),
            crowd: Arc::default(),
            alarms: Arc::default(),
        };
        change(&mut topics);
        let topics = Arc::new(topics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, router(topics.clone())));
        tokio::spawn(topics.alarms.clone().ring());
        Self { topics, addr }
    }

    /// Starts one that lets everybody do everything.
    pub(crate) async fn open() -> Self {
        Self::start(open(), |_| {}).await
    }

    /// Publishes a text and returns its number.
    pub(crate) fn say(&self, topic: &str, text: &str) -> u64 {
        self.publish(topic, Payload::text(text))
    }

    pub(crate) fn publish(&self, topic: &str, payload: Payload) -> u64 {
        let publication = Publication::new(topic.parse().unwrap(), payload);
        self.topics.hub.publish(publication, self.topics.clock.now()).unwrap().id.seq
    }

    pub(crate) fn subscribers(&self, topic: &str) -> usize {
        let topic: TopicName = topic.parse().unwrap();
        self.topics.hub.info(&topic, Duration::ZERO).subscribers
    }

    /// Waits until a topic has so many subscribers.
    pub(crate) async fn until_subscribers(&self, topic: &str, count: usize) {
        until(|| self.subscribers(topic) == count).await;
    }

    /// Begins to stop; clients are to come back over `window`.
    pub(crate) fn stop(&self, window: Duration) {
        self.topics.clients.stop(window);
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// Sends one request on a connection of its own and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, target, headers, b"").await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = self.connect().await;
        client.request(method, target, headers, body).await;
        client.answer(method).await
    }

    /// Opens a stream and reads its head.
    pub(crate) async fn stream(&self, target: &str, headers: &[(&str, &str)]) -> (Client, Head) {
        let mut client = self.connect().await;
        client.request("GET", target, headers, b"").await;
        let head = client.head().await;
        (client, head)
    }
}

async fn accept(listener: TcpListener, router: Router) {
    while let Ok((stream, peer)) = listener.accept().await {
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            let mut router = router.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ClientAddr(peer.ip()));
            async move { tower_service::Service::call(&mut router, request).await }
        });
        tokio::spawn(async move {
            // What goes wrong is seen by the client.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Waits for a condition, looking whenever the others had their turn.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let turns = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    bounded(turns).await;
}

/// Waits, but not for ever.
pub(crate) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    timeout(BOUND, work).await.expect("a wait of a test must end")
}

/// A connection of a client.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Returns the cursor of a poll.
    pub(crate) fn cursor(&self) -> String {
        self.head.header("etag").unwrap().trim_matches('"').to_owned()
    }
}

impl Client {
    /// Sends a request.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: server.example\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.write(head.as_bytes()).await;
        self.write(body).await;
    }

    /// Writes bytes. A server that has refused a body may be gone; its answer tells.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = bounded(self.stream.write_all(bytes)).await;
    }

    /// Reads a line without its end.
    pub(crate) async fn line(&mut self) -> String {
        let line = bounded(self.bytes_until(b"\n")).await;
        let line = String::from_utf8(line).unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    async fn bytes_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let Ok(byte) = self.stream.read_u8().await else { break };
            bytes.push(byte);
        }
        bytes
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> Head {
        let status = self.line().await;
        let status = status.split(' ').nth(1).expect("a status line").parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Head { status, headers }
    }

    /// Reads an answer whole.
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let head = self.head().await;
        let length = head.header("content-length").map(|length| length.parse().unwrap());
        let mut body = Vec::new();
        match length {
            _ if method == "HEAD" || head.status == 204 => {}
            Some(length) => {
                body.resize(length, 0);
                bounded(self.stream.read_exact(&mut body)).await.unwrap();
            }
            None => body = self.rest().await,
        }
        Answer { head, body: String::from_utf8(body).unwrap() }
    }

    /// Reads the next piece of a chunked body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await, 16).expect("a chunk's length");
        let mut chunk = vec![0; length + 2];
        bounded(self.stream.read_exact(&mut chunk)).await.unwrap();
        chunk.truncate(length);
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }

    /// Reads chunks until what was read contains `wanted`, and returns it all.
    pub(crate) async fn read_until(&mut self, wanted: &str) -> String {
        let read = async {
            let mut text = String::new();
            while !text.contains(wanted) {
                let chunk = self.chunk().await;
                let chunk = chunk.unwrap_or_else(|| panic!("the end came before {wanted}: {text}"));
                text.push_str(&String::from_utf8(chunk).unwrap());
            }
            text
        };
        bounded(read).await
    }

    /// Reads chunks to the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let read = async {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
            body
        };
        bounded(read).await
    }
}
