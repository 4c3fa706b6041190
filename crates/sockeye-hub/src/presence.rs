//! Who is in which topic, and the messages that tell it.

use std::time::Duration;

use crate::error::{Limit, Refused};
use crate::members::{Before, Member};
use crate::message::Payload;
use crate::rules::Presence;
use crate::state::{State, within};
use crate::topic::Timer;
use crate::{Label, TopicName};

/// The event of the message that tells of a new member.
pub const JOIN: &str = "join";

/// The event of the message that tells that a member is gone.
pub const LEAVE: &str = "leave";

/// A part of a topic's members, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberPage {
    /// The members.
    pub members: Vec<Member>,
    /// How many there are in all.
    pub total: usize,
    /// Behind whom the next page goes on, if there is more.
    pub next: Option<Label>,
}

impl State {
    pub(crate) fn enter(
        &mut self,
        name: &TopicName,
        member: Member,
        now: Duration,
    ) -> Result<(), Refused> {
        self.advance(now);
        let Member { client, about } = member;
        if self.registry.rules(name).presence == Presence::Off {
            return Err(Refused::PresenceOff);
        }
        within(Limit::MemberBytes, about.bytes().len(), self.limits.member_bytes)?;
        self.check_members(name, &client)?;
        let topic = self.registry.open(name)?;
        match topic.members.get_or_insert_default().enter(&client, about.clone()) {
            Before::Absent => self.announce(name, JOIN, about),
            Before::Leaving(due) => {
                self.books.timers.remove(&(due, Timer::Leave(name.clone(), client)));
                Ok(())
            }
            Before::Present => Ok(()),
        }
    }

    fn check_members(&self, name: &TopicName, client: &Label) -> Result<(), Refused> {
        let members = self.registry.get(name).and_then(|topic| topic.members.as_deref());
        if members.is_some_and(|members| members.contains(client)) {
            return Ok(());
        }
        let count = members.map_or(0, |members| members.len());
        within(Limit::Members, count.saturating_add(1), self.limits.members)
    }

    pub(crate) fn leave(&mut self, name: &TopicName, client: &Label, now: Duration) -> Option<()> {
        self.advance(now);
        let gone = self.now().saturating_add(self.limits.leave_delay);
        self.registry.get_mut(name)?.members.as_mut()?.leave(client, gone)?;
        self.books.timers.insert((gone, Timer::Leave(name.clone(), client.clone())));
        Some(())
    }

    /// Removes a member whose time to come back is over.
    pub(crate) fn remove_member(&mut self, name: &TopicName, client: &Label) {
        let Some(topic) = self.registry.get_mut(name) else { return };
        let Some(members) = topic.members.as_mut() else { return };
        let about = members.remove(client);
        if members.is_empty() {
            topic.members = None;
        }
        if let Some(about) = about {
            // The topic is there, so that only the end of the sequence can refuse, and then nobody
            // can be told anything.
            let _ = self.announce(name, LEAVE, about);
        }
        self.registry.close_idle(name);
    }

    fn announce(
        &mut self,
        name: &TopicName,
        event: &'static str,
        about: Payload,
    ) -> Result<(), Refused> {
        if self.registry.rules(name).presence == Presence::Announced {
            self.append(name, Some(Label::fixed(event)), about)?;
        }
        Ok(())
    }

    pub(crate) fn members(
        &self,
        name: &TopicName,
        after: Option<&Label>,
        limit: usize,
    ) -> MemberPage {
        let members = self.registry.get(name).and_then(|topic| topic.members.as_deref());
        let Some(members) = members else {
            return MemberPage { members: Vec::new(), total: 0, next: None };
        };
        let limit = limit.clamp(1, self.limits.page.max(1));
        let mut page: Vec<_> = members.after(after).take(limit.saturating_add(1)).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|member| member.client.clone());
        MemberPage { members: page, total: members.len(), next }
    }
}
