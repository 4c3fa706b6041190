//! Plays one case: decides, byte by byte in and act by act out, what the tester does next.
//!
//! Does no I/O and reads no clock: whoever owns the connection asks for the next [`Act`], carries it
//! out, and reports what came in and when. Times count from the beginning of the case. Judging what happened is left to `judge.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::case::{Action, Case, Client, Echoes, FrameForm, Script, Seen, Source};
use crate::fuzzer::Fuzzer;
use crate::judge;
use crate::log::By;
use crate::opening::{ClientOpening, Opened, ServerOpening, Strict};
use crate::report::CaseResult;
use crate::wire::deflate::{Agreed, Codec};
use crate::wire::frame::{BINARY, CONTINUATION, TEXT};
use crate::wire::http::Head;

/// What the tester does next on its connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Writes bytes, and takes in what comes meanwhile.
    Write(Vec<u8>),
    /// Takes in what comes; at the latest at this time asks again.
    Read {
        /// When to ask again at the latest.
        until: Duration,
    },
    /// Leaves unread what comes, up to this time.
    Stall {
        /// When to read on.
        until: Duration,
    },
    /// Ends its own direction of the connection.
    HalfClose,
    /// Drops the connection; the case is over.
    Drop,
}

/// How a peer ended the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In good order.
    Eof,
    /// By a reset, or an error that amounts to it.
    Reset,
}

/// The end that ended the transport first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    Peer(Ended),
    /// The tester, as a server does after both Close frames.
    TesterAfterClose,
    /// The tester, because nothing happened any more.
    TesterGaveUp,
}

/// How a case went, for the judge.
pub(crate) struct Record {
    pub(crate) fuzzer: Fuzzer,
    pub(crate) dropped: Option<Dropped>,
    pub(crate) opening: Option<Strict>,
    /// The peer refused the handshake, as it should.
    pub(crate) refused: bool,
    pub(crate) lacks_compression: bool,
    /// What the run of echoes or the handshake lacks.
    pub(crate) failure: Option<String>,
    /// The tester plays the client.
    pub(crate) is_client: bool,
}

/// One case in play, for whoever carries it out.
///
/// Times count from the beginning of the case. Ask for the [`next`](Self::next) act until it is
/// [`Act::Drop`], then for the [`result`](Self::result).
pub struct Player {
    case: Arc<Case>,
    phase: Phase,
    record: Record,
    /// Writes of the opening, with pauses between them.
    head: VecDeque<Vec<u8>>,
    steps: VecDeque<Action>,
    /// When the step that waits is over, and whether it is a stall.
    wait: Option<Wait>,
    /// How many echoes have been asked for, and how many are in.
    asked: usize,
    echoed: usize,
    /// The tester has ended its direction of a connection that is closed.
    half_closed: bool,
    /// Nothing may take longer than this.
    deadline: Duration,
    inbox: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    /// The request is out or on its way; the answer is not in.
    Asking(Box<ClientOpening>),
    /// The response is out; the client must end the connection.
    Refusing(Probe),
    /// The server refused, and must end the connection.
    Refused {
        until: Duration,
    },
    Playing,
    /// Nothing more to send: the transport must end.
    Ending {
        until: Duration,
    },
    Over,
}

/// Whether a client that must refuse the response has been asked for an echo.
#[derive(Debug)]
enum Probe {
    /// The response is on its way.
    NotYet,
    /// It will be, unless it is gone by then.
    At(Duration),
    /// It has been: one that took the response gives itself away.
    Sent,
}

#[derive(Debug)]
struct Wait {
    until: Duration,
    then: Then,
}

#[derive(Debug)]
enum Then {
    GoOn,
    Note(Option<String>),
    Stalled,
    Close,
    Drop,
}

impl Player {
    /// Plays the client to a server under test that answers at `host` and `path`. The nonce makes
    /// the handshake's key.
    pub fn to_server(case: Arc<Case>, host: &str, path: &str, nonce: [u8; 16]) -> Self {
        let mut opening = ClientOpening::new(&case, host, path, nonce);
        let request = std::mem::take(&mut opening.request);
        let mut player = Self::new(case, Phase::Asking(Box::new(opening)), true);
        player.record.fuzzer.record(By::Tester, "the request".into(), &request, &request);
        player.await_answer(request);
        player
    }

