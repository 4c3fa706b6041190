//! Tests a server: opens one connection per case, several at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::case::{Case, Random};
use crate::host::{self, Stream};
use crate::log::Log;
use crate::player::Player;
use crate::report::{Agent, AgentRole, CaseResult, Report};
use crate::tls::{self, TlsError};
use crate::verdict::Verdict;

/// A test of a server that echoes messages.
#[derive(Debug)]
pub struct ServerTest {
    url: String,
    agent: Option<String>,
    cases: Vec<Arc<Case>>,
    jobs: usize,
    progress: Option<mpsc::UnboundedSender<Progress>>,
}

/// A case that has come to its end.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The name of the peer under test.
    pub agent: String,
    /// The case.
    pub id: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How many cases are through, this one included.
    pub done: usize,
    /// How many there are in all.
    pub total: usize,
}

/// Why a test cannot begin.
#[derive(Debug)]
pub enum TestError {
    /// The URL is not one of a WebSocket.
    Url(String),
    /// Nobody listens there, or the name is unknown.
    Unreachable(String, std::io::Error),
    /// The certificate or key cannot be used.
    Tls(TlsError),
    /// The address to listen on cannot be had.
    Listen(String, std::io::Error),
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url:?} is no URL of a WebSocket: ws://HOST:PORT/PATH"),
            Self::Unreachable(host, error) => write!(f, "{host} cannot be reached: {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for TestError {}

impl ServerTest {
    /// Prepares a test of the server at `url`, `ws://` or `wss://`. Certificates are not checked.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), agent: None, cases: Vec::new(), jobs: JOBS, progress: None }
    }

    /// Chooses the cases; those that are for clients only are left out.
    #[must_use]
    pub fn cases(mut self, cases: &[Arc<Case>]) -> Self {
        let ours = cases.iter().filter(|case| case.is_for(AgentRole::Server));
        self.cases = ours.cloned().collect();
        self
    }

    /// Sets how many cases are played at a time, at least 1.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// Calls the server by another name than the one it gives in its answers.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = Some(name.into());
        self
    }

    /// Reports each case that has come to its end.
    #[must_use]
    pub fn progress(mut self, sender: mpsc::UnboundedSender<Progress>) -> Self {
        self.progress = Some(sender);
        self
    }

    /// Plays all cases and returns their report.
    ///
    /// # Errors
    /// The URL is wrong, or nobody answers there at all. A server that stops answering later fails
    /// its cases.
    pub async fn run(self) -> Result<Report, TestError> {
        let address = Address::parse(&self.url).ok_or_else(|| TestError::Url(self.url.clone()))?;
        let unreachable = |error| TestError::Unreachable(address.host.clone(), error);
        let mut resolved =
            tokio::net::lookup_host(address.authority()).await.map_err(unreachable)?;
        let none = || unreachable(std::io::ErrorKind::NotFound.into());
        let mut address = Address { socket: resolved.next(), ..address.clone() };
        // One connection apart, so that a wrong address is an error and not 517 failures.
        let mut found = None;
        for socket in address.socket.into_iter().chain(resolved) {
            match TcpStream::connect(socket).await {
                Ok(_) => {
                    found = Some(Ok(socket));
                    break;
                }
                Err(error) => found = Some(Err(error)),
            }
        }
        address.socket = Some(found.ok_or_else(none)?.map_err(unreachable)?);
        let name = self.agent.clone().unwrap_or_else(|| self.url.clone());
        let start = std::time::Instant::now();
        let results = self.play_all(Arc::new(address), &name).await;
        let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
        let agent = Agent { name, role: AgentRole::Server, elapsed_ms, results };
        let cases = self.cases.iter().map(|case| case.info().clone()).collect();
        Ok(Report::new(vec![agent], cases))
    }

    async fn play_all(&self, address: Arc<Address>, name: &str) -> BTreeMap<String, CaseResult> {
        let mut running = JoinSet::new();
        let mut waiting = self.cases.iter();
        let mut results = BTreeMap::new();
        let mut random = Random::new(u64::from(std::process::id()) << 32 | 0x5eed);
        loop {
            while running.len() < self.jobs
                && let Some(case) = waiting.next()
            {
                let (case, address) = (case.clone(), address.clone());
                let [first, second] = [random.next(), random.next()];
                let nonce = (u128::from(first) << 64 | u128::from(second)).to_be_bytes();
                running.spawn(async move {
                    let id = case.id().to_owned();
                    (id, play_one(case, &address, nonce).await)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            // A case whose task panics shows by its absence, which counts as a failure.
            let Ok((id, result)) = ended else { continue };
            self.tell(name, &id, result.verdict(), results.len() + 1);
            results.insert(id, result);
        }
        for case in &self.cases {
            let missing = || failed("the tester itself failed; please report this".into());
            results.entry(case.id().to_owned()).or_insert_with(missing);
        }
        results
    }

    fn tell(&self, agent: &str, id: &str, verdict: Verdict, done: usize) {
        let Some(sender) = &self.progress else { return };
        let (agent, id, total) = (agent.to_owned(), id.to_owned(), self.cases.len());
        // Nobody may be listening any more, which harms no test.
        let _ = sender.send(Progress { agent, id, verdict, done, total });
    }
}

async fn play_one(case: Arc<Case>, address: &Address, nonce: [u8; 16]) -> CaseResult {
    match tokio::time::timeout(CONNECT, address.connect()).await {
        Ok(Ok(stream)) => {
            let player = Player::to_server(case, &address.authority(), &address.path, nonce);
            host::play(player, stream).await
        }
        Ok(Err(error)) => failed(format!("peer crashed: it no longer takes connections ({error})")),
        Err(_) => failed(format!("peer hangs: it takes no connection within {CONNECT:?}")),
    }
}

/// Returns the result of a case that could not be played.
fn failed(reason: String) -> CaseResult {
    CaseResult {
        behavior: Verdict::Failed,
        behavior_close: Verdict::Failed,
        reason,
        duration_ms: 0.0,
        close_code: None,
        saw: Vec::new(),
        wire: Log::default(),
    }
}

/// Where the server is.
#[derive(Clone, Debug)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    socket: Option<SocketAddr>,
}

impl Address {
    fn parse(url: &str) -> Option<Self> {
        let (tls, rest) = match url.split_once("://")? {
            ("ws" | "http", rest) => (false, rest),
            ("wss" | "https", rest) => (true, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let fits = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let inside_brackets = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority.rfind(':') {
            Some(at) if at > inside_brackets => {
                (&authority[..at], authority[at + 1..].parse().ok()?)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let known = !host.is_empty() && !host.contains('@') && fits(host) && fits(&path);
        known.then(|| Self { tls, host: host.to_owned(), port, path, socket: None })
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let stream = match self.socket {
            Some(socket) => TcpStream::connect(socket).await?,
            None => TcpStream::connect(self.authority()).await?,
        };
        stream.set_nodelay(true)?;
        if self.tls {
            return Ok(Box::new(tls::connect(&self.host, stream).await?));
        }
        Ok(Box::new(stream))
    }
}

/// Cases that are played at a time unless told otherwise: enough that those that wait do not hold
/// up the others.
const JOBS: usize = 32;

/// How long a server may take to accept a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parse = |url| {
            Address::parse(url).map(|address| (address.tls, address.authority(), address.path))
        };
        let expected =
            |tls, authority: &str, path: &str| Some((tls, authority.into(), path.into()));
        assert_eq!(parse("ws://a:1/b?c"), expected(false, "a:1", "/b?c"));
        assert_eq!(parse("wss://a"), expected(true, "a:443", "/"));
        assert_eq!(parse("ws://[::1]:9/"), expected(false, "[::1]:9", "/"));
        assert_eq!(parse("ws://[::1]?x"), expected(false, "[::1]:80", "/?x"));
        for wrong in ["a:1", "ftp://a", "ws://", "ws://a:x/", "ws://u@a/", "ws://a/ b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
