//! The end of a grant: telling that it comes, taking a new one, closing without.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sockeye_hub::TopicName;

use super::command::Reference;
use super::host::Host;
use super::refusal::Refusal;
use super::reply::Reply;
use super::session::{Renewal, Session};
use crate::auth::{Act, Denied, Grant, Moment};

impl Session {
    /// Tells the client what it needs to know.
    pub(super) fn welcome(&self, cursor: &str, host: &mut impl Host) {
        let settings = &self.service.settings;
        let reply = Reply::new("welcome")
            .text("id", cursor)
            .text("client", self.client.as_str())
            .number("ping", settings.ping.as_secs());
        let reply = expires(reply, &self.grant).written("limits", |out| {
            let (topics, waiting) = (settings.limits.topics, settings.limits.questions);
            let message = settings.message;
            let limits =
                format!(r#"{{"topics":{topics},"waiting":{waiting},"message":{message}}}"#);
            out.push_str(&limits);
        });
        host.send(&reply.end());
    }

    /// Tells that the grant ends if that is near, closes if it has ended, and notes when to look
    /// again.
    pub(super) fn renew(&mut self, now: Moment, host: &mut impl Host) {
        self.renewal.due = None;
        let Some(expires) = self.grant.expires else { return };
        let Ok(left) = expires.duration_since(now.wall) else {
            return self.close(EXPIRED, "token expired", now, host);
        };
        if left.is_zero() {
            return self.close(EXPIRED, "token expired", now, host);
        }
        let grace = self.service.settings.grace;
        if !self.renewal.is_told && left <= grace {
            self.renewal.is_told = true;
            let seconds = left.saturating_add(Duration::from_nanos(999_999_999)).as_secs();
            host.send(&Reply::new("expiring").number("in", seconds).end());
        }
        let wait = if self.renewal.is_told { left } else { left.saturating_sub(grace) };
        self.renewal.due = now.monotonic.checked_add(wait.min(Grant::LOOK_AGAIN));
    }

    /// Takes what a new token allows, in place of what the old one did.
    pub(super) fn refresh(
        &mut self,
        reference: Option<&Reference>,
        grant: Result<Arc<Grant>, Denied>,
        now: Moment,
        host: &mut impl Host,
    ) {
        match self.check_grant(grant, now.wall) {
            Err(refusal) => host.send(&Reply::error(reference, &refusal).end()),
            Ok(grant) => {
                self.grant = grant;
                self.renewal = Renewal::default();
                let lost = self.leave_forbidden(now, host);
                let mut reply = expires(Reply::ok(reference), &self.grant);
                if !lost.is_empty() {
                    reply = reply.topics("unsubscribed", &lost);
                }
                host.send(&reply.end());
                self.renew(now, host);
            }
        }
    }

    fn check_grant(
        &self,
        grant: Result<Arc<Grant>, Denied>,
        now: SystemTime,
    ) -> Result<Arc<Grant>, Refusal> {
        let grant = grant.map_err(|denied| Refusal::from(&denied))?;
        if grant.has_ended(now) {
            return Err(Refusal::new("token_expired", "the token has expired"));
        }
        if grant.subject != self.grant.subject {
            return Err(Refusal::new("permission_denied", "the token is somebody else's"));
        }
        Ok(grant)
    }

    /// Leaves the topics that the grant does not allow. Those that a back end allowed one by one
    /// stay.
    fn leave_forbidden(&mut self, now: Moment, host: &mut impl Host) -> Vec<TopicName> {
        let allowed = |topic: &&TopicName| {
            let decided =
                self.service.auth.permit_now(Act::Subscribe, &self.grant, topic, now.wall);
            !matches!(decided, Some(Err(_)))
        };
        let lost = self.topics.keys().filter(|topic| !allowed(topic));
        let lost: Vec<TopicName> = lost.cloned().collect();
        for topic in &lost {
            self.leave(topic, now, host);
        }
        lost
    }
}

/// Adds when the grant ends, in seconds since the epoch of Unix, if it does.
fn expires(reply: Reply, grant: &Grant) -> Reply {
    let since_epoch = grant.expires.map(|at| at.duration_since(SystemTime::UNIX_EPOCH));
    match since_epoch {
        Some(Ok(at)) => reply.number("expires", at.as_secs()),
        _ => reply,
    }
}

/// The close code of a grant that has ended.
const EXPIRED: u16 = 3005;
