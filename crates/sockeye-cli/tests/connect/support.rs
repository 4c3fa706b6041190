//! A server to talk to, and the real binary run against it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use sockeye::{CloseInfo, Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// No step of a test takes longer on a machine that is not stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a hostile server says.
pub(crate) const HOSTILE: &str = "\x1b[2J\x1b]0;owned\x07 \u{202e}harmless";

/// A server, and what it learned of its connections' ends.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) ends: mpsc::UnboundedReceiver<CloseInfo>,
    pub(crate) requests: mpsc::UnboundedReceiver<sockeye::Incoming>,
}

impl TestServer {
    /// Serves an echo at `/`, and behaviours named by their paths.
    pub(crate) async fn start() -> Self {
        Self::with(|server| server).await
    }

    pub(crate) async fn with(set_up: impl FnOnce(Server) -> Server) -> Self {
        let (tell_end, ends) = mpsc::unbounded_channel();
        let (tell_request, requests) = mpsc::unbounded_channel();
        let mut config = Config::server();
        config.limits.message = 16 << 20;
        let server = Server::bind("127.0.0.1:0")
            .config(config)
            .subprotocols(["chat.v1"])
            .route("/", move |mut ws, request| {
                let (tell_end, tell_request) = (tell_end.clone(), tell_request.clone());
                async move {
                    let _ = tell_request.send(request);
                    while let Some(message) = ws.recv().await? {
                        ws.send(message).await?;
                    }
                    let _ = tell_end.send(ws.close_info().cloned().unwrap());
                    Ok(())
                }
            })
            .route("/close/{code}", |mut ws, request| async move {
                let code = request.param("code").unwrap().parse().unwrap();
                ws.send("last words").await?;
                ws.close(sockeye::CloseCode::new(code), "why \x1b[31mnot").await?;
                Ok(())
            })
            .route("/vanish", |mut ws, _| async move {
                ws.send("last words").await?;
                ws.abort();
                Ok(())
            })
            .route("/hostile", |mut ws, _| async move {
                ws.send(HOSTILE).await?;
                ws.recv().await.map(drop)
            })
            .route("/bytes", |mut ws, _| async move {
                ws.send(&b"\x00\xff\x1b[2J\n"[..]).await?;
                ws.recv().await.map(drop)
            })
            .route("/many", |mut ws, _| async move {
                for number in 0.. {
                    ws.send(format!("message {number}")).await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            });
        let server = set_up(server).listen().await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.serve());
        Self { address, ends, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Returns how the next connection to the echo ended.
    pub(crate) async fn end(&mut self) -> CloseInfo {
        timeout(PATIENCE, self.ends.recv()).await.unwrap().unwrap()
    }

    /// Returns the next request to the echo.
    pub(crate) async fn request(&mut self) -> sockeye::Incoming {
        timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap()
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Asserts the status and that the complaint is one line; returns the line.
    pub(crate) fn fails_with(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("sockeye: "), "{self:?}");
        self.stderr.trim_end()
    }
}

/// The binary's `connect`, with pipes for its three streams.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.arg("connect").args(args).env_remove("SOCKEYE_BEARER").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end on an input.
pub(crate) async fn run(args: &[&str], input: &[u8]) -> Ended {
    run_command(command(args), input).await
}

pub(crate) async fn run_command(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = async {
        // It may exit before it has read all.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let ended = async { tokio::join!(feeding, finish(child)).1 };
    timeout(PATIENCE, ended).await.expect("the command ends")
}

/// Waits for the end of a child whose input is dealt with elsewhere.
pub(crate) async fn finish(child: Child) -> Ended {
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("the command ends");
    let output = output.unwrap();
    Ended {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Reads one line of a child's output.
pub(crate) async fn read_line(from: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut line = Vec::new();
    let reading = async {
        loop {
            match from.read_u8().await.unwrap() {
                b'\n' => return String::from_utf8(line).unwrap(),
                byte => line.push(byte),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("a line comes")
}
