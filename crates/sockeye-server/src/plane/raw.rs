//! A WebSocket that speaks no protocol of ours: what it sends is published to its topic, and what
//! is published to its topics is what it gets, payload for payload.
//!
//! Such a connection is told nothing but by how it is closed. Its cursor is one number for all its
//! topics: where it stands when it reads too slowly, leaves the reactor's channels and comes back by
//! way of the history.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sockeye::CloseCode;
use sockeye_hub::{Id, Joined, Limit, Payload, Publication, Refused, Since, Slow, TopicName};
use sockeye_proto::MessageRef;
use sockeye_proto::handler::Sent;
use sockeye_reactor::{Out, SLOW_CONSUMER};

use super::feed::{Form, as_sent};
use super::relay::Relay;
use crate::app::App;
use crate::auth::Denied;
use crate::auth::jwt::TokenError;
use crate::clients::Topics;
use crate::guest::Guest;
use crate::protocol::{Bucket, Rate};

/// A connection to one or more topics.
pub(crate) struct Raw {
    app: Arc<App>,
    /// The topics; what the client sends is published to the first.
    topics: Arc<[TopicName]>,
    publishing: Publishing,
    expires: Option<SystemTime>,
    /// When it is woken to look whether that has come.
    alarm: Option<Instant>,
    /// How many messages it may send, and what is left of them.
    rate: Option<Box<(Rate, Bucket)>>,
    /// Held until the connection ends, if somebody wants to know that it does, or else until it opens.
    guest: Option<Arc<Guest>>,
    place: Place,
}

/// Whether what the client sends is published.
pub(crate) enum Publishing {
    /// It is.
    Allowed,
    /// It is not, and the client is told by being closed.
    Refused,
    /// Somebody is asked about each message.
    Asked(Relay),
}

/// Where a connection begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// Where the hub stood when its request came: from then on it counts as a subscriber, although
    /// it can only be given anything once the handshake is done.
    Arrival(Id),
    /// Where its client says.
    Cursor(Since),
}

impl From {
    pub(crate) fn since(self) -> Since {
        match self {
            Self::Arrival(id) => Since::After(id),
            Self::Cursor(since) => since,
        }
    }
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It has not joined its topics.
    Before(From),
    /// It gets what is published.
    Live,
    /// It has left the reactor's channels, and has everything up to this.
    Behind(Id),
}

impl Raw {
    /// Makes a connection to topics, the first of which it may publish to as `publishing` says.
    pub(crate) fn new(
        app: Arc<App>,
        topics: Vec<TopicName>,
        from: From,
        guest: Arc<Guest>,
        publishing: Publishing,
    ) -> Self {
        let (topics, expires) = (topics.into(), guest.grant.expires);
        let rate = app.message_rate().map(|rate| Box::new((rate, Bucket::default())));
        let (guest, place) = (Some(guest), Place::Before(from));
        Self { app, topics, publishing, expires, alarm: None, rate, guest, place }
    }

    /// Tells who it is and what it asked for.
    pub(super) fn introduce(&mut self) -> (Option<Arc<Guest>>, Topics) {
        let guest = self.guest.clone();
        self.guest.take_if(|guest| !guest.is_of_interest());
        (guest, Topics::Fixed(self.topics.clone()))
    }

    pub(super) fn open(&mut self, out: &mut Out<'_>) {
        let Place::Before(from) = self.place else { return };
        self.set_alarm(out);
        if let Publishing::Asked(relay) = &mut self.publishing {
            relay.open(out.sender());
        }
        let (feed, now) = (self.app.feeds.of(Form::Raw), self.app.clock.now());
        let joined = self.app.hub.subscribe(&self.topics, from.since(), feed, now);
        if let Some((topic, refused)) = joined.refused.first() {
            tracing::warn!(topic = topic.as_str(), %refused, "subscribe.refused");
            return close_refused(*refused, out);
        }
        if let From::Cursor(since) = from {
            self.app.metrics().came_back(since, joined.gaps.len());
        }
        if let (From::Cursor(_), false) = (from, joined.gaps.is_empty()) {
            // It asked for what is not kept any more, and nothing in what follows could tell it so.
            return out.close(GAP, "gap");
        }
        self.go_on(&joined, out);
    }

