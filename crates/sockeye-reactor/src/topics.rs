//! Who on this thread gets what is published to a topic.
//!
//! Knows connections by number. A connection keeps its own list of topics, so that both ways of
//! looking are quick.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The topics of one thread that have subscribers.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: HashMap<Arc<str>, Topic>,
}

/// A topic that has subscribers.
#[derive(Debug, Default)]
struct Topic {
    members: Vec<u32>,
    /// Members that have what is on its way already, and up to which position. Nobody, most of the
    /// time.
    newcomers: HashMap<u32, u64>,
}

/// The topics of one connection; nothing at all while it has none.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a pointer in each of a million connections, not three")]
pub(crate) struct Subscriptions(Option<Box<Vec<Membership>>>);

/// A topic and the connection's place in its list.
type Membership = (Arc<str>, usize);

impl Topics {
    /// Adds a connection to a topic, for what has a position behind `after`, or none.
    pub(crate) fn subscribe(
        &mut self,
        index: u32,
        own: &mut Subscriptions,
        topic: &str,
        after: u64,
    ) {
        let list = own.0.get_or_insert_default();
        if list.iter().any(|(name, _)| **name == *topic) {
            return;
        }
        let (name, topic) = match self.topics.get_key_value(topic) {
            Some((name, _)) => (name.clone(), self.topics.entry(name.clone()).or_default()),
            None => {
                let name: Arc<str> = topic.into();
                (name.clone(), self.topics.entry(name).or_default())
            }
        };
        list.push((name, topic.members.len()));
        topic.members.push(index);
        if after > 0 {
            topic.newcomers.insert(index, after);
        }
    }

    /// Returns the connections that a topic has here.
    pub(crate) fn members(&self, topic: &str) -> &[u32] {
        self.topics.get(topic).map_or(&[], |topic| &topic.members)
    }

    /// Tells whether some members of a topic have messages already that are on their way.
    pub(crate) fn has_newcomers(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|topic| !topic.newcomers.is_empty())
    }

    /// Tells whether a member of a topic is to get the message at a position.
    pub(crate) fn is_new_to(&self, topic: &str, index: u32, position: u64) -> bool {
        let after = self.topics.get(topic).and_then(|topic| topic.newcomers.get(&index));
        position == 0 || after.is_none_or(|after| position > *after)
    }

    /// Takes note that a connection has all of its topics up to a position.
    pub(crate) fn caught_up(&mut self, index: u32, own: &Subscriptions, position: u64) {
        for (name, _) in own.0.iter().flat_map(|list| list.iter()) {
            if let Some(topic) = self.topics.get_mut(name) {
                let after = topic.newcomers.entry(index).or_default();
                *after = position.max(*after);
            }
        }
    }

    /// Takes note that the message at a position has been handed out: who joined before it is no
    /// newcomer any more.
    pub(crate) fn passed(&mut self, topic: &str, position: u64) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.newcomers.retain(|_, after| *after > position);
        }
    }

    /// Returns how many topics have subscribers here.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Returns the connections that have topics here.
    pub(crate) fn all_members(&self) -> BTreeSet<u32> {
        self.topics.values().flat_map(|topic| &topic.members).copied().collect()
    }

    /// Takes a connection out of a topic. Returns the connection that has moved to its place in the
    /// topic's list, if any, and the place: its own list must be told with
    /// [`Subscriptions::moved`].
    pub(crate) fn unsubscribe(&mut self, own: &mut Subscriptions, topic: &str) -> Option<Moved> {
        let list = own.0.as_mut()?;
        let at = list.iter().position(|(name, _)| **name == *topic)?;
        let (name, place) = list.swap_remove(at);
        if list.is_empty() {
            own.0 = None;
        }
        self.remove(name, place)
    }

    /// Takes a connection out of one of its topics, whichever; `None` when it has none left.
    pub(crate) fn unsubscribe_any(&mut self, own: &mut Subscriptions) -> Option<Option<Moved>> {
        let (name, place) = own.0.as_mut()?.pop()?;
        Some(self.remove(name, place))
    }

    fn remove(&mut self, name: Arc<str>, place: usize) -> Option<Moved> {
        let Topic { members, newcomers } = self.topics.get_mut(&name)?;
        if place >= members.len() {
            return None;
        }
        let left = members.swap_remove(place);
        newcomers.remove(&left);
        if members.is_empty() {
            self.topics.remove(&name);
            return None;
        }
        let index = members.get(place).copied()?;
        Some(Moved { topic: name, index, place })
    }
}

/// A connection whose place in a topic's list has changed.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) topic: Arc<str>,
    pub(crate) index: u32,
    pub(crate) place: usize,
}

impl Subscriptions {
    /// Tells whether a topic is among them.
    pub(crate) fn contains(&self, topic: &str) -> bool {
        self.0.iter().any(|list| list.iter().any(|(name, _)| **name == *topic))
    }

    /// Takes note of a new place in a topic's list.
    pub(crate) fn moved(&mut self, topic: &str, place: usize) {
        let list = self.0.iter_mut().flat_map(|list| list.iter_mut());
        list.filter(|(name, _)| **name == *topic).for_each(|(_, at)| *at = place);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain set of pairs.
        #[test]
        fn members_are_those_that_subscribed_and_did_not_leave(
            steps in prop::collection::vec((0_u32..8, 0_usize..4, 0_u8..5), 0..200)
        ) {
            let names = ["a", "b", "c", "d"];
            let mut topics = Topics::default();
            let mut own: Vec<Subscriptions> = (0..8).map(|_| Subscriptions::default()).collect();
            let mut model = std::collections::BTreeSet::new();
            for (index, topic, what) in steps {
                let place = index as usize;
                match what {
                    0 | 1 => {
                        topics.subscribe(index, &mut own[place], names[topic], 0);
                        model.insert((topic, index));
                    }
                    2 | 3 => {
                        let moved = topics.unsubscribe(&mut own[place], names[topic]);
                        if let Some(moved) = moved {
                            own[moved.index as usize].moved(&moved.topic, moved.place);
                        }
                        model.remove(&(topic, index));
                    }
                    _ => {
                        while let Some(moved) = topics.unsubscribe_any(&mut own[place]) {
                            if let Some(moved) = moved {
                                own[moved.index as usize].moved(&moved.topic, moved.place);
                            }
                        }
                        model.retain(|(_, member)| *member != index);
                    }
                }
                for (topic, name) in names.iter().enumerate() {
                    let mut members = topics.members(name).to_vec();
                    members.sort_unstable();
                    let expected: Vec<_> = model.iter().filter(|(other, _)| *other == topic).map(|(_, index)| *index).collect();
                    prop_assert_eq!(members, expected);
                }
            }
        }
    }
}
