//! The real binary, a client driver as those for Autobahn, and servers that are of no use.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sockeye::tls::Tls;
use sockeye::{Client, Config, DeflateConfig, MessageRef, Origins, Out, Result, Server, WebSocket};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::scratch::Scratch;

/// A run of the binary that listens.
pub(crate) struct Command {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Command {
    /// Starts a command that listens at a free port, and waits until it does.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let mut child = command(args).args(["--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("the line comes").unwrap();
        let (_, port) = line.trim_end().rsplit_once(':').expect(&line);
        let port = port.parse().unwrap();
        Self { child, stdout, port }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(args: &[&str]) -> Ended {
        let output = timeout(PATIENCE, command(args).output()).await.expect("it ends").unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(mut self) -> Ended {
        let mut stdout = String::new();
        let reading = timeout(PATIENCE, self.stdout.read_to_string(&mut stdout)).await;
        reading.expect("it ends").unwrap();
        let status = self.child.wait().await.unwrap();
        Ended { code: status.code(), stdout, stderr: String::new() }
    }
}

fn command(args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Puts the library's client through all cases that a tester offers, some at a time.
pub(crate) async fn drive(tester: &str, tls: Tls) {
    let client = Client::builder().config(config()).tls(tls).build();
    let mut ws = client.request(&format!("{tester}/getCaseCount")).await.unwrap();
    let count: u32 = ws.recv().await.unwrap().unwrap().as_text().unwrap().parse().unwrap();
    let next = Arc::new(AtomicU32::new(1));
    let mut at_work = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (client, tester, next) = (client.clone(), tester.to_owned(), next.clone());
        at_work.spawn(async move {
            loop {
                let case = next.fetch_add(1, Ordering::Relaxed);
                if case > count {
                    return;
                }
                let url = format!("{tester}/runCase?case={case}&agent=ours");
                // Some cases break the handshake, most others end with a fault: both are as they
                // should.
                if let Ok(ws) = client.request(&url).await {
                    let _ = echo(ws).await;
                }
            }
        });
    }
    while let Some(done) = at_work.join_next().await {
        done.unwrap();
    }
    let mut ws = client.request(&format!("{tester}/updateReports?agent=ours")).await.unwrap();
    while ws.recv().await.unwrap().is_some() {}
}

/// Cases that the client is put through at a time: many of them only wait.
const AT_A_TIME: usize = 16;

async fn echo(mut ws: WebSocket) -> Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Offers compression so that every choice is the tester's, which is what chapter 13 asks for.
fn config() -> Config {
    let mut deflate = DeflateConfig::default();
    deflate.threshold = 0;
    deflate.server_max_window_bits = 15;
    deflate.client_max_window_bits = 15;
    deflate.server_no_context_takeover = false;
    let mut config = Config::client();
    config.deflate = Some(deflate);
    config.limits.message = 64 << 20;
    config
}

/// Takes connections and bytes and never says a word; after so many connections, if any, is gone.
pub(crate) async fn serve_silence(connections: Option<usize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..connections.unwrap_or(usize::MAX) {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let crashes = connections.is_some();
            tokio::spawn(async move {
                let mut scrap = [0; 1024];
                while !crashes && stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

/// The forms in which the library serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Async,
    Callbacks,
}

/// Serves an echo by the library alone, with compression and room for the longest case.
pub(crate) async fn serve_on_tokio(form: Form) -> String {
    let mut config = Config::server();
    config.limits.message = 64 << 20;
    config.limits.queue = 128 << 20;
    config.deflate = Some(DeflateConfig::default());
    let server = Server::bind("127.0.0.1:0").config(config).origins(Origins::Any);
    let server = match form {
        Form::Async => server.route("/", |mut ws: WebSocket, _| async move {
            while let Some(message) = ws.recv().await? {
                ws.feed(message).await?;
            }
            Ok(())
        }),
        Form::Callbacks => server.handle("/", |_| {
            |message: MessageRef<'_>, out: &mut Out<'_>| {
                let _ = out.send(message);
            }
        }),
    };
    let listening = server.listen().await.unwrap();
    let url = format!("ws://{}/", listening.local_addr().unwrap());
    tokio::spawn(listening.serve());
    url
}

/// A certificate for localhost and its key, as files.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn make(scratch: &Scratch) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            certificate: scratch.write("certificate.pem", &made.cert.pem()),
            key: scratch.write("key.pem", &made.signing_key.serialize_pem()),
        }
    }
}
