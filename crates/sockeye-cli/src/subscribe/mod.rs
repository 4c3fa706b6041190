//! `sockeye sub`: prints what is published to topics, and comes back by itself.
//!
//! This is the life of the command: connections, the waits between them, and how it ends. `follower`
//! says what is asked for over each, `refusal` when there is no point in coming back.

mod args;
mod follower;
mod printer;
mod refusal;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sockeye::{Client, CloseCode, Config, Message, WebSocket};
use tokio::time::{sleep, timeout};

use crate::client::backoff::Backoff;
use crate::client::exit::{Exit, Failure};
use crate::client::output::complain;
use crate::client::signals::Signals;

pub(crate) use args::Args;
use follower::{Follower, Presence};
use printer::Printer;
use refusal::{Refusal, Verdict};

/// Runs the command, and tells on standard error what went wrong.
pub(crate) async fn run(args: Args) -> ExitCode {
    match subscribe(&args).await {
        Ok(code) => code,
        Err(failure) => {
            complain(&format!("sockeye: {}", failure.text));
            failure.exit.into()
        }
    }
}

/// Why the command ends.
enum End {
    /// As many messages as wanted have come, or the server is through.
    Done,
    /// The time is up.
    Late,
    /// Nobody reads standard output any more, or it fails.
    OutputGone(Option<Failure>),
    Signal(Exit),
}

async fn subscribe(args: &Args) -> Result<ExitCode, Failure> {
    args.check()?;
    let signals = Signals::listen();
    let mut signals = signals
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot catch signals: {error}")))?;
    args.server.tls.warn();
    let mut subscriber = Subscriber::new(args)?;
    let output = subscriber.printer.output().clone();
    let end = tokio::select! {
        biased;
        exit = signals.first() => Ok(End::Signal(exit)),
        failure = output.gone() => Ok(End::OutputGone(failure)),
        done = subscriber.follow() => done.map(|()| End::Done),
        () = up(args.timeout) => Ok(End::Late),
    };
    let code = match &end {
        Ok(End::Signal(_) | End::OutputGone(_)) => CloseCode::AWAY,
        _ => CloseCode::NORMAL,
    };
    subscriber.hang_up(code).await;
    let printing = match &end {
        Ok(End::Signal(_)) => {
            output.discard();
            let _ = timeout(GRACE, output.finish()).await;
            None
        }
        _ => tokio::select! {
            biased;
            exit = signals.first() => return Ok(exit.into()),
            failure = output.finish() => failure,
        },
    };
    match (end?, printing) {
        (End::Signal(exit), _) => Ok(exit.into()),
        (End::OutputGone(Some(failure)), _) | (End::Done | End::Late, Some(failure)) => {
            Err(failure)
        }
        (End::OutputGone(None), _) => Ok(Exit::Success.into()),
        (End::Done, None) => Ok(subscriber.judge()),
        (End::Late, None) => subscriber.judge_late(),
    }
}

/// Waits until the time is up, if it ever is.
async fn up(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Follows topics over one connection after the other.
struct Subscriber<'a> {
    args: &'a Args,
    url: String,
    client: Client,
    follower: Follower,
    printer: Printer,
    backoff: Backoff,
    /// The token that the server was told last.
    token: Option<String>,
    ws: Option<WebSocket>,
    was_open: bool,
}

impl<'a> Subscriber<'a> {
    fn new(args: &'a Args) -> Result<Self, Failure> {
        let mut config = Config::client();
        config.limits.message = args.max_message;
        let client = Client::builder().config(config).tls(args.server.tls.tls()?).build();
        let presence = if args.presence { Presence::Member } else { Presence::Unseen };
        let history = usize::try_from(args.history).unwrap_or(usize::MAX);
        let follower = Follower::new(args.topics(), presence, args.since.clone());
        Ok(Self {
            args,
            url: args.server.endpoint()?.websocket(),
            client,
            follower: follower.with_history(history),
            printer: Printer::start(args),
            backoff: Backoff::new(args.pace()),
            token: args.server.token()?,
            ws: None,
            was_open: false,
        })
    }

