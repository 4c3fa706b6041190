//! Subscribing, unsubscribing, and catching up after reading too slowly.
//!
//! Owns the order in which a client gets things, which is what makes its one cursor good:
//! everything live up to the cursor of an answer, the answer, what was missed, then what is live
//! behind the cursor.

use sockeye_hub::{Id, Joined, Member, Payload, Since, TopicName};

use super::burst::Burst;
use super::command::{Reference, Subscribe};
use super::host::Host;
use super::refusal::Refusal;
use super::reply::Reply;
use super::session::{Session, Subscription};
use super::waiting::Permits;
use crate::auth::{Act, Moment};
use crate::envelope::write_text;

/// Topics with which something could not be done, and why.
type Refusals = Vec<(TopicName, Refusal)>;

impl Session {
    /// Takes note that the host holds back the live message of this number, and every one after it, of
    /// whatever topic, until [`Session::resume`]. Topics that disconnect those who read too slowly are
    /// the host's matter.
    pub fn held_back(&mut self, seq: u64) {
        self.missed = Some(self.missed.map_or(seq, |missed| missed.min(seq)));
    }

    /// Tells whether the host holds messages back, and is to call [`Session::resume`] once enough
    /// has been read.
    pub fn is_behind(&self) -> bool {
        self.missed.is_some()
    }

    /// Sends what was held back, as far as the topics' histories still have it, and tells what
    /// they have not. Live messages go on behind it.
    pub fn resume(&mut self, now: Moment, host: &mut impl Host) {
        let Some(missed) = self.missed.take() else { return };
        let topics: Vec<TopicName> = self.topics.keys().cloned().collect();
        let since = Since::After(Id { epoch: self.epoch, seq: missed.saturating_sub(1) });
        let mut joined = self.service.hub.recover(&topics, since, self.hub_time(now));
        let after = |topic: &TopicName| self.topics.get(topic).map_or(0, |topic| topic.after);
        joined.recovered.retain(|message| message.id.seq > after(&message.topic));
        joined.gaps.retain(|gap| gap.before.saturating_sub(1) > after(&gap.topic));
        let mut burst = Burst::new(joined.gaps, joined.recovered);
        burst.keep_latest();
        burst.render(self.service.settings.limits.burst).send(host);
        for (topic, subscription) in &mut self.topics {
            subscription.after = joined.cursor.seq;
            host.follow(topic, joined.cursor.seq);
        }
    }

    pub(super) fn subscribe(
        &mut self,
        reference: Option<&Reference>,
        subscribe: Subscribe,
        permits: &Permits,
        now: Moment,
        host: &mut impl Host,
    ) {
        // The answer's cursor is for all topics, so that none may be behind.
        self.resume(now, host);
        let Subscribe { topics, since, presence, is_new, cancelled } = subscribe;
        let mut refused: Refusals = cancelled.into_iter().map(cancel).collect();
        let wanted = self.wanted(topics, permits, now, &mut refused);
        let joined =
            self.service.hub.subscribe(&wanted, since, host.listener(), self.hub_time(now));
        let Joined { recovered, gaps, refused: full, cursor, .. } = joined;
        if !is_new {
            self.service.clients.metrics().came_back(since, gaps.len());
        }
        refused.extend(full.into_iter().map(|(topic, why)| (topic, why.into())));
        let joined = wanted.into_iter().filter(|topic| refused.iter().all(|(no, _)| no != topic));
        let joined: Vec<TopicName> = joined.collect();
        if let (true, Some((_, refusal))) = (joined.is_empty(), refused.first()) {
            let reply = Reply::error(reference, refusal).refusals("refused", &refused);
            return host.send(&reply.end());
        }
        let absent = self.keep(&joined, cursor, presence, now);
        host.catch_up(cursor.seq);
        let burst = Burst::new(gaps, recovered).render(self.service.settings.limits.burst);
        let reply = Reply::ok(reference)
            .topics("topics", &joined)
            .refusals("refused", &refused)
            .refusals("absent", &absent)
            .text("id", &cursor.to_string())
            .number("gaps", burst.gaps())
            .number("messages", burst.messages());
        host.send(&reply.end());
        burst.send(host);
        joined.iter().for_each(|topic| host.follow(topic, cursor.seq));
    }

