//! A WebSocket that speaks `sockeye.v1.json`: the host of a [`Session`] on the reactor.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sockeye::CloseCode;
use sockeye_hub::{Label, Listener, TopicName};
use sockeye_proto::MessageRef;
use sockeye_proto::handler::Sent;
use sockeye_reactor::{Out, SLOW_CONSUMER};

use super::feed::Form;
use super::raw::From;
use crate::app::App;
use crate::auth::Moment;
use crate::clients::Topics;
use crate::guest::Guest;
use crate::protocol::{Host, Question, Session, Verdict};

/// A connection with its session.
pub(crate) struct Json {
    line: Line,
    /// `None` before it is opened.
    session: Option<Session>,
    client: Label,
    /// Topics to subscribe to at once.
    begin: Vec<TopicName>,
    from: From,
    alarm: Option<Instant>,
}

/// What a session's calls for its host go by.
struct Line {
    app: Arc<App>,
    guest: Arc<Guest>,
    /// What was found out for the session.
    inbox: Arc<Mutex<Vec<(u64, Verdict)>>>,
    /// The topics that the connection follows on the reactor.
    followed: Vec<TopicName>,
    /// The topics that it is subscribed to, for whoever looks for its clients.
    joined: Arc<Mutex<Vec<TopicName>>>,
}

/// The host of a session whose connection has ended.
struct Gone<'a>(&'a App);

/// The host of a session for the time of one call.
struct Call<'a, 'o> {
    line: &'a mut Line,
    out: &'a mut Out<'o>,
}

impl Json {
    /// Makes a connection that begins with topics.
    pub(crate) fn new(
        app: Arc<App>,
        guest: Arc<Guest>,
        client: Label,
        begin: Vec<TopicName>,
        from: From,
    ) -> Self {
        let line = Line {
            app,
            guest,
            inbox: Arc::default(),
            followed: Vec::new(),
            joined: Arc::default(),
        };
        Self { line, session: None, client, begin, from, alarm: None }
    }

    /// Tells who it is and where its topics are found.
    pub(super) fn introduce(&self) -> (Option<Arc<Guest>>, Topics) {
        (Some(self.line.guest.clone()), Topics::Changing(self.line.joined.clone()))
    }

    pub(super) fn open(&mut self, out: &mut Out<'_>) {
        let now = self.line.app.clock.moment();
        let (service, grant) = (self.line.app.service(), self.line.guest.grant.clone());
        let (line, begin) = (&mut self.line, std::mem::take(&mut self.begin));
        let host = &mut Call { line, out };
        let mut session = Session::open(service, self.client.clone(), grant, now, host);
        if !begin.is_empty() {
            match self.from {
                From::Arrival(id) => session.begin_at(begin, id, now, host),
                From::Cursor(since) => session.begin_with(begin, since, now, host),
            }
        }
        self.session = Some(session);
        self.set_alarm(out);
    }

    pub(super) fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        self.with(out, |session, now, host| match message {
            MessageRef::Text(text) => session.receive(text, now, host),
            MessageRef::Binary(_) => session.receive_binary(now, host),
        });
    }

    /// Takes what was found out, and does what is due.
    pub(super) fn wake(&mut self, out: &mut Out<'_>) {
        let answers = std::mem::take(&mut *self.line.lock_inbox());
        self.alarm = None;
        self.with(out, |session, now, host| {
            for (number, verdict) in answers {
                session.answered(number, verdict, now, host);
            }
            session.handle_timeout(now, host);
        });
    }

    /// Leaves all channels, so that one number tells what it has: what is published comes in order
    /// over all of them.
    pub(super) fn missed(&mut self, channel: &str, position: u64, out: &mut Out<'_>) {
        self.line.app.held_back(Form::Json, channel);
        for topic in std::mem::take(&mut self.line.followed) {
            out.unsubscribe(&Form::Json.channel(&topic));
        }
        if let Some(session) = &mut self.session {
            session.held_back(position);
        }
    }

    pub(super) fn drain(&mut self, out: &mut Out<'_>) {
        self.with(out, |session, now, host| session.resume(now, host));
    }

    pub(super) fn close(&mut self) {
        let now = self.line.app.clock.moment();
        if let Some(mut session) = self.session.take() {
            session.end(now, &mut Gone(&self.line.app));
        }
    }

    fn with(
        &mut self,
        out: &mut Out<'_>,
        act: impl FnOnce(&mut Session, Moment, &mut Call<'_, '_>),
    ) {
        let now = self.line.app.clock.moment();
        if let Some(session) = &mut self.session {
            act(session, now, &mut Call { line: &mut self.line, out });
        }
        self.set_alarm(out);
    }

    /// Sees to it that the session is woken when it wants to be.
    fn set_alarm(&mut self, out: &Out<'_>) {
        let due = self.session.as_ref().and_then(Session::poll_timeout);
        if let Some(due) = due
            && self.alarm.is_none_or(|set| due < set)
        {
            self.alarm = Some(due);
            self.line.app.set_alarm(due, out.sender());
        }
    }
}