    /// Plays the server to a client under test, whose request's head is in.
    ///
    /// # Errors
    /// The bytes are no head of a request, or not a whole one.
    pub fn to_client(case: Arc<Case>, request: &[u8]) -> Result<Self, String> {
        let head = Head::read(request)?.ok_or("the request is not complete")?;
        Ok(Self::answering(case, &head))
    }

    /// Plays the server to a client under test, whose request has been read.
    pub(crate) fn answering(case: Arc<Case>, request: &Head) -> Self {
        let opening = ServerOpening::new(&case, request);
        let mut player = Self::new(case, Phase::Playing, false);
        match opening {
            Ok(opening) => {
                let response = opening.response;
                player.record.fuzzer.record(
                    By::Tester,
                    "the response".into(),
                    &response,
                    &response,
                );
                player.await_answer(response);
                player.record.opening = Some(match opening.client {
                    Client::MayWork => Strict::No,
                    Client::Works | Client::Fails | Client::MayFail => Strict::Yes,
                });
                if opening.client == Client::Fails {
                    player.phase = Phase::Refusing(Probe::NotYet);
                } else if opening.lacks_compression {
                    player.give_up_compression();
                }
                player.agree(opening.agreed);
            }
            Err(problem) => player.fail(problem),
        }
        player
    }

    fn new(case: Arc<Case>, phase: Phase, is_client: bool) -> Self {
        let (steps, deadline) = match &case.script {
            Script::Actions { send, .. } => {
                let waits: Duration = send.iter().map(duration).sum();
                (send.iter().cloned().collect(), PATIENCE + waits)
            }
            Script::Echoes(echoes) => (VecDeque::new(), PATIENCE + echoes.timeout),
        };
        let record = Record {
            fuzzer: Fuzzer::new(is_client),
            dropped: None,
            opening: None,
            refused: false,
            lacks_compression: false,
            failure: None,
            is_client,
        };
        Self {
            case,
            phase,
            record,
            head: VecDeque::new(),
            steps,
            wait: None,
            asked: 0,
            echoed: 0,
            half_closed: false,
            deadline,
            inbox: Vec::new(),
        }
    }

    /// Returns what to do next.
    pub fn next(&mut self, now: Duration) -> Act {
        self.record.fuzzer.now = now;
        loop {
            if self.record.dropped.is_some() || matches!(self.phase, Phase::Over) {
                return Act::Drop;
            }
            if now >= self.deadline && !matches!(self.phase, Phase::Ending { .. }) {
                self.time_is_up(now);
            }
            if let Some(act) = self.pending(now) {
                return act;
            }
            if let Some(act) = self.step(now) {
                return act;
            }
        }
    }