    /// Prints until enough has come or there is no point in coming back. Each wait may be dropped.
    async fn follow(&mut self) -> Result<(), Failure> {
        loop {
            let Some(refusal) = self.follow_once().await? else { return Ok(()) };
            self.ws = None;
            let asked = match refusal.verdict {
                Verdict::Again(asked) => asked,
                Verdict::Done => {
                    let text = format!("sockeye: {}", refusal.text());
                    self.printer.output().notice(&text).await;
                    return Ok(());
                }
                Verdict::Stop(exit) => return Err(refusal.into_failure(exit)),
                Verdict::Unauthorized if self.has_another_token()? => None,
                Verdict::Unauthorized => return Err(refusal.into_failure(Exit::Failure)),
            };
            let wait = self.backoff.failed(Instant::now(), asked);
            if !self.args.quiet {
                let (text, seconds) = (refusal.text(), wait.as_secs_f64());
                let text = format!("sockeye: {text}; trying again in {seconds:.1} s");
                self.printer.output().notice(&text).await;
            }
            sleep(wait).await;
        }
    }

    /// Follows over one connection; returns why it ended, or nothing when enough has come.
    async fn follow_once(&mut self) -> Result<Option<Refusal>, Failure> {
        self.token = self.args.server.token()?;
        let mut request = self.client.request(&self.url).subprotocols(&[SUBPROTOCOL]);
        if let Some(token) = &self.token {
            request = request.bearer(token);
        }
        match request.await {
            Ok(ws) => self.ws = Some(ws),
            Err(error) if error.kind() == sockeye::ErrorKind::Tls && !self.was_open => {
                return Err(Failure::new(Exit::Unreachable, error.to_string()));
            }
            Err(error) => return Ok(Some(Refusal::of_error(&error))),
        }
        self.was_open = true;
        self.args.server.tls.warn_of(&self.url);
        self.backoff.opened(Instant::now());
        self.follower.connected();
        Ok(self.receive().await.err())
    }

    /// Receives until enough has come.
    async fn receive(&mut self) -> Result<(), Refusal> {
        while let Some(ws) = &mut self.ws {
            let received = ws.recv().await.map_err(|error| Refusal::of_error(&error))?;
            let text = match received {
                Some(Message::Text(text)) => text,
                Some(Message::Binary(_)) => return Err(Refusal::nonsense()),
                None => return Err(end_of(ws)),
            };
            let step = self.follower.receive(&text)?;
            if let Some(frame) = step.send {
                ws.send(frame).await.map_err(|error| Refusal::of_error(&error))?;
            }
            for told in step.tell {
                self.printer.print(told).await;
                if self.args.count.is_some_and(|count| self.printer.messages >= count) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Tells whether the token's file holds another one than the server was told.
    fn has_another_token(&self) -> Result<bool, Failure> {
        Ok(self.args.server.token()? != self.token)
    }

    /// Closes the connection, if there is one, within reason.
    async fn hang_up(&mut self, code: CloseCode) {
        if let Some(ws) = self.ws.take() {
            let _ = timeout(GRACE, ws.close(code, "")).await;
        }
    }

    /// Returns the status of an end without a failure.
    fn judge(&self) -> ExitCode {
        if self.args.strict && self.printer.gaps > 0 { GAPS.into() } else { ExitCode::SUCCESS }
    }

    /// Returns the status when the time is up.
    fn judge_late(&self) -> Result<ExitCode, Failure> {
        if !self.was_open {
            let text = "the server could not be reached before --timeout";
            return Err(Failure::new(Exit::Unreachable, text));
        }
        let Some(count) = self.args.count else { return Ok(self.judge()) };
        complain(&format!(
            "sockeye: {} of {count} messages before --timeout",
            self.printer.messages
        ));
        Ok(LATE.into())
    }
}

/// Returns why a connection ended.
fn end_of(ws: &WebSocket) -> Refusal {
    ws.close_info().map_or_else(Refusal::lost, Refusal::of_close)
}

const SUBPROTOCOL: &str = "sockeye.v1.json";

/// The status when messages were missing and `--strict` was given.
const GAPS: u8 = 4;

/// The status when `--timeout` came before `--count` messages.
const LATE: u8 = 5;

/// How long a closing handshake may take, and the output the last words after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// The end of `--help`.
const HELP: &str = "\
Exit status:
    0  done: --count messages came, --timeout is over, the server closed with 1000, or nobody reads
    1  the server refused: its code and words are on standard error
    2  wrong URL or flag
    3  the server could not be reached before --timeout, or TLS failed at first
    4  messages were missing, and --strict was given
    5  --timeout came before --count messages
  130  Ctrl-C (143: SIGTERM)";
