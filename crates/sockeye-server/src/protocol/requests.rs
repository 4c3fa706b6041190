//! Commands that leave nothing behind in the session: publishing, reading histories and members.

use sockeye_hub::{Label, Member, Publication, TopicName};

use super::burst::render_within;
use super::command::{Reference, Stretch};
use super::refusal::Refusal;
use super::reply::Reply;
use super::session::Session;
use crate::auth::Moment;
use crate::envelope::{write_gap, write_payload_object, write_text};
use crate::hook::Answer;

impl Session {
    pub(super) fn publish(
        &self,
        reference: Option<&Reference>,
        publication: Publication,
        now: Moment,
    ) -> Result<Reply, Refusal> {
        let (metrics, now) = (self.service.clients.metrics(), self.hub_time(now));
        let published = metrics.publish(&self.service.hub, publication, now)?;
        let reply = Reply::ok(reference).text("id", &published.id.to_string());
        Ok(if published.is_repeat { reply.number("repeat", true) } else { reply })
    }

    /// Carries out what a back end made of a publication.
    pub(super) fn relay(
        &self,
        reference: Option<&Reference>,
        answer: Answer,
        now: Moment,
    ) -> Result<Reply, Refusal> {
        let reply = match answer.publish {
            Some(publication) => self.publish(reference, publication, now)?,
            None => Reply::ok(reference),
        };
        Ok(match answer.reply {
            Some(payload) => reply.written("reply", |out| write_payload_object(out, &payload)),
            None => reply,
        })
    }

    pub(super) fn history(
        &self,
        reference: Option<&Reference>,
        wanted: &Stretch,
        now: Moment,
    ) -> Reply {
        let Stretch { topic, since, order, limit } = wanted;
        let page = self.service.hub.history(topic, *since, *order, *limit, self.hub_time(now));
        let frames = render_within(page.messages.iter(), self.service.settings.limits.burst);
        let last = frames.len().checked_sub(1).and_then(|last| page.messages.get(last));
        let is_cut = frames.len() < page.messages.len();
        let next = if is_cut { last.map(|last| last.id) } else { page.next };
        let mut reply = Reply::ok(reference).text("topic", topic.as_str());
        if let Some(gap) = &page.gap {
            reply = reply.written("gap", |out| write_gap(out, gap));
        }
        reply = reply.list("messages", &frames, |out, frame| out.push_str(frame));
        match next {
            Some(next) => reply.text("next", &next.to_string()),
            None => reply,
        }
    }

    pub(super) fn presence(
        &self,
        reference: Option<&Reference>,
        topic: &TopicName,
        after: Option<&Label>,
        limit: usize,
    ) -> Reply {
        let page = self.service.hub.members(topic, after, limit);
        let reply = Reply::ok(reference)
            .text("topic", topic.as_str())
            .number("total", page.total)
            .list("members", &page.members, write_member);
        match page.next {
            Some(next) => reply.text("next", next.as_str()),
            None => reply,
        }
    }
}

/// Appends what is told of a member: its own object, or its name where another door let it in that
/// tells none.
fn write_member(out: &mut String, member: &Member) {
    let about = std::str::from_utf8(member.about.bytes()).unwrap_or_default();
    let is_object =
        about.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(about).is_ok();
    if is_object {
        return out.push_str(about);
    }
    out.push_str(r#"{"client":"#);
    write_text(out, member.client.as_str());
    out.push('}');
}