    /// Takes in what the peer wrote.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        self.record.fuzzer.now = now;
        if let Phase::Asking(opening) = &self.phase {
            self.inbox.extend_from_slice(bytes);
            let opened = opening.read(&self.inbox);
            self.opened(opened, now);
            return;
        }
        if matches!(self.phase, Phase::Refused { .. }) {
            self.inbox.extend_from_slice(bytes);
            return;
        }
        if matches!(self.phase, Phase::Refusing(_)) {
            self.record.fuzzer.record(By::Peer, format!("{} bytes", bytes.len()), bytes, bytes);
            self.fail("the client took the response and sent a frame".into());
            return;
        }
        self.take(bytes);
    }

    /// Takes in that the peer ended the transport.
    pub fn ended(&mut self, ended: Ended, now: Duration) {
        self.record.fuzzer.now = now;
        let what = match ended {
            Ended::Eof => "the end of the connection",
            Ended::Reset => "a reset of the connection",
        };
        self.record.fuzzer.record(By::Peer, what.into(), &[], &[]);
        if let Phase::Asking(opening) = &self.phase {
            let opened = opening.ended();
            self.opened(opened, now);
        }
        if matches!(self.phase, Phase::Refusing(_)) {
            self.record.refused = true;
        }
        if matches!(self.phase, Phase::Refused { .. }) {
            self.end_refused(now);
        }
        self.refused_by_client();
        self.record.dropped.get_or_insert(Dropped::Peer(ended));
    }

    /// Ends a case in which the server refused; it should have answered once only.
    fn end_refused(&mut self, now: Duration) {
        self.phase = Phase::Ending { until: now };
        let answers = self.inbox.windows(7).filter(|window| window == b"HTTP/1.").count();
        if answers > 1 {
            self.record.opening = Some(Strict::No);
        }
    }

    /// Notes that a client which may take the response or not has ended the connection unused.
    fn refused_by_client(&mut self) {
        let strict = match self.case.opening.client {
            Client::MayFail => Strict::No,
            Client::MayWork => Strict::Yes,
            Client::Works | Client::Fails => return,
        };
        let fuzzer = &self.record.fuzzer;
        let unused = fuzzer.seen.is_empty() && fuzzer.received.is_none();
        if !self.record.is_client && unused && self.record.failure.is_none() {
            self.record.opening = Some(strict);
            self.record.refused = true;
        }
    }

    /// Tells the case's outcome.
    pub fn result(self, now: Duration) -> CaseResult {
        judge::judge(&self.case, &self.record, self.echoed, now)
    }

    /// Returns what is still to be written or waited for, if anything is.
    fn pending(&mut self, now: Duration) -> Option<Act> {
        // The end of a wait may queue a Close frame.
        if self.wait.as_ref().is_some_and(|wait| now >= wait.until) || self.cuts_wait_short() {
            self.end_wait();
        }
        // Frames that were queued while it waits, such as a pong, do not wait with it; the rest of
        // a head and what follows a stall do.
        let may_write = self
            .wait
            .as_ref()
            .is_none_or(|wait| matches!(wait.then, Then::Close | Then::Drop | Then::Note(_)));
        if may_write
            && self.head.is_empty()
            && let Some(bytes) = self.record.fuzzer.next_write()
        {
            return Some(Act::Write(bytes));
        }
        if let Some(wait) = &self.wait {
            let until = wait.until.min(self.deadline);
            return Some(match wait.then {
                Then::Stalled => Act::Stall { until },
                _ => Act::Read { until },
            });
        }
        let chunk = self.head.pop_front()?;
        if !self.head.is_empty() && !self.case.opening.pause.is_zero() {
            self.wait = Some(Wait { until: now + self.case.opening.pause, then: Then::GoOn });
        }
        Some(Act::Write(chunk))
    }

    /// Goes one step on; `None` to look again for what is pending.
    fn step(&mut self, now: Duration) -> Option<Act> {
        let closed = self.record.fuzzer.received.is_some();
        let broken = self.record.failure.is_some() || self.record.fuzzer.violation.is_some();
        match &self.phase {
            Phase::Asking(_) => Some(Act::Read { until: self.deadline }),
            Phase::Refusing(Probe::NotYet) => {
                self.phase = Phase::Refusing(Probe::At(now + REFUSAL));
                None
            }
            Phase::Refusing(Probe::At(until)) if now < *until => Some(Act::Read { until: *until }),
            Phase::Refusing(Probe::At(_)) => {
                self.record.fuzzer.message(TEXT, b"Hello", None);
                self.phase = Phase::Refusing(Probe::Sent);
                None
            }
            Phase::Refusing(Probe::Sent) => Some(Act::Read { until: self.deadline }),
            Phase::Refused { until } if now < *until => Some(Act::Read { until: *until }),
            Phase::Refused { .. } => {
                // To keep a connection for another request is HTTP's right.
                self.record.opening = Some(Strict::No);
                self.end_refused(now);
                None
            }
            Phase::Playing if closed || broken => {
                self.end(now);
                None
            }
            Phase::Playing => self.play(now),
            Phase::Ending { until } => {
                let until = *until;
                let by_close = self.is_closed() && !self.record.is_client;
                if by_close && !broken && !self.half_closed {
                    // The server ends TCP, but hears whether the client still has something to say.
                    self.half_closed = true;
                    self.phase = Phase::Ending { until: now + LAST_WORDS };
                    self.record.fuzzer.record(By::Tester, "ends its direction".into(), &[], &[]);
                    return Some(Act::HalfClose);
                }
                if broken || now >= until {
                    self.record.dropped = Some(match by_close {
                        true => Dropped::TesterAfterClose,
                        false => Dropped::TesterGaveUp,
                    });
                    self.record.fuzzer.record(By::Tester, "drops the connection".into(), &[], &[]);
                    self.phase = Phase::Over;
                    return Some(Act::Drop);
                }
                Some(Act::Read { until })
            }
            Phase::Over => Some(Act::Drop),
        }
    }

    /// Does the next action of the script.
    fn play(&mut self, now: Duration) -> Option<Act> {
        let case = self.case.clone();
        if let Script::Echoes(echoes) = &case.script {
            return self.play_echoes(echoes, now);
        }
        // What is sent without a wait between leaves together: an answer to the first of it must not
        // come before the last.
        let sends = self.steps.iter().take_while(|action| action.only_sends()).count();
        if sends > 0 {
            for action in self.steps.drain(..sends).collect::<Vec<_>>() {
                self.act(&action, now);
            }
            return None;
        }
        match self.steps.pop_front() {
            Some(Action::HalfClose) => {
                self.record.fuzzer.record(By::Tester, "ends its direction".into(), &[], &[]);
                return Some(Act::HalfClose);
            }
            Some(action) => self.act(&action, now),
            // Without news for a while a case is over, as if it said so; one that expects no news
            // is closed.
            None => {
                let quiet = |expect: &Vec<Seen>| judge::fits(expect, &self.record.fuzzer.seen);
                let then = match &case.script {
                    Script::Actions { then_close: true, .. }
                        if case.expect.as_ref().is_some_and(quiet) =>
                    {
                        Then::Close
                    }
                    _ => Then::Drop,
                };
                self.wait = Some(Wait { until: now + SILENCE, then });
            }
        }
        None
    }

    fn act(&mut self, action: &Action, now: Duration) {
        let mut wait = |time: &Duration, then| self.wait = Some(Wait { until: now + *time, then });
        match action {
            Action::Wait { time, note } => wait(time, Then::Note(note.clone())),
            Action::Stall(time) => wait(time, Then::Stalled),
            Action::CloseAfter(time) => wait(time, Then::Close),
            Action::DropAfter(time) => wait(time, Then::Drop),
            Action::AutoFragment(length) => self.record.fuzzer.auto_fragment(*length),
            Action::Close { code, reason } => self.record.fuzzer.close(*code, &reason.bytes(0)),
            Action::Cuts(actions) => self.send_cuts(actions),
            Action::Repeat(times, action) => {
                for turn in 0..*times {
                    self.send(action, turn);
                }
            }
            other => self.send(other, 0),
        }
    }

    /// Does an action that only sends.
    fn send(&mut self, action: &Action, turn: usize) {
        let fuzzer = &mut self.record.fuzzer;
        match action {
            Action::Frame(form) => fuzzer.frame(form, turn),
            Action::Message { opcode, payload, fragment } => {
                fuzzer.message(*opcode, &payload.bytes(turn), *fragment);
            }
            Action::Begin { opcode, length } => fuzzer.begin(*opcode, *length),
            Action::Part(payload) => fuzzer.part(&payload.bytes(turn)),
            Action::Raw(payload) => fuzzer.raw(&payload.bytes(turn)),
            Action::End => {
                fuzzer.frame(&FrameForm { opcode: CONTINUATION, ..FrameForm::default() }, turn);
            }
            _ => {}
        }
    }

    /// Sends the bytes of some actions once for each place where they can be cut.
    fn send_cuts(&mut self, actions: &[Action]) {
        let build = |fuzzer: &mut Fuzzer| {
            let mut bytes = Vec::new();
            for action in actions {
                match action {
                    Action::Frame(form) => bytes.extend(fuzzer.build(form, 0)),
                    Action::Message { opcode, payload, fragment } => {
                        bytes.extend(fuzzer.build_message(*opcode, &payload.bytes(0), *fragment));
                    }
                    Action::Raw(payload) => bytes.extend(payload.bytes(0)),
                    _ => {}
                }
            }
            bytes
        };
        let length = build(&mut self.record.fuzzer).len();
        for cut in 1..length {
            let mut bytes = build(&mut self.record.fuzzer);
            let rest = bytes.split_off(cut);
            self.record.fuzzer.write_alone(bytes);
            self.record.fuzzer.write_alone(rest);
        }
    }

    /// Sends the next message if the echo of the one before is in.
    fn play_echoes(&mut self, echoes: &Echoes, now: Duration) -> Option<Act> {
        if self.echoed == echoes.count {
            let compresses = matches!(echoes.source, Source::Sample(_)) && echoes.length >= 4096;
            if compresses && self.record.fuzzer.inflated() == Some(0) {
                self.fail("no echo was compressed".into());
                return None;
            }
            self.close(now);
            return None;
        }
        if self.asked > self.echoed {
            return Some(Act::Read { until: self.deadline });
        }
        self.asked += 1;
        let payload = echo_payload(echoes, self.echoed);
        let opcode = if echoes.text { TEXT } else { BINARY };
        if let Some(chop) = echoes.chop {
            let payload = crate::case::Payload::Bytes(payload.into_owned());
            let form = FrameForm { opcode, payload, chop: Some(chop), ..FrameForm::default() };
            self.record.fuzzer.frame(&form, 0);
        } else {
            self.record.fuzzer.message(opcode, &payload, echoes.fragment);
        }
        None
    }

    /// Takes in bytes of frames.
    fn take(&mut self, bytes: &[u8]) {
        let before = self.record.fuzzer.seen.len();
        self.record.fuzzer.receive(bytes);
        let case = self.case.clone();
        match &case.script {
            Script::Echoes(echoes) => self.take_echo(echoes),
            Script::Actions { then_close, .. } => {
                let fuzzer = &mut self.record.fuzzer;
                let complete = *then_close
                    && fuzzer.sent.is_none()
                    && fuzzer.seen.len() > before
                    && judge::is_complete(&case, &fuzzer.seen);
                if complete {
                    fuzzer.close(Some(1000), &[]);
                }
            }
        }
    }

    fn take_echo(&mut self, echoes: &Echoes) {
        let Some(seen) = self.record.fuzzer.seen.pop() else { return };
        let payload = echo_payload(echoes, self.echoed);
        let is_echo = match &seen {
            Seen::Text(echo) => echoes.text && *echo == *payload,
            Seen::Binary(echo) => !echoes.text && *echo == *payload,
            _ => false,
        };
        if is_echo && self.record.fuzzer.seen.is_empty() {
            self.echoed += 1;
        } else {
            let problem = format!("instead of echo {}: {}", self.echoed + 1, judge::tell(&seen));
            self.fail(problem);
        }
    }

    /// Goes on from an answer to the request.
    fn opened(&mut self, opened: Opened, now: Duration) {
        let problem = match opened {
            Opened::Unfinished => return,
            Opened::Open { size, agreed, strict } => {
                let inbox = std::mem::take(&mut self.inbox);
                let (head, rest) = inbox.split_at(size.min(inbox.len()));
                self.record.fuzzer.record(By::Peer, "the answer".into(), head, head);
                self.record.opening = Some(strict);
                self.phase = Phase::Playing;
                if self.case.opening.patience.is_some() {
                    // That was for the answer; what follows has time of its own.
                    self.deadline += PATIENCE;
                }
                self.agree(agreed);
                if !rest.is_empty() {
                    self.take(rest);
                }
                return;
            }
            Opened::Refused { strict } => {
                self.record.opening = Some(strict);
                self.record.refused = true;
                None
            }
            Opened::NoCompression => {
                self.record.opening = Some(Strict::Yes);
                self.phase = Phase::Playing;
                self.give_up_compression();
                return;
            }
            Opened::Wrong(problem) => Some(problem),
        };
        let answer = std::mem::take(&mut self.inbox);
        if !answer.is_empty() {
            self.record.fuzzer.record(By::Peer, "the answer".into(), &answer, &answer);
        }
        // What is left of the request no longer matters.
        self.head.clear();
        self.wait = None;
        let answered = problem.is_none() && !answer.is_empty();
        if let Some(problem) = problem {
            self.fail(problem);
        }
        if answered && self.case.opening.last {
            self.inbox = answer;
            self.phase = Phase::Refused { until: now + CLOSING };
            return;
        }
        self.phase = Phase::Ending { until: now };
    }

    fn agree(&mut self, agreed: Option<Agreed>) {
        let codec = agreed.map(|agreed| match self.record.is_client {
            true => Codec::new(agreed.client, agreed.server),
            false => Codec::new(agreed.server, agreed.client),
        });
        if let Some(codec) = codec {
            self.record.fuzzer.set_codec(codec);
        }
    }

    fn give_up_compression(&mut self) {
        self.record.lacks_compression = true;
        self.record.fuzzer.close(Some(1000), &[]);
        self.steps.clear();
        self.wait = None;
        self.phase = Phase::Ending { until: self.record.fuzzer.now + CLOSING };
    }

    fn time_is_up(&mut self, now: Duration) {
        let opened = match &self.phase {
            Phase::Asking(opening) => opening.timed_out(),
            _ => None,
        };
        match opened {
            Some(opened) => self.opened(opened, now),
            None => self.fail(format!("time is up after {} s", self.deadline.as_secs())),
        }
    }

    /// Ends the case as failed.
    pub(crate) fn fail(&mut self, problem: String) {
        self.record.failure.get_or_insert(problem);
        self.wait = None;
        self.phase = Phase::Ending { until: self.record.fuzzer.now };
    }

    /// Starts the closing handshake unless it has begun, and waits for the end.
    fn close(&mut self, now: Duration) {
        if self.record.fuzzer.sent.is_none() {
            self.record.fuzzer.close(Some(1000), &[]);
        }
        self.end(now);
    }

    fn end(&mut self, now: Duration) {
        self.steps.clear();
        self.wait = None;
        self.phase = Phase::Ending { until: now + CLOSING };
    }

    fn end_wait(&mut self) {
        let now = self.record.fuzzer.now;
        let Some(wait) = self.wait.take() else { return };
        let closed = self.record.fuzzer.received.is_some();
        match wait.then {
            Then::Note(Some(note)) if !closed => self.record.fuzzer.seen.push(Seen::Open(note)),
            Then::GoOn | Then::Note(_) | Then::Stalled => {}
            Then::Close => self.close(now),
            Then::Drop => self.end(now),
        }
    }

    /// Tells whether what happened makes it idle to wait on.
    fn cuts_wait_short(&self) -> bool {
        let fuzzer = &self.record.fuzzer;
        let playing = matches!(self.phase, Phase::Playing);
        playing && (fuzzer.received.is_some() || fuzzer.violation.is_some())
    }

    fn is_closed(&self) -> bool {
        self.record.fuzzer.sent.is_some() && self.record.fuzzer.received.is_some()
    }

    /// Lays a head ready to be written, and allows for the time that this and the answer take.
    fn await_answer(&mut self, head: Vec<u8>) {
        let opening = &self.case.opening;
        self.head = match opening.chop {
            Some(length) => head.chunks(length.max(1)).map(<[u8]>::to_vec).collect(),
            None => [head].into(),
        };
        let pauses = u32::try_from(self.head.len()).unwrap_or(u32::MAX);
        self.deadline += opening.pause.saturating_mul(pauses);
        if let Some(patience) = opening.patience {
            self.deadline = self.deadline.saturating_sub(PATIENCE) + patience;
        }
    }
}

/// Returns the payload of a message whose echo is asked for.
fn echo_payload(echoes: &Echoes, number: usize) -> std::borrow::Cow<'_, [u8]> {
    match &echoes.source {
        Source::Sample(kind) => kind.sample().window(number, echoes.length, echoes.text).into(),
        Source::Pattern(pattern) => {
            let bytes = pattern.iter().copied().cycle().take(echoes.length);
            bytes.collect::<Vec<u8>>().into()
        }
    }
}

/// Returns how long an action waits.
fn duration(action: &Action) -> Duration {
    match action {
        Action::Wait { time, .. } => *time,
        Action::Stall(time) | Action::CloseAfter(time) | Action::DropAfter(time) => *time,
        _ => Duration::ZERO,
    }
}

/// How long a peer may take for what is asked of it beyond the waits of the case.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client that must refuse may take before it is asked for an echo.
const REFUSAL: Duration = Duration::from_millis(500);

/// How long the transport may take to end once the case is through.
const CLOSING: Duration = Duration::from_secs(2);

/// How long the tester as a server listens after both Close frames.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a case without an end of its own waits for news.
const SILENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
