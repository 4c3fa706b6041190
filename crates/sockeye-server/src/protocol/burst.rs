//! What a subscriber has missed and gets at once: bounded, and what does not fit is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use sockeye_hub::{Gap, GapReason, Message, Slow, TopicName};

use super::host::Host;
use crate::envelope::{write_gap, write_message};

/// Gaps and messages that go out together.
///
/// What is left out of a topic is always older than what stays, so that one gap tells it all.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    gaps: BTreeMap<TopicName, Gap>,
    /// In order over all topics.
    messages: Vec<Arc<Message>>,
}

impl Burst {
    pub(crate) fn new(gaps: Vec<Gap>, messages: Vec<Arc<Message>>) -> Self {
        let gaps = gaps.into_iter().map(|gap| (gap.topic.clone(), gap)).collect();
        Self { gaps, messages }
    }

    /// Leaves out what topics whose messages each replace the one before need no more.
    pub(crate) fn keep_latest(&mut self) {
        let mut newest = BTreeMap::new();
        for message in self.messages.iter().filter(|message| message.slow == Slow::Latest) {
            newest.insert(message.topic.clone(), message.id.seq);
        }
        let superseded = |message: &Message| {
            newest.get(&message.topic).is_some_and(|newest| message.id.seq < *newest)
        };
        for message in std::mem::take(&mut self.messages) {
            if superseded(&message) {
                self.leave_out(&message);
            } else {
                self.messages.push(message);
            }
        }
    }

    /// Renders the messages, the newest of them up to a bound in bytes. One always stays.
    pub(crate) fn render(mut self, bound: usize) -> Rendered {
        let frames = render_within(self.messages.iter().rev(), bound);
        let left_out = self.messages.len().saturating_sub(frames.len());
        for message in std::mem::take(&mut self.messages).iter().take(left_out) {
            self.leave_out(message);
        }
        Rendered { gaps: self.gaps, frames: frames.into_iter().rev().collect() }
    }

    /// Takes note that a message is left out, the oldest first.
    fn leave_out(&mut self, message: &Message) {
        let seq = message.id.seq;
        let gap = self.gaps.entry(message.topic.clone()).or_insert_with(|| Gap {
            topic: message.topic.clone(),
            after: seq.saturating_sub(1),
            before: seq,
            reason: GapReason::Slow { dropped: 0 },
        });
        gap.before = seq.saturating_add(1);
        if let GapReason::Slow { dropped } = &mut gap.reason {
            *dropped = dropped.saturating_add(1);
        }
    }
}

/// Renders messages until a bound in bytes is reached, at least one.
pub(crate) fn render_within<'a>(
    messages: impl Iterator<Item = &'a Arc<Message>>,
    bound: usize,
) -> Vec<String> {
    let (mut frames, mut bytes) = (Vec::new(), 0_usize);
    for message in messages {
        let mut frame = String::new();
        write_message(&mut frame, message);
        bytes = bytes.saturating_add(frame.len());
        if bytes > bound && !frames.is_empty() {
            break;
        }
        frames.push(frame);
    }
    frames
}

/// A burst as frames.
pub(crate) struct Rendered {
    gaps: BTreeMap<TopicName, Gap>,
    frames: Vec<String>,
}

impl Rendered {
    pub(crate) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    pub(crate) fn messages(&self) -> usize {
        self.frames.len()
    }

    /// Sends the gaps, then the messages.
    pub(crate) fn send(&self, host: &mut impl Host) {
        for gap in self.gaps.values() {
            let mut frame = String::new();
            write_gap(&mut frame, gap);
            host.send(&frame);
        }
        self.frames.iter().for_each(|frame| host.send(frame));
    }
}
