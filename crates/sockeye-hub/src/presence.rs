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
        let topic = self.registry.get(name);
        let topic = topic.filter(|topic| topic.rules.presence != Presence::Off);
        let Some(members) = topic.and_then(|topic| topic.members.as_deref()) else {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::{Recorder, T0, seconds, topic};
    use crate::{Epoch, Hub, Limits, Rules, Since, TopicRules};

    fn hub(presence: Presence, limits: Limits) -> Hub {
        let rules = TopicRules { presence, ..TopicRules::default() };
        Hub::new(Epoch::from_random(1), Rules::all(rules), limits)
    }

    fn announced() -> Hub {
        hub(Presence::Announced, Limits::default())
    }

    fn label(name: &str) -> Label {
        Label::new(name).unwrap()
    }

    fn member(client: &str) -> Member {
        Member { client: label(client), about: Payload::text(format!("I am {client}")) }
    }

    /// What was told since it was last asked, as `join:text`.
    fn told(recorder: &Recorder) -> Vec<String> {
        let told = recorder.take();
        let told = told.iter().map(|message| {
            let about = std::str::from_utf8(message.payload.bytes()).unwrap();
            format!("{}:{about}", message.event.as_ref().unwrap())
        });
        told.collect()
    }

    #[test]
    fn members_are_told_when_they_come_and_when_they_are_gone() {
        let (hub, a) = (announced(), topic("a"));
        let (recorder, listener) = Recorder::pair();
        hub.subscribe(std::slice::from_ref(&a), Since::Now, &listener, T0);
        hub.enter(&a, member("x"), T0).unwrap();
        assert_eq!(told(&recorder), ["join:I am x"]);
        assert!(hub.leave(&a, &label("x"), seconds(1)));
        assert_eq!(hub.members(&a, None, 10).total, 1, "it may come back");
        hub.handle_timeout(seconds(3) - std::time::Duration::from_nanos(1));
        assert_eq!(told(&recorder), [""; 0]);
        assert_eq!(hub.poll_timeout(), Some(seconds(3)));
        hub.handle_timeout(seconds(3));
        assert_eq!(told(&recorder), ["leave:I am x"]);
        assert_eq!(hub.members(&a, None, 10).total, 0);
    }

    #[test]
    fn member_that_comes_back_in_time_makes_no_noise() {
        let (hub, a) = (announced(), topic("a"));
        hub.enter(&a, member("x"), T0).unwrap();
        let (recorder, listener) = Recorder::pair();
        hub.subscribe(std::slice::from_ref(&a), Since::Now, &listener, T0);
        for second in 1..9 {
            assert!(hub.leave(&a, &label("x"), seconds(second)));
            hub.enter(&a, member("x"), seconds(second + 1)).unwrap();
        }
        hub.handle_timeout(seconds(300));
        assert_eq!(told(&recorder), [""; 0]);
        assert_eq!(hub.members(&a, None, 10).members, [member("x")]);
        assert_eq!(hub.stats().timers, 0);
    }

    #[test]
    fn member_that_came_twice_leaves_twice() {
        let (hub, a) = (announced(), topic("a"));
        hub.enter(&a, member("x"), T0).unwrap();
        hub.enter(&a, member("x"), T0).unwrap();
        assert!(!hub.leave(&a, &label("x"), T0));
        hub.handle_timeout(seconds(10));
        assert_eq!(hub.members(&a, None, 10).total, 1);
        assert!(hub.leave(&a, &label("x"), seconds(10)));
        assert!(!hub.leave(&a, &label("x"), seconds(11)), "it has left already");
        assert!(!hub.leave(&a, &label("y"), seconds(11)), "it never came");
        assert!(!hub.leave(&topic("b"), &label("x"), seconds(11)));
        hub.handle_timeout(seconds(12));
        assert_eq!(hub.members(&a, None, 10).total, 0);
    }

    #[test]
    fn what_a_member_told_last_is_listed_and_told_when_it_is_gone() {
        let (hub, a) = (announced(), topic("a"));
        hub.enter(&a, member("x"), T0).unwrap();
        hub.leave(&a, &label("x"), T0);
        let anew = Member { about: Payload::text("I am new"), ..member("x") };
        hub.enter(&a, anew.clone(), T0).unwrap();
        assert_eq!(hub.members(&a, None, 10).members, [anew]);
        let (recorder, listener) = Recorder::pair();
        hub.subscribe(std::slice::from_ref(&a), Since::Now, &listener, T0);
        hub.leave(&a, &label("x"), T0);
        hub.handle_timeout(seconds(2));
        assert_eq!(told(&recorder), ["leave:I am new"]);
    }

    #[test]
    fn listed_members_are_not_told_and_without_presence_there_are_none() {
        let (listed, off) =
            (hub(Presence::Listed, Limits::default()), hub(Presence::Off, Limits::default()));
        listed.enter(&topic("a"), member("x"), T0).unwrap();
        assert_eq!(listed.members(&topic("a"), None, 10).total, 1);
        assert_eq!(listed.stats().cursor.seq, 0);
        listed.leave(&topic("a"), &label("x"), T0);
        listed.handle_timeout(seconds(2));
        assert_eq!((listed.stats().topics, listed.stats().cursor.seq), (0, 0));
        assert_eq!(off.enter(&topic("a"), member("x"), T0), Err(Refused::PresenceOff));
        assert_eq!(off.stats().topics, 0);
    }

    #[test]
    fn member_beyond_a_bound_is_refused_and_nothing_stays_of_it() {
        let limits = Limits { members: 2, member_bytes: 6, topics: 1, ..Limits::default() };
        let (hub, a) = (hub(Presence::Announced, limits), topic("a"));
        let refused = |limit, max| Err(Refused::Limit { limit, max });
        assert_eq!(hub.enter(&a, member("xyz"), T0), refused(Limit::MemberBytes, 6));
        hub.enter(&a, member("x"), T0).unwrap();
        hub.enter(&a, member("y"), T0).unwrap();
        assert_eq!(hub.enter(&a, member("z"), T0), refused(Limit::Members, 2));
        assert_eq!(hub.enter(&topic("b"), member("x"), T0), refused(Limit::Topics, 1));
        hub.enter(&a, member("x"), T0).unwrap();
        assert_eq!(hub.members(&a, None, 10).total, 2);
    }

    // PUB-021
    #[test]
    fn million_members_are_bounded_and_come_in_pages_of_300() {
        let (hub, a) = (hub(Presence::Listed, Limits::default()), topic("a"));
        let entered = (0..1_000_000).filter(|n| {
            let client = Label::new(&format!("c{n}")).unwrap();
            hub.enter(&a, Member { client, about: Payload::text("") }, T0).is_ok()
        });
        assert_eq!(entered.count(), 10_000);
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = hub.members(&a, after.as_ref(), usize::MAX);
            assert_eq!(page.total, 10_000);
            assert!(page.members.len() <= 300);
            seen.extend(page.members.into_iter().map(|member| member.client));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 10_000);
        assert!(seen.is_sorted_by(|a, b| a < b), "none twice");
        assert_eq!(hub.members(&a, None, 0).members.len(), 1);
        assert_eq!(hub.members(&topic("b"), None, 9).total, 0);
    }

    /// Against a plain list of who is there: whoever counts as there has been told as come and not
    /// as gone.
    #[test]
    fn what_is_told_is_who_is_there() {
        for seed in 0..100_u64 {
            let (hub, a, mut random) = (announced(), topic("a"), seed);
            let (recorder, listener) = Recorder::pair();
            hub.subscribe(std::slice::from_ref(&a), Since::Now, &listener, T0);
            let mut model: BTreeMap<String, (usize, u64)> = BTreeMap::new();
            let mut there: Vec<String> = Vec::new();
            let mut now = 0;
            for _ in 0..200 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(7);
                let client = ["x", "y", "z"][usize::try_from(random >> 40).unwrap() % 3];
                let state = model.entry(client.to_owned()).or_default();
                match random >> 60 {
                    0..6 => {
                        state.0 += 1;
                        hub.enter(&a, member(client), seconds(now)).unwrap();
                    }
                    6..12 => {
                        assert_eq!(hub.leave(&a, &label(client), seconds(now)), state.0 == 1);
                        *state =
                            (state.0.saturating_sub(1), if state.0 == 1 { now } else { state.1 });
                    }
                    more => {
                        now += more - 11;
                        hub.handle_timeout(seconds(now));
                        model.retain(|_, (times, left)| *times > 0 || *left + 2 > now);
                    }
                }
                // One that never came is not there.
                model.retain(|name, (times, _)| *times > 0 || there.contains(name));
                for event in told(&recorder) {
                    match event.split_once(":I am ").unwrap() {
                        ("join", who) => {
                            assert!(!there.contains(&who.to_owned()));
                            there.push(who.to_owned());
                        }
                        (_, who) => there.retain(|name| name != who),
                    }
                }
                there.sort();
                let listed = hub.members(&a, None, 10).members;
                let listed: Vec<_> = listed.iter().map(|m| m.client.as_str().to_owned()).collect();
                assert_eq!(listed, there);
                assert!(there.iter().eq(model.keys()), "{there:?} {model:?}");
            }
        }
    }
}
