//! Requests to try the handshake with, and what a refusal has to look like.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Accepted, HeadReader, Policy, Rejection, RequestHead, accept};
use crate::Limits;

/// The key of RFC 6455 section 1.3 and the value that answers it.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(super) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request in the making; starts out valid.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) line: Vec<u8>,
    pub(super) headers: Vec<Vec<u8>>,
}

pub(super) fn ask() -> Ask {
    let headers = [
        "Host: example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    Ask {
        line: b"GET /chat HTTP/1.1".to_vec(),
        headers: headers.iter().map(|line| line.as_bytes().to_vec()).collect(),
    }
}

impl Ask {
    /// Replaces the request line.
    pub(super) fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.line = line.as_ref().to_vec();
        self
    }

    /// Appends a header line.
    pub(super) fn with(mut self, line: impl AsRef<[u8]>) -> Self {
        self.headers.push(line.as_ref().to_vec());
        self
    }

    /// Removes the header lines of this name.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|line| {
            let own = line.get(..name.len());
            !own.is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
                || line.get(name.len()) != Some(&b':')
        });
        self
    }

    /// Replaces the header lines of the name in `line`.
    pub(super) fn set(self, line: impl AsRef<[u8]>) -> Self {
        let line = line.as_ref();
        let name = line.split(|byte| *byte == b':').next().unwrap();
        let name = core::str::from_utf8(name).unwrap();
        self.without(name).with(line)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone();
        bytes.extend_from_slice(b"\r\n");
        for line in &self.headers {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    pub(super) fn judge(&self) -> Result<Accepted, Rejection> {
        judge(&self.bytes(), &Policy::default())
    }

    pub(super) fn judge_by(&self, policy: &Policy) -> Result<Accepted, Rejection> {
        judge(&self.bytes(), policy)
    }
}

/// Does what a host does with the first bytes of a connection.
pub(super) fn judge(received: &[u8], policy: &Policy) -> Result<Accepted, Rejection> {
    let length = HeadReader::request().read(received, &Limits::default())?;
    let head = RequestHead::parse(&received[..length.expect("a whole head")])?;
    accept(&head, policy)
}

/// A response as a client reads it.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let length = response.parse(bytes).unwrap().unwrap();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        Self {
            status: response.code.unwrap(),
            headers: (response.headers.iter())
                .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                .collect(),
            body: bytes[length..].to_vec(),
        }
    }

    /// Returns the value of a header that stands there exactly once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(field, _)| field == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} twice");
        Some(value)
    }
}

/// Writes the 101.
#[track_caller]
pub(super) fn accepted(result: Result<Accepted, Rejection>) -> Response {
    let mut out = Vec::new();
    result.expect("accepted").write(&mut out);
    let response = Response::parse(&out);
    assert_eq!(response.status, 101);
    assert!(response.body.is_empty());
    response
}

/// Writes the refusal and checks all that every refusal has in common.
#[track_caller]
pub(super) fn refused(result: Result<Accepted, Rejection>, status: u16) -> Response {
    let rejection = result.expect_err("refused");
    let mut out = Vec::new();
    rejection.write(&mut out);
    let response = Response::parse(&out);
    assert_eq!(response.status, status, "{rejection}");
    assert!(response.header("connection").unwrap().starts_with("close"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    let length: usize = response.header("content-length").unwrap().parse().unwrap();
    if rejection.content().is_empty() {
        assert!(response.body.is_empty());
    } else {
        assert_eq!(response.body.len(), length);
    }
    response
}