impl Line {
    fn lock_inbox(&self) -> MutexGuard<'_, Vec<(u64, Verdict)>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_joined(&self) -> MutexGuard<'_, Vec<TopicName>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Call<'_, '_> {
    fn send(&mut self, text: &str) {
        if self.out.send(text) == Sent::Dropped {
            // It would miss an answer, and has read nothing for long. If it is closing already, this
            // does nothing.
            self.out.close(CloseCode::POLICY, SLOW_CONSUMER);
        }
    }

    fn listener(&self) -> &Arc<dyn Listener> {
        self.line.app.feeds.of(Form::Json)
    }

    fn catch_up(&mut self, to: u64) {
        self.out.catch_up(to);
    }

    fn follow(&mut self, topic: &TopicName, after: u64) {
        let channel = Form::Json.channel(topic);
        if self.line.followed.contains(topic) {
            self.out.unsubscribe(&channel);
        } else {
            self.line.followed.push(topic.clone());
            let mut joined = self.line.lock_joined();
            if !joined.contains(topic) {
                joined.push(topic.clone());
            }
        }
        self.out.subscribe_after(&channel, after);
    }

    fn unfollow(&mut self, topic: &TopicName) {
        self.line.followed.retain(|followed| followed != topic);
        self.line.lock_joined().retain(|joined| joined != topic);
        self.out.unsubscribe(&Form::Json.channel(topic));
    }

    fn ask(&mut self, number: u64, question: Question) {
        let (app, guest) = (self.line.app.clone(), self.line.guest.clone());
        let (inbox, connection) = (self.line.inbox.clone(), self.out.sender());
        app.runtime.clone().spawn(async move {
            let verdict = find_out(&guest, question).await;
            inbox.lock().unwrap_or_else(PoisonError::into_inner).push((number, verdict));
            connection.wake();
        });
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        self.out.close(code.into(), reason);
    }

    fn rate_exceeded(&mut self) {
        tracing::warn!(client = self.line.guest.client.id, "rate.exceeded");
    }
}

impl Host for Gone<'_> {
    fn send(&mut self, _: &str) {}

    fn listener(&self) -> &Arc<dyn Listener> {
        self.0.feeds.of(Form::Json)
    }

    fn catch_up(&mut self, _: u64) {}

    fn follow(&mut self, _: &TopicName, _: u64) {}

    fn unfollow(&mut self, _: &TopicName) {}

    fn ask(&mut self, _: u64, _: Question) {}

    fn close(&mut self, _: u16, _: &'static str) {}

    fn rate_exceeded(&mut self) {}
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Finds out what a session can't find out without waiting.
async fn find_out(guest: &Guest, question: Question) -> Verdict {
    match question {
        Question::Admit { token } => Verdict::Admitted(guest.admit(token).await),
        Question::Relay { publication, grant } => {
            Verdict::Relayed(guest.relay(&grant, publication).await)
        }
        Question::Permit { act, topics, grant } => {
            let mut permitted = Vec::with_capacity(topics.len());
            for topic in &topics {
                permitted.push(guest.permit_as(&grant, act, topic).await);
            }
            Verdict::Permitted(permitted)
        }
    }
}
