//! One connection's state, and the way of its commands: read, permitted, carried out, answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sockeye_hub::{Epoch, Id, Label, Publication, Since, TopicName};

use super::command::{Command, Frame, Subscribe};
use super::host::{Host, Question, Verdict};
use super::rate::{Bucket, Excess};
use super::refusal::Refusal;
use super::reply::Reply;
use super::settings::Service;
use super::waiting::{Call, Permits, Waiting};
use crate::auth::{Act, Denied, Grant, Moment};

/// One connection that speaks the protocol.
///
/// Whoever holds it calls [`Session::end`] when the connection is gone, whichever side closed it.
#[derive(Debug)]
pub struct Session {
    pub(super) service: Arc<Service>,
    pub(super) client: Label,
    pub(super) grant: Arc<Grant>,
    /// The life of the hub in which this session lives.
    pub(super) epoch: Epoch,
    pub(super) topics: BTreeMap<TopicName, Subscription>,
    /// The number of the first message that was held back.
    pub(super) missed: Option<u64>,
    pub(super) renewal: Renewal,
    waiting: Waiting,
    bucket: Bucket,
    has_exceeded: bool,
    is_over: bool,
}

/// What a session has of a topic.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The number after which it began or was last caught up.
    pub(super) after: u64,
    /// Whether the client is a member.
    pub(super) is_member: bool,
}

/// When a grant's end is told, and comes.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    pub(super) is_told: bool,
    pub(super) due: Option<Instant>,
}

impl Session {
    /// Begins a session: welcomes the client. `client` must be no other connection's name.
    pub fn open(
        service: Arc<Service>,
        client: Label,
        grant: Arc<Grant>,
        now: Moment,
        host: &mut impl Host,
    ) -> Self {
        let cursor = service.hub.cursor();
        let mut session = Self {
            service,
            client,
            grant,
            epoch: cursor.epoch,
            topics: BTreeMap::new(),
            missed: None,
            renewal: Renewal::default(),
            waiting: Waiting::default(),
            bucket: Bucket::default(),
            has_exceeded: false,
            is_over: false,
        };
        session.welcome(&cursor.to_string(), host);
        session.renew(now, host);
        session
    }

    /// Subscribes to topics as if the client's first command said so.
    pub fn begin_with(
        &mut self,
        topics: Vec<TopicName>,
        since: Since,
        now: Moment,
        host: &mut impl Host,
    ) {
        self.begin(Call::of(Subscribe::new(topics, since)), now, host);
    }

    /// As [`begin_with`](Self::begin_with), for a client that is new: it gets what came since it knocked.
    pub fn begin_at(
        &mut self,
        topics: Vec<TopicName>,
        arrival: Id,
        now: Moment,
        host: &mut impl Host,
    ) {
        let subscribe = Subscribe::new(topics, Since::After(arrival));
        self.begin(Call::of(Subscribe { is_new: true, ..subscribe }), now, host);
    }

    /// Takes a text frame. Everything in it that is no command is answered with an error.
    pub fn receive(&mut self, text: &str, now: Moment, host: &mut impl Host) {
        let Some(is_within) = self.admit_frame(now, host) else { return };
        let Frame { reference, command } = Frame::parse(text);
        let command = if is_within { command } else { Err(Refusal::limit("too many commands")) };
        match command {
            Ok(command) => self.begin(Call { reference, command }, now, host),
            Err(refusal) => host.send(&Reply::error(reference.as_ref(), &refusal).end()),
        }
    }

    /// Takes a binary frame: there is none in this protocol, so it is answered with an error.
    pub fn receive_binary(&mut self, now: Moment, host: &mut impl Host) {
        if self.admit_frame(now, host).is_some() {
            host.send(&Reply::error(None, &Refusal::bad("a frame is text")).end());
        }
    }

