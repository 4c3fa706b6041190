//! The frames that answer: how they look, not what they say.

use std::fmt::Display;

use sockeye_hub::TopicName;

use super::command::Reference;
use super::refusal::Refusal;
use crate::envelope::write_text;

/// A frame as it is written: one JSON object.
pub(crate) struct Reply(String);

impl Reply {
    /// Begins a frame of a type.
    pub(crate) fn new(kind: &str) -> Self {
        let mut text = String::from(r#"{"type":"#);
        write_text(&mut text, kind);
        Self(text)
    }

    /// Begins the answer to a command that was carried out.
    pub(crate) fn ok(reference: Option<&Reference>) -> Self {
        Self::new("ok").reference(reference)
    }

    /// Begins the answer to a command that was not.
    pub(crate) fn error(reference: Option<&Reference>, refusal: &Refusal) -> Self {
        Self::new("error").reference(reference).refusal(refusal)
    }

    fn reference(self, reference: Option<&Reference>) -> Self {
        match reference {
            None => self,
            Some(Reference::Number(number)) => self.number("ref", number),
            Some(Reference::Text(text)) => self.text("ref", text),
        }
    }

    fn refusal(self, refusal: &Refusal) -> Self {
        let reply = self.text("code", refusal.code).text("message", &refusal.message);
        match refusal.last {
            Some(last) => reply.text("last", &last.to_string()),
            None => reply,
        }
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.written(name, |out| write_text(out, value))
    }

    /// Adds a member whose JSON is the text of the value.
    pub(crate) fn number(self, name: &str, value: impl Display) -> Self {
        self.written(name, |out| out.push_str(&value.to_string()))
    }

    /// Adds a member whose JSON the caller writes.
    pub(crate) fn written(mut self, name: &str, write: impl FnOnce(&mut String)) -> Self {
        self.0.push(',');
        write_text(&mut self.0, name);
        self.0.push(':');
        write(&mut self.0);
        self
    }

    /// Adds a list of which the caller writes each item.
    pub(crate) fn list<T>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut String, T),
    ) -> Self {
        self.written(name, |out| {
            out.push('[');
            for (place, item) in items.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        })
    }

    pub(crate) fn topics<'a>(
        self,
        name: &str,
        topics: impl IntoIterator<Item = &'a TopicName>,
    ) -> Self {
        self.list(name, topics, |out, topic| write_text(out, topic.as_str()))
    }

    /// Adds the topics with which something was not done; nothing if there are none.
    pub(crate) fn refusals(self, name: &str, refused: &[(TopicName, Refusal)]) -> Self {
        if refused.is_empty() {
            return self;
        }
        self.list(name, refused, |out, (topic, refusal)| {
            out.push_str(r#"{"topic":"#);
            write_text(out, topic.as_str());
            let Self(rest) = Self(String::new()).refusal(refusal);
            out.push_str(&rest);
            out.push('}');
        })
    }

    /// Returns the whole frame.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
