//! Topics with subscriptions, presence, bounded history and gapless recovery, in memory.
//!
//! ```text
//!   publish ──► one lock: number ──► history of the topic ──► Listener::deliver ──► your queues
//!                                        ▲ evicted by count, bytes, age
//!   subscribe(topics, since) ──► what was missed, in order ──► then live
//! ```
//!
//! Knows payloads, not frames or sockets; does no I/O, starts no thread and reads no clock: the
//! time is an argument, and [`Hub::handle_timeout`] does what is due.
//!
//! # One sequence, one cursor
//!
//! One sequence numbers the messages of all topics, and listeners are called in its order, under
//! the hub's one lock. That is what makes a single [`Id`] enough to resume all topics of a
//! subscriber: whoever has seen number 7 has seen everything of its topics up to 7.
//!
//! Without that order it would not be so. Say each topic delivered under a lock of its own: 6 goes
//! to topic `a` and 7 to `b` at the same time, and a subscriber of both gets 7 first. Its
//! connection dies, it comes back with the cursor 7, and 6 is lost for good although `a` has kept
//! it: nothing tells "has seen 7" from "has seen 6 and 7". So the lock covers numbering, keeping
//! and delivering together; and since delivering only enqueues, it is held for some 100 ns.
//!
//! A subscriber must keep that order too:
//!
//! - What [`Joined::recovered`] holds goes out before anything live.
//! - A subscriber that adds a topic later, with a cursor, gets old messages after newer ones of
//!   its other topics. Its cursor must not go back, nor may it be trusted for the new topic before
//!   all of `recovered` has arrived; send it as one answer.
//! - A [`Gap`] goes out before the messages behind it.
//!
//! # What is complete
//!
//! A subscriber that comes back with a cursor has missed nothing that it does not get, unless a
//! message after the cursor has left the history of its topic; then it is told of a [`Gap`] and
//! gets the rest. The number of the last message that left is known for each topic there is, and
//! for the [`Limits::forgotten`] topics that were dropped last. For all others a floor is known,
//! and a cursor below it gets a gap that may be none: that is the one false alarm within a hub's
//! life.
//!
//! A restart in memory loses everything, and is told: it is a new [`Epoch`], and a cursor of
//! another epoch gets a gap in every topic, and all that the new life has kept. So does, without
//! the past, a cursor from the future or one that can't be read. Silence is never an answer.
//!
//! # What a host does
//!
//! 1. [`Hub::subscribe`] with a [`Listener`]. A listener may stand for many subscribers: a thread
//!    may keep one for all its connections and give each what is newer than the cursor it joined at.
//! 2. Send the gaps and the messages of [`Joined`], then what the listener gets; a [`Queue`]
//!    between the two bounds what waits for a slow reader.
//! 3. [`Hub::unsubscribe`] once for each topic joined.
//! 4. [`Hub::handle_timeout`] about every second.
//!
//! How many topics one subscriber may have is the host's to bound: the hub does not know whose
//! subscriptions are whose. All that the hub itself holds has a bound in [`Limits`].

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod error;
mod forgotten;
mod history;
mod hub;
mod id;
mod keys;
mod listeners;
mod members;
mod message;
mod name;
mod presence;
mod queue;
mod recovery;
mod registry;
mod rules;
mod state;
#[cfg(test)]
mod testing;
mod topic;

pub use error::{Gap, GapReason, Limit, Refused};
pub use hub::{Hub, Info, Stats, TopicPage};
pub use id::{Epoch, Id, InvalidId, MAX_SEQ, Since};
pub use listeners::Listener;
pub use members::Member;
pub use message::{Kind, Message, OVERHEAD, Payload, Publication, Published};
pub use name::{LABEL_BYTES, Label, NameError, Pattern, TOPIC_BYTES, TopicName};
pub use presence::{JOIN, LEAVE, MemberPage};
pub use queue::{Item, Pushed, Queue, QueueLimits};
pub use recovery::{Joined, Order, Page};
pub use rules::{HistoryRules, Limits, Presence, Rules, Slow, TopicRules};
