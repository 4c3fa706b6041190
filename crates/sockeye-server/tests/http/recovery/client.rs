//! A client that keeps a cursor and whatever it is told, over any transport.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use sockeye_server::http::{ClientAddr, Topics, router};

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Events,
    Lines,
    Parts,
    Poll,
}

/// What the client was told, in order.
#[derive(Debug)]
pub(crate) enum Told {
    Gap { topic: String, after: u64, before: u64, reason: String, epoch: u64 },
    Message { topic: String, epoch: u64, seq: u64 },
}

impl Told {
    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Gap { topic, .. } | Self::Message { topic, .. } => topic,
        }
    }

    pub(crate) fn message(&self) -> Option<(u64, u64)> {
        match self {
            Self::Gap { .. } => None,
            Self::Message { epoch, seq, .. } => Some((*epoch, *seq)),
        }
    }

    /// Tells whether this is a gap in which a message is missing.
    pub(crate) fn explains(&self, missing: u64, seq: u64) -> bool {
        let Self::Gap { after, before, reason, epoch, .. } = self else { return false };
        // Whoever comes from an earlier life can't tell what else that life had.
        let is_earlier = reason == "epoch" && missing < *epoch;
        is_earlier || (missing == *epoch && *after < seq && seq < *before)
    }
}

/// A client.
pub(crate) struct Client {
    target: String,
    /// Where it stands.
    cursor: Option<String>,
    pub(crate) form: Option<Form>,
    stream: Option<Body>,
    /// What was read and makes no whole message yet.
    rest: String,
    pub(crate) told: Vec<Told>,
    pub(crate) got_nothing: bool,
    /// The life of the hub that it talks to.
    epoch: u64,
}

impl Client {
    pub(crate) fn new(topics: &[&str]) -> Self {
        let more: Vec<_> = topics[1..].iter().map(|topic| format!("&topic={topic}")).collect();
        Self {
            target: format!("/t/{}?wait=0{}", topics[0], more.concat()),
            cursor: None,
            form: None,
            stream: None,
            rest: String::new(),
            told: Vec::new(),
            got_nothing: false,
            epoch: 0,
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.stream = None;
        self.rest.clear();
    }

    /// Comes with its cursor, over a transport. A poll is answered here and now.
    pub(crate) async fn connect(&mut self, topics: &Topics, form: Form) {
        self.disconnect();
        self.form = Some(form);
        let accept = match form {
            Form::Events => "text/event-stream",
            Form::Lines => "application/x-ndjson",
            Form::Parts => "multipart/mixed",
            Form::Poll => "application/json",
        };
        let mut request = Request::builder().uri(&self.target).header("accept", accept);
        request = request.extension(ClientAddr(Ipv4Addr::LOCALHOST.into()));
        if let Some(cursor) = &self.cursor {
            request = match form {
                Form::Events => request.header("last-event-id", cursor),
                _ => request.header("if-none-match", format!("\"{cursor}\"")),
            };
        }
        let request = request.body(Body::empty()).unwrap();
        let mut router = router(Arc::new(topics.clone()));
        let response = tower_service::Service::call(&mut router, request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        let now = topics.hub.stats().cursor.epoch.to_string();
        self.epoch = u64::from_str_radix(&now, 36).unwrap();
        if form != Form::Poll {
            self.stream = Some(response.into_body());
            return;
        }
        let cursor = response.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
        let list = response.into_body().collect().await.unwrap().to_bytes();
        let list: Vec<Value> = serde_json::from_slice(&list).unwrap_or_default();
        self.got_nothing = list.is_empty();
        list.iter().for_each(|item| self.take(item));
        self.cursor = Some(cursor);
    }

    /// Reads some frames of its stream, as far as they are there. `cut` ends the connection after
    /// so many bytes.
    pub(crate) fn read(&mut self, frames: usize, cut: Option<usize>) {
        let mut left = cut;
        for _ in 0..frames {
            let Some(bytes) = self.stream.as_mut().and_then(frame) else { break };
            let take = left.map_or(bytes.len(), |left| left.min(bytes.len()));
            left = left.map(|left| left - take);
            self.rest.push_str(std::str::from_utf8(&bytes[..take]).unwrap());
            self.digest();
        }
        if cut.is_some() {
            self.disconnect();
        }
    }

    /// Takes what is whole out of what was read.
    fn digest(&mut self) {
        let end = match self.form {
            Some(Form::Lines) => "\n",
            Some(Form::Events) => "\n\n",
            // The boundary behind a part comes with it.
            Some(Form::Parts) => "\r\n--",
            _ => return,
        };
        while let Some((whole, rest)) = self.rest.split_once(end) {
            let (whole, rest) = (whole.to_owned(), rest.to_owned());
            self.rest = rest;
            match self.form {
                Some(Form::Lines) => self.line(&whole),
                Some(Form::Events) => self.block(&whole),
                _ => self.part(&whole),
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Ok(item) = serde_json::from_str::<Value>(line) else { return };
        self.take(&item);
        if let Some(id) = item["id"].as_str() {
            self.cursor = Some(id.to_owned());
        }
    }

    fn block(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        if let Some(id) = field("id: ") {
            self.cursor = Some(id.to_owned());
        }
        if let Some(data) = field("data: ") {
            self.take(&serde_json::from_str(data).unwrap());
        }
    }

    fn part(&mut self, part: &str) {
        let Some((head, body)) = part.split_once("\r\n\r\n") else { return };
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let Some(id) = header("ETag: ") else { return self.line(body) };
        let id = id.trim_matches('"').to_owned();
        let topic = header("Topic: ").unwrap();
        self.message(topic, &id);
        self.cursor = Some(id);
    }

    fn take(&mut self, item: &Value) {
        let topic = item["topic"].as_str().unwrap_or_default();
        match item["type"].as_str() {
            Some("message") => self.message(topic, item["id"].as_str().unwrap()),
            Some("gap") => self.told.push(Told::Gap {
                topic: topic.to_owned(),
                after: item["after"].as_u64().unwrap(),
                before: item["before"].as_u64().unwrap(),
                reason: item["reason"].as_str().unwrap().to_owned(),
                epoch: self.epoch,
            }),
            _ => {}
        }
    }

    fn message(&mut self, topic: &str, id: &str) {
        let (epoch, seq) = id.split_once('-').unwrap();
        let epoch = u64::from_str_radix(epoch, 36).unwrap();
        let seq = seq.parse().unwrap();
        self.told.push(Told::Message { topic: topic.to_owned(), epoch, seq });
    }
}

/// Reads a frame if it is there; the end of a stream is none.
fn frame(body: &mut Body) -> Option<Bytes> {
    let frame = pin!(body.frame());
    match frame.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(frame)) => frame.unwrap().into_data().ok(),
        Poll::Ready(None) | Poll::Pending => None,
    }
}