    /// Takes the answer to a question of [`Host::ask`].
    pub fn answered(&mut self, number: u64, verdict: Verdict, now: Moment, host: &mut impl Host) {
        self.waiting.answer(number, verdict);
        while let Some((call, topics, verdict)) = self.waiting.pop() {
            match (verdict, call.command) {
                (Verdict::Permitted(results), command) => {
                    let permits = Permits::new(topics, results);
                    self.perform(Call { command, ..call }, &permits, now, host);
                }
                (Verdict::Admitted(grant), Command::Refresh { .. }) => {
                    self.refresh(call.reference.as_ref(), grant, now, host);
                }
                (Verdict::Relayed(relayed), Command::Publish(_)) => {
                    let reference = call.reference.as_ref();
                    let reply = relayed.map_err(|denied| Refusal::from(&denied));
                    let reply = reply.and_then(|answer| self.relay(reference, answer, now));
                    let reply = reply.unwrap_or_else(|no| Reply::error(reference, &no));
                    host.send(&reply.end());
                }
                // The host has answered another question. Nothing is allowed by that.
                (Verdict::Admitted(_) | Verdict::Relayed(_), command) => {
                    self.perform(Call { command, ..call }, &Permits::default(), now, host);
                }
            }
        }
    }

    /// Returns the name of the connection.
    pub fn client(&self) -> &Label {
        &self.client
    }

