//! Tests clients: a server that plays a case with each connection and speaks Autobahn's control
//! URLs, so that drivers written for Autobahn work as they are.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::case::Case;
use crate::host::{self, Stream};
use crate::player::Player;
use crate::report::{Agent, AgentRole, CaseResult, Report};
use crate::server::{Progress, TestError};
use crate::tls;
use crate::wire::http::Head;

/// A test of clients that echo messages.
pub struct ClientTest {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: State,
}

/// What all connections share.
#[derive(Debug, Default)]
struct State {
    cases: Vec<Arc<Case>>,
    progress: Option<mpsc::UnboundedSender<Progress>>,
    updates: Option<mpsc::UnboundedSender<Report>>,
    agents: Mutex<Agents>,
}

#[derive(Debug, Default)]
struct Agents {
    /// In the order in which they came.
    tested: Vec<Tested>,
    /// The keys of all handshakes, none of which may come twice.
    keys: HashSet<String>,
}

/// What a client has been through.
#[derive(Debug)]
struct Tested {
    name: String,
    start: Instant,
    end: Instant,
    results: BTreeMap<String, CaseResult>,
}

/// What a connection asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    CaseCount,
    CaseInfo(usize),
    CaseStatus(usize, String),
    RunCase(usize, String),
    UpdateReports,
}

impl ClientTest {
    /// Listens for clients at `address`, such as `127.0.0.1:9001`; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(address: &str) -> Result<Self, TestError> {
        let refused = |error| TestError::Listen(address.to_owned(), error);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        Ok(Self { listener, tls: None, state: State::default() })
    }

    /// Chooses the cases; those that are for servers only are left out.
    #[must_use]
    pub fn cases(mut self, cases: &[Arc<Case>]) -> Self {
        let ours = cases.iter().filter(|case| case.is_for(AgentRole::Client));
        self.state.cases = ours.cloned().collect();
        self
    }

    /// Serves `wss://` with a certificate chain and its key, both PEM files.
    ///
    /// # Errors
    /// A file that cannot be read or holds nothing of the kind.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Result<Self, TestError> {
        self.tls = Some(tls::acceptor(certificate, key).map_err(TestError::Tls)?);
        Ok(self)
    }

    /// Reports each case that has come to its end.
    #[must_use]
    pub fn progress(mut self, sender: mpsc::UnboundedSender<Progress>) -> Self {
        self.state.progress = Some(sender);
        self
    }

    /// Sends what all agents came to so far whenever one says that it is through, by
    /// `/updateReports`.
    #[must_use]
    pub fn updates(mut self, sender: mpsc::UnboundedSender<Report>) -> Self {
        self.state.updates = Some(sender);
        self
    }

    /// Returns the address on which it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves clients until `stop` is ready, and returns what they came to.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Report {
        let Self { listener, tls, state } = self;
        let state = Arc::new(state);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, tls.clone(), state.clone()));
                    }
                    // Out of descriptors, most likely: those that are in use come back.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        // The client that said it is through is about to close.
        let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
        state.report()
    }
}

/// Serves one connection; whatever is wrong with it ends it.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Stream> = match tls {
        Some(tls) => Box::new(timeout(HEAD, tls.accept(stream)).await??),
        None => Box::new(stream),
    };
    let (head, rest) = match timeout(HEAD, read_head(&mut stream)).await? {
        Ok(head) => head,
        Err(problem) => return refuse(&mut stream, "400 Bad Request", &problem).await,
    };
    let wish = Wish::read(head.target(), state.cases.len());
    // A client that asks for a case and not for an upgrade has failed that case.
    if head.field("upgrade").is_none() && !matches!(wish, Ok(Wish::RunCase(..))) {
        return refuse(&mut stream, "426 Upgrade Required", "Connect with a WebSocket.").await;
    }
    match wish {
        Ok(wish) => state.grant(wish, &head, &rest, stream).await,
        Err(problem) => return refuse(&mut stream, "404 Not Found", &problem).await,
    }
    Ok(())
}

/// Reads a request's head; returns what came behind it as well.
async fn read_head(stream: &mut Box<dyn Stream>) -> Result<(Head, Vec<u8>), String> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(head) = Head::read(&bytes)? {
            let rest = bytes.split_off(head.size);
            return Ok((head, rest));
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err("the request is not complete".into()),
            Ok(_) => {}
        }
    }
}

async fn refuse(stream: &mut Box<dyn Stream>, status: &str, why: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{why}\n",
        why.len() + 1
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

impl Wish {
    fn read(target: &str, count: usize) -> Result<Self, String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
        };
        let case = || {
            let number: Option<usize> = value("case").and_then(|number| number.parse().ok());
            let index = number.and_then(|number| number.checked_sub(1));
            index
                .filter(|index| *index < count)
                .ok_or_else(|| format!("case= must be a number from 1 to {count}"))
        };
        let agent = || {
            let name = value("agent").filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
            name.ok_or_else(|| format!("agent= must be a name of 1 to {LONGEST_NAME} bytes"))
        };
        Ok(match path {
            "/getCaseCount" => Self::CaseCount,
            "/getCaseInfo" => Self::CaseInfo(case()?),
            "/getCaseStatus" => Self::CaseStatus(case()?, agent()?),
            "/runCase" => Self::RunCase(case()?, agent()?),
            "/updateReports" => Self::UpdateReports,
            _ => {
                return Err("There are /getCaseCount, /getCaseInfo?case=N, \
                            /getCaseStatus?case=N&agent=A, /runCase?case=N&agent=A and \
                            /updateReports?agent=A."
                    .into());
            }
        })
    }
}

