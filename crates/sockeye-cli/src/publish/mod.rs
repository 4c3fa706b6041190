//! `sockeye pub`: publishes messages over HTTP, each once.
//!
//! Every message has a key of its own, under which the server takes it once: where an answer is lost,
//! it is asked for again.

mod args;
mod messages;
mod post;

use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::Value;
use sockeye::Message;
use tokio::time::sleep;

use crate::client::backoff::{Backoff, Pace};
use crate::client::exit::{Exit, Failure};
use crate::client::output::{Output, complain};
use crate::client::show::Form;
use crate::client::signals::Signals;

pub(crate) use args::Args;
use messages::{Messages, Payload};
use post::{Answer, Lost, Poster, label};

/// Runs the command, and tells on standard error what went wrong.
pub(crate) async fn run(args: Args) -> Exit {
    match publish(&args).await {
        Ok(exit) => exit,
        Err(failure) => {
            complain(&format!("sockeye: {}", failure.text));
            failure.exit
        }
    }
}

async fn publish(args: &Args) -> Result<Exit, Failure> {
    args.check()?;
    let signals = Signals::listen();
    let mut signals = signals
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot catch signals: {error}")))?;
    args.server.tls.warn();
    let mut publisher = Publisher::new(args)?;
    let output = Output::start(Form::Raw(b'\n'));
    let published = tokio::select! {
        biased;
        exit = signals.first() => Ok(exit),
        published = publisher.run(&output) => published.map(|()| Exit::Success),
    };
    tokio::select! {
        biased;
        exit = signals.first() => Ok(exit),
        // Nobody may be reading the ids; the messages are published all the same.
        _ = output.finish() => published,
    }
}

/// Publishes one message after the other.
struct Publisher<'a> {
    args: &'a Args,
    poster: Poster,
    key: String,
    /// Messages begun so far.
    count: u64,
}

/// How an attempt failed that may be made again.
struct Attempt {
    exit: Exit,
    text: String,
    retry_after: Option<Duration>,
}

impl<'a> Publisher<'a> {
    fn new(args: &'a Args) -> Result<Self, Failure> {
        let key = match &args.key {
            Some(key) => key.clone(),
            None => random_key()?,
        };
        Ok(Self { args, poster: Poster::new(args)?, key, count: 0 })
    }

    async fn run(&mut self, output: &Output) -> Result<(), Failure> {
        let mut messages = Messages::new(self.args);
        while let Some(payload) = messages.next().await? {
            self.count += 1;
            let id = self.publish(&payload).await.map_err(|failure| self.placed(failure))?;
            if !self.args.quiet {
                output.message(Message::from(id)).await;
            }
        }
        Ok(())
    }

    /// Publishes a message and returns its id.
    async fn publish(&mut self, payload: &Payload) -> Result<String, Failure> {
        let key = label("--key", &self.message_key())?;
        let mut backoff = Backoff::new(Pace::default());
        let started = Instant::now();
        for left in (0..=self.args.retries).rev() {
            let attempt = match self.poster.post(payload, &key).await {
                Err(Lost(text)) => Attempt { exit: Exit::Unreachable, text, retry_after: None },
                Ok(answer) if is_transient(answer.status) => Attempt {
                    exit: Exit::Failure,
                    text: describe(&answer),
                    retry_after: answer.retry_after,
                },
                Ok(answer) => return judge(&answer),
            };
            let wait = backoff.failed(Instant::now(), attempt.retry_after);
            if left == 0 || started.elapsed() + wait > KEY_LIFE {
                return Err(Failure::new(attempt.exit, attempt.text));
            }
            if !self.args.quiet {
                let seconds = wait.as_secs_f64();
                complain(&format!("sockeye: {}; trying again in {seconds:.1} s", attempt.text));
            }
            sleep(wait).await;
        }
        Err(Failure::new(Exit::Unreachable, "no attempt was made"))
    }

    fn message_key(&self) -> String {
        if self.args.is_stream() || self.args.key.is_none() {
            format!("{}-{}", self.key, self.count)
        } else {
            self.key.clone()
        }
    }

    /// Says which of many messages failed.
    fn placed(&self, failure: Failure) -> Failure {
        if self.args.is_stream() {
            let text = format!("message {} of standard input: {}", self.count, failure.text);
            Failure { text, ..failure }
        } else {
            failure
        }
    }
}

/// Tells whether the server may take the same message later.
fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Returns the id that an answer has.
fn judge(answer: &Answer) -> Result<String, Failure> {
    let id = serde_json::from_slice::<Value>(&answer.body).ok();
    let id = id.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
    match id {
        Some(id) if answer.status == StatusCode::OK => Ok(id.to_owned()),
        _ => Err(Failure::new(Exit::Failure, describe(answer))),
    }
}

/// Says what an answer says, in one line.
fn describe(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str);
    let Some(code) = text("/error/code") else {
        let status = answer.status;
        return format!(
            "the server answered {status}, which is no Sockeye server's; check the URL"
        );
    };
    let mut line =
        format!("the server refused: {code}: {}", text("/error/message").unwrap_or_default());
    if let Some(last) = text("/last_id") {
        line.push_str(&format!(" (the last one is {last})"));
    }
    line
}

/// Draws a key that nobody else has.
fn random_key() -> Result<String, Failure> {
    let bits = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?)));
    let (high, low) =
        bits.map_err(|error| Failure::new(Exit::Usage, format!("no random numbers: {error}")))?;
    Ok(format!("{high:016x}{low:016x}"))
}

/// For how long a message is tried: within the five minutes for which the server knows its key.
const KEY_LIFE: Duration = Duration::from_secs(240);

/// The end of `--help`.
const HELP: &str = "\
Exit status:
    0  all messages are published
    1  the server refused one: its code and words are on standard error
    2  wrong URL, flag or input
    3  the server could not be reached, or did not answer
  130  Ctrl-C (143: SIGTERM)";