    /// Returns what the client may do for now.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns when [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.renewal.due
    }

    /// Does what is due: tells that the grant ends, and closes when it has.
    pub fn handle_timeout(&mut self, now: Moment, host: &mut impl Host) {
        if self.renewal.due.is_some_and(|due| due <= now.monotonic) {
            self.renew(now, host);
        }
    }

    /// Ends the session: leaves all topics. The host is not told to close.
    pub fn end(&mut self, now: Moment, host: &mut impl Host) {
        self.is_over = true;
        self.renewal.due = None;
        self.missed = None;
        self.waiting.clear();
        let topics: Vec<TopicName> = self.topics.keys().cloned().collect();
        for topic in topics {
            self.leave(&topic, now, host);
        }
    }

    /// Closes the connection, and leaves everything first.
    pub(super) fn close(
        &mut self,
        code: u16,
        reason: &'static str,
        now: Moment,
        host: &mut impl Host,
    ) {
        self.end(now, host);
        host.close(code, reason);
    }

    /// Counts a frame. Tells whether it is within the rate; `None` if it is not to be answered.
    fn admit_frame(&mut self, now: Moment, host: &mut impl Host) -> Option<bool> {
        self.handle_timeout(now, host);
        if self.is_over {
            return None;
        }
        let Some(rate) = self.service.settings.rate else { return Some(true) };
        if self.bucket.take(&rate, now.monotonic) {
            return Some(true);
        }
        if !std::mem::replace(&mut self.has_exceeded, true) {
            host.rate_exceeded();
        }
        match rate.excess {
            Excess::Refuse => Some(false),
            Excess::Close => {
                self.close(1008, "too many commands", now, host);
                None
            }
        }
    }

    /// Carries a command out, or has asked first what takes waiting.
    fn begin(&mut self, mut call: Call, now: Moment, host: &mut impl Host) {
        let limits = &self.service.settings.limits;
        if call.command.topics() > limits.topics {
            let message = format!("a command names at most {} topics", limits.topics);
            return refuse(&call, &Refusal::limit(message), host);
        }
        let asked = match &mut call.command {
            Command::Refresh { token } => Some(Question::Admit { token: std::mem::take(token) }),
            command => self.undecided(command, now.wall),
        };
        let Some(question) = asked else {
            return self.perform(call, &Permits::default(), now, host);
        };
        if self.waiting.len() >= limits.questions {
            let message = format!("at most {} commands may wait", limits.questions);
            return refuse(&call, &Refusal::limit(message), host);
        }
        let topics = match &question {
            Question::Permit { topics, .. } => topics.clone(),
            Question::Admit { .. } | Question::Relay { .. } => Vec::new(),
        };
        host.ask(self.waiting.add(call, topics), question);
    }

    /// Returns what must be asked before a command can be carried out.
    fn undecided(&self, command: &Command, now: SystemTime) -> Option<Question> {
        let (act, topics) = match command {
            Command::History(wanted) => (Act::Subscribe, std::slice::from_ref(&wanted.topic)),
            Command::Presence { topic, .. } => (Act::Subscribe, std::slice::from_ref(topic)),
            Command::Publish(publication) if self.is_relayed(publication, now) => {
                let (publication, grant) = (publication.clone(), self.grant.clone());
                return Some(Question::Relay { publication, grant });
            }
            Command::Publish(publication) => {
                (Act::Publish, std::slice::from_ref(&publication.topic))
            }
            Command::Subscribe(subscribe) => (Act::Subscribe, subscribe.topics.as_slice()),
            Command::Ping | Command::Refresh { .. } | Command::Unsubscribe { .. } => return None,
        };
        let permit =
            |topic: &&TopicName| self.service.auth.permit_now(act, &self.grant, topic, now);
        let topics = topics.iter().filter(|topic| permit(topic).is_none());
        let topics: Vec<_> = topics.cloned().collect();
        (!topics.is_empty()).then(|| Question::Permit { act, topics, grant: self.grant.clone() })
    }

    /// Tells whether somebody answers a message that the client may publish.
    fn is_relayed(&self, publication: &Publication, now: SystemTime) -> bool {
        let topic = &publication.topic;
        let decided = self.service.auth.permit_now(Act::Publish, &self.grant, topic, now);
        let has_hook = self.service.hooks.as_ref().is_some_and(|hooks| hooks.has(topic));
        has_hook && !matches!(decided, Some(Err(_)))
    }

    fn perform(&mut self, call: Call, permits: &Permits, now: Moment, host: &mut impl Host) {
        let reference = call.reference.as_ref();
        let done = match call.command {
            Command::History(wanted) => self
                .permit(Act::Subscribe, &wanted.topic, permits, now)
                .map(|()| self.history(reference, &wanted, now)),
            Command::Ping => Ok(Reply::ok(reference)),
            Command::Presence { topic, after, limit } => self
                .permit(Act::Subscribe, &topic, permits, now)
                .map(|()| self.presence(reference, &topic, after.as_ref(), limit)),
            Command::Publish(publication) => self
                .permit(Act::Publish, &publication.topic, permits, now)
                .and_then(|()| self.publish(reference, publication, now)),
            // Its question was answered as if it were another.
            Command::Refresh { .. } => Err(Refusal::internal()),
            Command::Subscribe(subscribe) => {
                return self.subscribe(reference, subscribe, permits, now, host);
            }
            Command::Unsubscribe { topics } => self.unsubscribe(reference, topics, now, host),
        };
        let reply = done.unwrap_or_else(|refusal| Reply::error(reference, &refusal));
        host.send(&reply.end());
    }

    /// Decides whether the client may do something, by what it has been granted or else by what
    /// was found out.
    pub(super) fn permit(
        &self,
        act: Act,
        topic: &TopicName,
        permits: &Permits,
        now: Moment,
    ) -> Result<(), Refusal> {
        let decided = self.service.auth.permit_now(act, &self.grant, topic, now.wall);
        let decided: Result<(), Denied> = decided.unwrap_or_else(|| permits.of(topic));
        decided.map_err(|denied| Refusal::from(&denied))
    }

    /// Returns the time as the hub counts it, by the clock that nobody sets.
    pub(super) fn hub_time(&self, now: Moment) -> Duration {
        self.service.clock.at(now.monotonic)
    }

    /// Takes a topic off the subscriptions that wait. Tells whether one was for it.
    pub(super) fn cancel(&mut self, topic: &TopicName) -> bool {
        self.waiting.cancel(topic)
    }
}

fn refuse(call: &Call, refusal: &Refusal, host: &mut impl Host) {
    host.send(&Reply::error(call.reference.as_ref(), refusal).end());
}
