//! A conversation: two loops over the two halves of the connection, one that prints and one that sends,
//! and the causes that end it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use sockeye::{CloseCode, CloseInfo, Error, Event, Message, Receiver, Sender, Side};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::args::Args;
use super::commands::{self, Line};
use super::editor::{Action, Editor};
use crate::client::exit::{Exit, Failure};
use crate::client::input::{self, Separator, Splitter};
use crate::client::output::Output;
use crate::client::signals::Signals;
use crate::terminal;

/// A conversation.
pub(super) struct Talk<'a> {
    args: &'a Args,
    output: Output,
    editing: bool,
    sender: Sender,
    /// When a message was last printed; `None` while one waits for its reader.
    heard: Cell<Option<Instant>>,
}

/// Why this end closes.
enum Cause {
    /// Nothing more is to be sent, or the message that was wanted has come.
    Done,
    /// Nobody reads standard output any more, or it fails.
    OutputGone(Option<Failure>),
    /// The input cannot be sent.
    BadInput(Failure),
    Signal(Exit),
}

impl<'a> Talk<'a> {
    /// Begins a conversation; with `editing`, lines are edited here.
    pub(super) fn new(args: &'a Args, output: Output, sender: Sender, editing: bool) -> Self {
        Self { args, output, editing, sender, heard: Cell::new(Some(Instant::now())) }
    }

    /// Talks until either end has had enough, then closes.
    pub(super) async fn hold(
        self,
        receiver: Receiver,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let (tell, got_one) = watch::channel(false);
        let mut getting_one = got_one.clone();
        let mut printing = Box::pin(self.print(receiver, tell));
        let cause = tokio::select! {
            biased;
            exit = signals.first() => Cause::Signal(exit),
            failure = self.output.gone() => Cause::OutputGone(failure),
            Ok(_) = getting_one.wait_for(|got| *got), if self.args.one => Cause::Done,
            ended = &mut printing => {
                let result = match ended {
                    _ if self.args.one && *got_one.borrow() => Ok(Exit::Success),
                    Err(error) => Err(Failure::broken(&error)),
                    Ok(info) => self.judge_close(info).await,
                };
                return self.finish(signals, result).await;
            }
            typed = self.while_output_flows(self.type_in()) => match typed {
                Ok(()) => Cause::Done,
                Err(failure) => Cause::BadInput(failure),
            },
        };
        let code = match &cause {
            Cause::Done | Cause::BadInput(_) => CloseCode::NORMAL,
            Cause::OutputGone(_) | Cause::Signal(_) => CloseCode::AWAY,
        };
        if code == CloseCode::AWAY {
            self.output.discard();
        }
        // The closing handshake has its deadline in the library, but a reader of the output who is
        // slow has as long as it takes: what came before is still printed.
        let closing = async {
            let _ = timeout(GRACE, self.sender.close(code, "")).await;
            printing.await
        };
        tokio::select! {
            biased;
            exit = signals.first(), if !matches!(cause, Cause::Signal(_)) => return Ok(exit),
            closed = closing => self.report_close(&closed).await,
        }
        match cause {
            Cause::Signal(exit) => {
                self.output.prompt(String::new());
                let _ = timeout(GRACE, self.output.finish()).await;
                Ok(exit)
            }
            Cause::OutputGone(None) => Ok(Exit::Success),
            Cause::OutputGone(Some(failure)) => Err(failure),
            Cause::Done => self.finish(signals, Ok(Exit::Success)).await,
            Cause::BadInput(failure) => self.finish(signals, Err(failure)).await,
        }
    }

    /// Prints what is received until the connection has ended.
    async fn print(
        &self,
        mut receiver: Receiver,
        got_one: watch::Sender<bool>,
    ) -> Result<Option<CloseInfo>, Error> {
        while let Some(event) = receiver.event().await? {
            match event {
                Event::Message(_) if self.args.one && *got_one.borrow() => {}
                Event::Message(message) => {
                    got_one.send_replace(true);
                    self.print_message(message).await;
                }
                event if self.args.verbose => self.output.notice(&describe(&event)).await,
                _ => {}
            }
        }
        Ok(receiver.close_info())
    }