impl State {
    async fn grant(&self, wish: Wish, head: &Head, rest: &[u8], stream: Box<dyn Stream>) {
        let case = |index: usize| self.cases.get(index).cloned();
        let answer = match wish {
            Wish::RunCase(index, agent) => {
                let Some(case) = case(index) else { return };
                return self.run_case(case, agent, head, rest, stream).await;
            }
            Wish::CaseCount => self.cases.len().to_string(),
            Wish::CaseInfo(index) => {
                let Some(case) = case(index) else { return };
                let info = case.info();
                serde_json::json!({ "id": info.id, "description": info.about }).to_string()
            }
            Wish::CaseStatus(index, agent) => {
                let Some(case) = case(index) else { return };
                let agents = self.agents();
                let tested = agents.tested.iter().find(|tested| tested.name == agent);
                let result = tested.and_then(|tested| tested.results.get(case.id()));
                let behavior = result.map_or("UNKNOWN", |result| result.verdict().name());
                serde_json::json!({ "behavior": behavior }).to_string()
            }
            Wish::UpdateReports => {
                if let Some(updates) = &self.updates {
                    let _ = updates.send(self.report());
                }
                String::new()
            }
        };
        let player = Player::answering(Arc::new(Case::answer(&answer)), head);
        host::play(player, stream).await;
    }

    async fn run_case(
        &self,
        case: Arc<Case>,
        agent: String,
        head: &Head,
        rest: &[u8],
        stream: Box<dyn Stream>,
    ) {
        let (id, start) = (case.id().to_owned(), Instant::now());
        let mut player = Player::answering(case, head);
        let key = head.field("sec-websocket-key").unwrap_or_default();
        if !self.agents().keys.insert(key) {
            player.fail("the client sent a Sec-WebSocket-Key that it had used before".into());
        }
        if !rest.is_empty() {
            player.receive(rest, Duration::ZERO);
        }
        let result = host::play(player, stream).await;
        let verdict = result.verdict();
        let done = self.agents().add(&agent, start, &id, result);
        if let Some(progress) = &self.progress {
            let total = self.cases.len();
            let _ = progress.send(Progress { agent, id, verdict, done, total });
        }
    }

    fn report(&self) -> Report {
        let agents = self.agents();
        let tested = agents.tested.iter().map(|tested| Agent {
            name: tested.name.clone(),
            role: AgentRole::Client,
            elapsed_ms: (tested.end - tested.start).as_secs_f64() * 1e3,
            results: tested.results.clone(),
        });
        let cases = self.cases.iter().map(|case| case.info().clone()).collect();
        Report::new(tested.collect(), cases)
    }

    /// Nothing panics while it holds this lock, and the data would still be good.
    fn agents(&self) -> MutexGuard<'_, Agents> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agents {
    /// Adds the result of a case that began at `start`; returns how many the client has.
    fn add(&mut self, name: &str, start: Instant, id: &str, result: CaseResult) -> usize {
        let index = self.tested.iter().position(|tested| tested.name == name);
        let index = index.unwrap_or_else(|| {
            let (name, results) = (name.to_owned(), BTreeMap::new());
            self.tested.push(Tested { name, start, end: start, results });
            self.tested.len() - 1
        });
        let Some(tested) = self.tested.get_mut(index) else { return 0 };
        tested.end = Instant::now();
        tested.results.insert(id.to_owned(), result);
        tested.results.len()
    }
}

/// Decodes `%XX` and `+` of a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &behind[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How long a client may take for TLS, and again for its request.
const HEAD: Duration = Duration::from_secs(10);

/// The pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long connections that are open when a test stops may take to close.
const FAREWELL: Duration = Duration::from_secs(1);

/// The longest name of an agent, in bytes.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_urls_are_read_as_autobahn_writes_them() {
        let agent = || "Some Agent/1.0 é".to_owned();
        let wishes = [
            ("/getCaseCount", Wish::CaseCount),
            ("/getCaseInfo?case=2", Wish::CaseInfo(1)),
            ("/getCaseStatus?case=9&agent=Some%20Agent%2f1.0+%C3%A9", Wish::CaseStatus(8, agent())),
            ("/runCase?agent=Some+Agent/1.0+é&case=1", Wish::RunCase(0, agent())),
            ("/updateReports?agent=a", Wish::UpdateReports),
        ];
        for (target, wish) in wishes {
            assert_eq!(Wish::read(target, 9), Ok(wish));
        }
        for wrong in ["/", "/runCase?case=0&agent=a", "/runCase?case=10&agent=a", "/runCase?case=1"]
        {
            assert!(Wish::read(wrong, 9).is_err(), "{wrong}");
        }
    }
}
