//! Asks a back end who may connect, subscribe and publish, and tells it who has gone.
//!
//! The question is a POST with JSON:
//!
//! ```json
//! {"event": "connect", "id": "6f1c…", "client": "c1", "token": "…", "ip": "192.0.2.1",
//!  "path": "/t/chat", "headers": {"cookie": "…"}}
//! ```
//!
//! `event` is `connect`, `subscribe`, `publish` or `disconnect`; `id` is never the same twice;
//! `token` is in `connect` alone; `subject` is there when it is known, and `topic` for `subscribe`
//! and `publish`; `headers` are those that the configuration names. [`signature`] says how to
//! check that a question is ours. The answer has the status 200 and says, in JSON:
//!
//! | member | what |
//! |---|---|
//! | `allow` | `true` or `false`; required |
//! | `subject` | for `connect`: who the client is |
//! | `publish`, `subscribe` | for `connect`: patterns of topics, for which nothing more is asked |
//! | `info` | for `connect`: any JSON of at most 4 KiB, shown to other members of a topic |
//! | `expires_in` | for `connect`: seconds until the client has to come again |
//!
//! Whatever else comes back, or nothing, refuses for now; it never allows.

mod answer;
pub mod signature;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use sockeye_hub::TopicName;
use tokio::sync::Semaphore;

use super::credentials::{Client, Credentials};
use super::denied::{Denied, Unavailable};
use super::grant::Grant;
use super::secret::Secret;
use crate::fetch::{Bounds, Endpoint, FetchError, Fetcher};

use answer::Answer;

/// What a back end is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Who is it, and what may it do? Always asked.
    Connect,
    /// It has gone. Told, not asked.
    Disconnect,
    /// May it publish to a topic that its grant does not name?
    Publish,
    /// May it subscribe to a topic that its grant does not name?
    Subscribe,
}

/// How a back end is asked.
#[derive(Clone, Debug)]
pub struct WebhookRules {
    /// Where.
    pub endpoint: Endpoint,
    /// What the questions are signed with.
    pub secret: Secret,
    /// What is asked besides [`Event::Connect`]. Default none.
    pub events: Vec<Event>,
    /// How long an answer may take, the wait for others included. Default 1 s: clients wait.
    pub timeout: Duration,
    /// How many questions may be open at once. Default 64: a back end that is slow gets no more.
    pub concurrency: usize,
}

impl WebhookRules {
    /// Asks for connections only, within a second.
    pub fn new(endpoint: Endpoint, secret: Secret) -> Self {
        let timeout = Duration::from_secs(1);
        Self { endpoint, secret, events: Vec::new(), timeout, concurrency: 64 }
    }
}

/// A back end that is asked. Clones share the bound on questions.
#[derive(Clone, Debug)]
pub struct Webhook {
    fetcher: Fetcher,
    rules: Arc<WebhookRules>,
    slots: Arc<Semaphore>,
}

#[derive(Serialize)]
struct Question<'a> {
    event: Event,
    id: String,
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    ip: IpAddr,
    path: &'a str,
    headers: BTreeMap<&'a str, String>,
}

impl Webhook {
    /// Makes one that asks as the rules say.
    pub fn new(fetcher: Fetcher, rules: WebhookRules) -> Self {
        let slots = Semaphore::new(rules.concurrency.min(Semaphore::MAX_PERMITS));
        Self { fetcher, rules: rules.into(), slots: slots.into() }
    }

    /// Tells whether the back end wants to be asked about an event.
    pub fn asks(&self, event: Event) -> bool {
        event == Event::Connect || self.rules.events.contains(&event)
    }

    /// Asks who a client is and what it may do.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] when the back end says so, [`Denied::Unavailable`] when it says
    /// nothing of use.
    pub async fn connect(
        &self,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Grant, Denied> {
        let mut question = Question::new(Event::Connect, credentials.client());
        question.token = credentials.token();
        self.ask(question, now).await?.grant(now)
    }

    /// Asks whether a client may do something with a topic.
    ///
    /// # Errors
    /// As [`Webhook::connect`].
    pub async fn topic(
        &self,
        event: Event,
        (client, grant): (&Client, &Grant),
        topic: &TopicName,
        now: SystemTime,
    ) -> Result<(), Denied> {
        let mut question = Question::new(event, client);
        question.subject = grant.subject.as_deref();
        question.topic = Some(topic.as_str());
        self.ask(question, now).await?.verdict()
    }

    /// Tells that a client has gone.
    ///
    /// # Errors
    /// [`Unavailable`] when it can't be told. It is not told again.
    pub async fn disconnect(
        &self,
        client: &Client,
        grant: &Grant,
        now: SystemTime,
    ) -> Result<(), Unavailable> {
        let mut question = Question::new(Event::Disconnect, client);
        question.subject = grant.subject.as_deref();
        self.post(question, now).await.map(drop)
    }

    async fn ask(&self, question: Question<'_>, now: SystemTime) -> Result<Answer, Denied> {
        let answer = self.post(question, now).await?;
        Ok(Answer::read(&answer)?)
    }

    async fn post(
        &self,
        mut question: Question<'_>,
        now: SystemTime,
    ) -> Result<bytes::Bytes, Unavailable> {
        question.id = random_id()?;
        let body = serde_json::to_vec(&question).map_err(|_| Unavailable::Answer("no question"))?;
        let signature = signature::sign(&self.rules.secret, now, &body);
        let signature = HeaderValue::from_str(&signature);
        let signature = signature.map_err(|_| Unavailable::Answer("no signature"))?;
        let name = HeaderName::from_static(signature::HEADER);
        let headers = HeaderMap::from_iter([(name, signature)]);
        let bounds = Bounds { timeout: self.rules.timeout, body: ANSWER_BYTES };
        let posted = async {
            let _slot = self.slots.acquire().await.map_err(|_| FetchError::Timeout)?;
            self.fetcher.post(&self.rules.endpoint, bounds, headers, body.into()).await
        };
        let posted = tokio::time::timeout(self.rules.timeout, posted).await;
        posted.unwrap_or(Err(FetchError::Timeout)).map_err(Unavailable::Fetch)
    }
}

impl<'a> Question<'a> {
    fn new(event: Event, client: &'a Client) -> Self {
        let mut headers = BTreeMap::<&str, String>::new();
        for (name, value) in &client.headers {
            // As RFC 9110 (section 5.2) joins fields of one name.
            headers
                .entry(name)
                .and_modify(|list| list.extend([", ", value]))
                .or_insert_with(|| value.clone());
        }
        Self {
            event,
            id: String::new(),
            client: &client.id,
            subject: None,
            topic: None,
            token: None,
            ip: client.ip,
            path: &client.path,
            headers,
        }
    }
}

fn random_id() -> Result<String, Unavailable> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Unavailable::Answer("no randomness"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The most bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