    /// Runs `future`, but for the time in which a message waits for the reader of the output.
    ///
    /// Nothing is received then, and a sender alone would mistake that for a server that is silent,
    /// and give it up. Both are polled by one task, so the end of the wait is noticed here.
    async fn while_output_flows<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| match self.heard.get() {
            Some(_) => future.as_mut().poll(cx),
            None => Poll::Pending,
        })
        .await
    }

    async fn print_message(&self, message: Message) {
        self.heard.set(None);
        self.output.message(message).await;
        self.heard.set(Some(Instant::now()));
    }

    /// Judges an end that the server brought about; one that a command did is well.
    async fn judge_close(&self, info: Option<CloseInfo>) -> Result<Exit, Failure> {
        let info = info.filter(|info| info.by != Side::Local);
        let Some(info) = info else { return Ok(Exit::Success) };
        let normal = info.code == CloseCode::NORMAL;
        if !self.args.quiet && (!normal || self.args.verbose || self.editing) {
            let (code, reason) = (info.code.get(), &info.reason);
            self.output.notice(&format!("closed code={code} reason={reason}")).await;
        }
        if self.args.one {
            let text = "the server closed before a message came";
            return Err(Failure::new(Exit::Failure, text));
        }
        if self.args.fail_on_close && !normal { Ok(Exit::Failure) } else { Ok(Exit::Success) }
    }

    /// Tells those who want to know how our own closing went.
    async fn report_close(&self, closed: &Result<Option<CloseInfo>, Error>) {
        if self.args.verbose {
            let text = match closed {
                Ok(Some(info)) => format!("closed code={}", info.code.get()),
                Ok(None) => "closed".to_owned(),
                Err(error) => format!("closed without an answer: {error}"),
            };
            self.output.notice(&text).await;
        }
    }

    /// Waits until all that was received is written, unless a signal comes first.
    async fn finish(
        &self,
        signals: &mut Signals,
        result: Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        self.output.prompt(String::new());
        tokio::select! {
            biased;
            exit = signals.first() => Ok(exit),
            failure = self.output.finish() => failure.map_or(result, Err),
        }
    }

    /// Sends what the flags say and the input brings. Returns when this end should close; a
    /// connection that ends meanwhile is noticed by `print`.
    async fn type_in(&self) -> Result<(), Failure> {
        for message in &self.args.messages {
            self.send(message.as_str()).await;
        }
        if self.editing { self.send_typed().await } else { self.send_piped().await }
    }

    async fn send_piped(&self) -> Result<(), Failure> {
        let mut chunks = input::read_stdin();
        let separator = if self.args.null { Separator::Null } else { Separator::Line };
        let mut splitter = Splitter::new(separator, self.args.max_message);
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|error| input::unreadable(&error))?;
            if self.args.binary && !io::stdin().is_terminal() {
                self.send(chunk).await;
            } else {
                self.send_lines(&mut splitter, &chunk).await?;
            }
        }
        if let Some(last) = splitter.finish()? {
            self.send_line(last).await;
        }
        self.wait_for_replies().await
    }

    async fn send_lines(&self, splitter: &mut Splitter, mut chunk: &[u8]) -> Result<(), Failure> {
        while !chunk.is_empty() {
            match splitter.next(&mut chunk) {
                Ok(Some(line)) => self.send_line(line).await,
                Ok(None) => {}
                Err(failure) => {
                    self.flush().await;
                    return Err(failure);
                }
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Sends a line of standard input; queued only, unless too much is.
    async fn send_line(&self, line: String) {
        let line: Message = if self.args.binary { line.into_bytes().into() } else { line.into() };
        unless_closed(self.sender.feed(line).await).await;
    }

    /// Waits after the input's end.
    async fn wait_for_replies(&self) -> Result<(), Failure> {
        self.flush().await;
        if self.args.no_close || self.args.one && self.args.wait.is_none() {
            return std::future::pending().await;
        }
        let wait = self.args.wait.unwrap_or(DEFAULT_WAIT);
        if self.args.one {
            sleep(wait).await;
            let text = format!("no message within {} s; raise --wait", wait.as_secs_f64());
            return Err(Failure::new(Exit::Timeout, text));
        }
        // The pong tells that all has arrived; replies may come behind it, since a server may
        // answer a ping before messages that it has read and not worked on.
        unless_closed(self.sender.ping().await).await;
        self.wait_for_silence(wait).await;
        Ok(())
    }

    /// Waits until no message has been printed for `wait`, or has for too many times that.
    async fn wait_for_silence(&self, wait: Duration) {
        let started = Instant::now();
        let mut left = wait.saturating_mul(LONGEST_WAIT);
        loop {
            // Time in which the reader of the output takes nothing says nothing of the server.
            let Some(heard) = self.heard.get() else {
                sleep(wait.max(BUSY)).await;
                continue;
            };
            let more = wait.saturating_sub(heard.max(started).elapsed());
            if more.is_zero() || left.is_zero() {
                return;
            }
            sleep(more.min(left)).await;
            left = left.saturating_sub(more);
        }
    }

    async fn send_typed(&self) -> Result<(), Failure> {
        let mut chunks = input::read_stdin();
        let mut editor = Editor::default();
        self.output.prompt(editor.draw(terminal::width()));
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|error| input::unreadable(&error))?;
            for action in editor.type_in(&chunk) {
                match action {
                    Action::Enter(line) => self.obey(line).await,
                    Action::End => return Ok(()),
                }
            }
            self.output.prompt(editor.draw(terminal::width()));
        }
        Ok(())
    }

    /// Does what a typed line asks for.
    async fn obey(&self, line: String) {
        if line.is_empty() {
            return;
        }
        self.output.typed(&line);
        match Line::parse(line) {
            Line::Message(text) if self.args.binary => self.send(text.into_bytes()).await,
            Line::Message(text) => self.send(text).await,
            Line::Binary(bytes) => self.send(bytes).await,
            Line::Ping => {
                let (sender, output) = (self.sender.clone(), self.output.clone());
                tokio::spawn(async move {
                    if let Ok(rtt) = sender.ping().await {
                        output.notice(&format!("pong after {rtt:.1?}")).await;
                    }
                });
            }
            Line::Close(code, reason) => {
                unless_closed(self.sender.close(code, &reason).await).await;
            }
            Line::Help => {
                for line in commands::HELP {
                    self.output.notice(line).await;
                }
            }
            Line::Mistake(text) => self.output.notice(&text).await,
        }
    }

    async fn send(&self, message: impl Into<Message>) {
        unless_closed(self.sender.send(message).await).await;
    }

    async fn flush(&self) {
        unless_closed(self.sender.flush().await).await;
    }
}

/// Stands still after a send that failed: the connection is over, and `print` tells how it ended.
async fn unless_closed<T>(sent: sockeye::Result<T>) {
    if sent.is_err() {
        std::future::pending::<()>().await;
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Ping(payload) => format!("ping of {} bytes, answered", payload.len()),
        Event::Pong { rtt: Some(rtt), .. } => format!("pong after {rtt:.1?}"),
        Event::Pong { payload, .. } => format!("pong of {} bytes", payload.len()),
        Event::Closing(frame) => {
            format!("close received code={} reason={}", frame.code.get(), frame.reason)
        }
        _ => "event".to_owned(),
    }
}

/// How long late replies are awaited after the input's end.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// How many times as long replies that do not pause are awaited.
const LONGEST_WAIT: u32 = 30;

/// How often it is looked whether an output that was blocked is read again, at most.
const BUSY: Duration = Duration::from_millis(20);

/// How long a transport may take a Close frame, and the output the last words after a signal.
const GRACE: Duration = Duration::from_secs(1);
