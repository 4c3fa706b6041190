//! Hooks: a back end that answers what clients publish to a topic, so that the topic is a way to ask
//! an application and not only to tell others.
//!
//! ```text
//!   client ──► message ──► POST of JSON to the hook ──► {"reply": …}    to that client alone
//!                                                  └──► {"publish": …}  to all of the topic
//! ```
//!
//! The question is one object: `event` (`message`), `client`, `subject` if it is known, `topic`, `ip`,
//! and `data` or `base64` with `name` for the name of an event. It is signed as a webhook's questions
//! are, if there is a secret. The answer is one object too, of which these members count:
//!
//! | member | meaning |
//! |---|---|
//! | `publish` | `true` publishes the message as it is, an object with `data` or `base64` another in its place |
//! | `refuse` | `true` tells the client that it may not |
//! | `reply` | an object with `data` or `base64`: what the client gets in answer |
//!
//! An answer without any of them takes the message in and says nothing. What is published by keys of
//! the HTTP API does not go by the hook: that is the back end itself.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use sockeye_hub::{Kind, Payload, Publication, TopicName};
use tokio::sync::Semaphore;

use crate::auth::webhook::signature;
use crate::auth::{Client, Denied, Grant, Secret, Unavailable, json};
use crate::config;
use crate::fetch::{Bounds, Endpoint, FetchError, Fetcher};

/// The hooks of all topics. Clones share the bound on questions.
#[derive(Clone)]
pub struct Hooks {
    fetcher: Fetcher,
    endpoints: config::Hooks,
    secret: Option<Secret>,
    timeout: Duration,
    slots: Arc<Semaphore>,
}

/// What a back end makes of a message.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What to publish.
    pub publish: Option<Publication>,
    /// What the client gets.
    pub reply: Option<Payload>,
}

#[derive(Serialize)]
struct Question<'a> {
    event: &'static str,
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    ip: IpAddr,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Hooks {
    /// Makes hooks that ask with this fetcher, within a time that clients wait.
    pub(crate) fn new(
        fetcher: Fetcher,
        endpoints: config::Hooks,
        secret: Option<Secret>,
        timeout: Duration,
    ) -> Self {
        Self { fetcher, endpoints, secret, timeout, slots: Arc::new(Semaphore::new(QUESTIONS)) }
    }

    /// Tells whether somebody answers what is published to a topic.
    pub(crate) fn has(&self, topic: &TopicName) -> bool {
        self.endpoints.of(topic).is_some()
    }

    /// Asks what becomes of a message; where nobody answers it is published.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] where the back end says so, [`Denied::Unavailable`] where it says nothing
    /// of use.
    pub(crate) async fn ask(
        &self,
        publication: Publication,
        (client, grant): (&Client, &Grant),
        now: SystemTime,
    ) -> Result<Answer, Denied> {
        let Some(endpoint) = self.endpoints.of(&publication.topic) else {
            return Ok(Answer { publish: Some(publication), reply: None });
        };
        let body = question(&publication, client, grant)?;
        let answer = self.post(endpoint, body, now).await.map_err(Unavailable::Fetch)?;
        let object = json::parse_object(&answer).map_err(|_| Unavailable::Answer("no JSON"))?;
        read(object, publication)
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        body: Vec<u8>,
        now: SystemTime,
    ) -> Result<bytes::Bytes, FetchError> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = &self.secret {
            let signed = HeaderValue::from_str(&signature::sign(secret, now, &body));
            let signed = signed.map_err(|_| FetchError::Protocol)?;
            headers.insert(HeaderName::from_static(signature::HEADER), signed);
        }
        let bounds = Bounds { timeout: self.timeout, body: ANSWER_BYTES };
        let posted = async {
            let _slot = self.slots.acquire().await.map_err(|_| FetchError::Timeout)?;
            self.fetcher.post(endpoint, bounds, headers, body.into()).await
        };
        tokio::time::timeout(self.timeout, posted).await.unwrap_or(Err(FetchError::Timeout))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

fn question(
    publication: &Publication,
    client: &Client,
    grant: &Grant,
) -> Result<Vec<u8>, Unavailable> {
    let bytes = publication.payload.bytes();
    let data = match publication.payload.kind() {
        Kind::Text => std::str::from_utf8(bytes).ok(),
        Kind::Binary => None,
    };
    let question = Question {
        event: "message",
        client: &client.id,
        subject: grant.subject.as_deref(),
        ip: client.ip,
        topic: publication.topic.as_str(),
        name: publication.event.as_ref().map(|event| event.as_str()),
        data,
        base64: data.is_none().then(|| BASE64_STANDARD.encode(bytes)),
    };
    serde_json::to_vec(&question).map_err(|_| Unavailable::Answer("no question"))
}

/// Reads an answer.
fn read(mut object: Map<String, Value>, publication: Publication) -> Result<Answer, Denied> {
    if object.get("refuse") == Some(&Value::Bool(true)) {
        return Err(Denied::Forbidden);
    }
    let reply = object.remove("reply").map(|reply| payload(&reply)).transpose()?;
    let mut publication = publication;
    match object.remove("publish") {
        None | Some(Value::Bool(false)) => return Ok(Answer { publish: None, reply }),
        Some(Value::Bool(true)) => {}
        Some(other) => publication.payload = payload(&other)?,
    }
    Ok(Answer { publish: Some(publication), reply })
}

fn payload(object: &Value) -> Result<Payload, Unavailable> {
    match (object.get("data"), object.get("base64")) {
        (Some(Value::String(text)), None) => Ok(Payload::text(text.as_str())),
        (None, Some(Value::String(text))) => BASE64_STANDARD
            .decode(text)
            .map(Payload::binary)
            .map_err(|_| Unavailable::Answer("base64 that is none")),
        _ => Err(Unavailable::Answer("a message has data or base64, a text")),
    }
}

/// Questions that may be open at once.
const QUESTIONS: usize = 256;

/// The most bytes of an answer: a message of the greatest length, and as much again.
const ANSWER_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Result<Answer, Denied> {
        let publication = Publication::new("a".parse().unwrap(), Payload::text("asked"));
        read(json::parse_object(json.as_bytes()).unwrap(), publication)
    }

    #[test]
    fn answer_may_reply_publish_both_or_neither() {
        let parts = |json| {
            let Answer { publish, reply } = answer(json).unwrap();
            (publish.map(|publication| publication.payload), reply)
        };
        let text = |text: &str| Some(Payload::text(text));
        assert_eq!(parts("{}"), (None, None));
        assert_eq!(parts(r#"{"publish":true}"#), (text("asked"), None));
        assert_eq!(parts(r#"{"publish":false,"reply":{"data":"r"}}"#), (None, text("r")));
        let both = r#"{"publish":{"base64":"AQI="},"reply":{"data":"r"},"later":1}"#;
        assert_eq!(parts(both), (Some(Payload::binary(vec![1, 2])), text("r")));
    }

    #[test]
    fn answer_that_is_none_publishes_nothing() {
        for json in [
            r#"{"publish":"yes"}"#,
            r#"{"publish":{}}"#,
            r#"{"publish":null}"#,
            r#"{"reply":{"data":1}}"#,
            r#"{"reply":{"data":"a","base64":""}}"#,
            r#"{"reply":{"base64":"*"}}"#,
        ] {
            assert!(matches!(answer(json), Err(Denied::Unavailable(_))), "{json}");
        }
        assert_eq!(answer(r#"{"refuse":true,"publish":true}"#).unwrap_err(), Denied::Forbidden);
    }
}