    pub(super) fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        if let Some(denied) = self.expired() {
            return close_denied(&denied, out);
        }
        let Some(topic) = self.topics.first() else { return };
        if let Some((rate, bucket)) = self.rate.as_deref_mut()
            && !bucket.take(rate, Instant::now())
        {
            tracing::warn!(topic = topic.as_str(), "rate.exceeded");
            return out.close(CloseCode::POLICY, "too many messages");
        }
        let payload = match message {
            MessageRef::Text(text) => Payload::text(text),
            MessageRef::Binary(bytes) => Payload::binary(bytes.to_vec()),
        };
        match &mut self.publishing {
            Publishing::Allowed => {
                let publication = Publication::new(topic.clone(), payload);
                if let Err(refused) = self.app.publish(publication) {
                    close_refused(refused, out);
                }
            }
            Publishing::Refused => close_denied(&Denied::Forbidden, out),
            Publishing::Asked(relay) => {
                if !relay.put(payload) {
                    out.close(CloseCode::POLICY, "too many messages");
                }
            }
        }
    }

    pub(super) fn wake(&mut self, out: &mut Out<'_>) {
        if let Some(denied) = self.expired() {
            return close_denied(&denied, out);
        }
        if self.alarm.is_some_and(|alarm| alarm <= Instant::now()) {
            self.set_alarm(out);
        }
        if let Publishing::Asked(relay) = &mut self.publishing
            && let Some(denied) = relay.refusal()
        {
            close_denied(&denied, out);
        }
    }

    /// Sees to it that the end of its grant is noticed.
    fn set_alarm(&mut self, out: &Out<'_>) {
        self.alarm = self.expires.map(|expires| self.app.wake_before(expires, out.sender()));
    }

    /// Leaves all channels, so that one number tells what it has: what is published comes in order
    /// over all of them.
    pub(super) fn missed(&mut self, channel: &str, position: u64, out: &mut Out<'_>) {
        self.app.held_back(Form::Raw, channel);
        self.topics.iter().for_each(|topic| out.unsubscribe(&Form::Raw.channel(topic)));
        let cursor = self.app.hub.cursor();
        self.place = Place::Behind(Id { seq: position.saturating_sub(1), ..cursor });
    }

    /// Goes on where it stopped, when all that waited has been read.
    pub(super) fn drain(&mut self, out: &mut Out<'_>) {
        let Place::Behind(cursor) = self.place else { return };
        let now = self.app.clock.now();
        let mut joined = self.app.hub.recover(&self.topics, Since::After(cursor), now);
        let must_have_all = |topic: &TopicName| self.app.hub.slow(topic) == Slow::Disconnect;
        if joined.gaps.iter().any(|gap| must_have_all(&gap.topic)) {
            return out.close(CloseCode::POLICY, SLOW_CONSUMER);
        }
        joined.keep_latest();
        self.go_on(&joined, out);
    }

    /// Sends what was missed, as far as there is room, and is live when that was all.
    fn go_on(&mut self, joined: &Joined, out: &mut Out<'_>) {
        for message in &joined.recovered {
            match out.send(as_sent(&message.payload)) {
                Sent::Ok => {}
                Sent::Buffered => return self.place = Place::Behind(message.id),
                // The connection is closing.
                Sent::Dropped => return,
            }
        }
        for topic in self.topics.iter() {
            out.subscribe_after(&Form::Raw.channel(topic), joined.cursor.seq);
        }
        self.place = Place::Live;
    }

    pub(super) fn close(&mut self) {
        if matches!(self.place, Place::Before(_)) {
            return;
        }
        let feed = self.app.feeds.of(Form::Raw);
        for topic in self.topics.iter() {
            self.app.hub.unsubscribe(topic, feed);
        }
    }

    fn expired(&self) -> Option<Denied> {
        let expires = self.expires?;
        (expires <= self.app.clock.wall()).then_some(TokenError::Expired.into())
    }
}

/// Closes a connection that may not do what it wants to.
pub(super) fn close_denied(denied: &Denied, out: &mut Out<'_>) {
    out.close(denied.close_code().into(), denied.code());
}

/// Closes a connection for which the hub does not do what it was asked.
fn close_refused(refused: Refused, out: &mut Out<'_>) {
    match refused {
        Refused::Limit { limit: Limit::Payload, .. } => {
            out.close(CloseCode::TOO_BIG, "limit_exceeded");
        }
        Refused::Limit { .. } => out.close(CloseCode::TRY_LATER, "limit_exceeded"),
        _ => out.close(CloseCode::INTERNAL, "internal"),
    }
}

/// The code with which a connection is closed whose cursor lies before what is kept: it must come
/// back without one, and load what it shows anew.
pub(crate) const GAP: CloseCode = CloseCode::new(3010);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topics, place, .. } = self;
        f.debug_struct("Raw").field("topics", topics).field("place", place).finish_non_exhaustive()
    }
}
