//! What a back end answers.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::auth::denied::{Denied, Unavailable};
use crate::auth::grant::{Grant, GrantError, Patterns, info, subject};
use crate::auth::json::parse_object;

/// An answer that says whether something is allowed.
pub(super) struct Answer {
    allow: bool,
    members: Map<String, Value>,
}

impl Answer {
    /// Reads an answer.
    pub(super) fn read(json: &[u8]) -> Result<Self, Unavailable> {
        let members = parse_object(json).map_err(|_| Unavailable::Answer("no JSON object"))?;
        let Some(Value::Bool(allow)) = members.get("allow") else {
            return Err(Unavailable::Answer("no `allow`"));
        };
        Ok(Self { allow: *allow, members })
    }

    /// Returns whether it is allowed.
    pub(super) fn verdict(&self) -> Result<(), Denied> {
        if self.allow { Ok(()) } else { Err(Denied::Forbidden) }
    }

    /// Returns what a client is allowed that came `now`.
    pub(super) fn grant(&self, now: SystemTime) -> Result<Grant, Denied> {
        self.verdict()?;
        let wrong = |what| move |_: GrantError| Unavailable::Answer(what);
        let patterns = |name| Patterns::from_json(self.member(name));
        Ok(Grant {
            subject: self.subject()?,
            expires: self.expires(now)?,
            publish: patterns("publish").map_err(wrong("`publish`"))?,
            subscribe: patterns("subscribe").map_err(wrong("`subscribe`"))?,
            info: info(self.member("info")).map_err(wrong("`info`"))?,
        })
    }

    fn subject(&self) -> Result<Option<String>, Unavailable> {
        let wrong = || Unavailable::Answer("`subject`");
        match self.member("subject") {
            Value::Null => Ok(None),
            Value::String(name) => subject(name).map(Some).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    fn expires(&self, now: SystemTime) -> Result<Option<SystemTime>, Unavailable> {
        let wrong = || Unavailable::Answer("`expires_in`");
        match self.member("expires_in") {
            Value::Null => Ok(None),
            value => {
                let seconds = value.as_u64().filter(|seconds| (1..=LONGEST).contains(seconds));
                let end = seconds.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)));
                end.map(Some).ok_or_else(wrong)
            }
        }
    }

    fn member(&self, name: &str) -> &Value {
        self.members.get(name).unwrap_or(&Value::Null)
    }
}

/// The most seconds that `expires_in` may say: a hundred years.
const LONGEST: u64 = 100 * 366 * 24 * 60 * 60;