    /// Returns the topics that may be subscribed to, as many as there is room for.
    fn wanted(
        &self,
        topics: Vec<TopicName>,
        permits: &Permits,
        now: Moment,
        refused: &mut Refusals,
    ) -> Vec<TopicName> {
        let max = self.service.settings.limits.topics;
        let mut wanted = Vec::new();
        for topic in topics {
            let checked = self.permit(Act::Subscribe, &topic, permits, now).and_then(|()| {
                if self.topics.contains_key(&topic) {
                    Err(Refusal::new("already_subscribed", "subscribed already"))
                } else if self.topics.len().saturating_add(wanted.len()) >= max {
                    Err(Refusal::limit(format!("at most {max} topics")))
                } else {
                    Ok(())
                }
            });
            match checked {
                Ok(()) => wanted.push(topic),
                Err(refusal) => refused.push((topic, refusal)),
            }
        }
        wanted
    }

    /// Takes note of new subscriptions, and enters the topics if that is wanted. Returns where the
    /// client is no member although it wants to be.
    fn keep(&mut self, topics: &[TopicName], cursor: Id, presence: bool, now: Moment) -> Refusals {
        let mut absent = Vec::new();
        for topic in topics {
            let entered = presence.then(|| self.enter(topic, now));
            let is_member = matches!(entered, Some(Ok(())));
            if let Some(Err(refusal)) = entered {
                absent.push((topic.clone(), refusal));
            }
            self.topics.insert(topic.clone(), Subscription { after: cursor.seq, is_member });
        }
        absent
    }

    fn enter(&self, topic: &TopicName, now: Moment) -> Result<(), Refusal> {
        let member = Member { client: self.client.clone(), about: self.about() };
        self.service.hub.enter(topic, member, self.hub_time(now)).map_err(Refusal::from)
    }

    /// Returns what other members are told of the client, the same in lists and in messages.
    fn about(&self) -> Payload {
        let mut about = String::from(r#"{"client":"#);
        write_text(&mut about, self.client.as_str());
        if let Some(info) = &self.grant.info {
            about.push_str(r#","info":"#);
            about.push_str(&info.to_string());
        }
        about.push('}');
        Payload::text(about)
    }

    pub(super) fn unsubscribe(
        &mut self,
        reference: Option<&Reference>,
        topics: Vec<TopicName>,
        now: Moment,
        host: &mut impl Host,
    ) -> Result<Reply, Refusal> {
        let refusal = || Refusal::new("not_subscribed", "not subscribed");
        let (mut left, mut refused) = (Vec::new(), Vec::new());
        for topic in topics {
            let was_waiting = self.cancel(&topic);
            if self.leave(&topic, now, host) || was_waiting {
                left.push(topic);
            } else {
                refused.push((topic, refusal()));
            }
        }
        if left.is_empty() {
            return Err(refusal());
        }
        Ok(Reply::ok(reference).topics("topics", &left).refusals("refused", &refused))
    }

    /// Leaves a topic. Tells whether the session was subscribed to it.
    pub(super) fn leave(&mut self, topic: &TopicName, now: Moment, host: &mut impl Host) -> bool {
        let Some(subscription) = self.topics.remove(topic) else { return false };
        host.unfollow(topic);
        self.service.hub.unsubscribe(topic, host.listener());
        if subscription.is_member {
            self.service.hub.leave(topic, &self.client, self.hub_time(now));
        }
        true
    }
}

fn cancel(topic: TopicName) -> (TopicName, Refusal) {
    (topic, Refusal::new("cancelled", "unsubscribed before the answer"))
}
