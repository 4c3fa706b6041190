//! The HTTP answer that refuses a handshake.
//!
//! Owns its one form: a status, a sentence that names the rule, and an end to the connection, so
//! that nothing sent behind a refused handshake is ever taken for another request.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::HandshakeMisuse;
use super::fields::{check_header, is_reserved, write_header};

/// The HTTP answer that refuses a handshake.
///
/// The connection closes after it: it says so itself, and the host discards what else arrived.
///
/// ```
/// use sockeye_proto::handshake::Rejection;
///
/// let rejection = Rejection::new(401, "Sign in first.\n").header("WWW-Authenticate", "Bearer")?;
/// let mut out = Vec::new();
/// rejection.write(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n"));
/// # Ok::<(), sockeye_proto::handshake::HandshakeMisuse>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
    rule: &'static str,
    content_type: Cow<'static, str>,
    content_length: String,
    headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    body: Vec<u8>,
    sends_body: bool,
}

impl Rejection {
    /// Refuses with a plain text. A status outside 300 to 599 would not refuse, and becomes 500.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        let status = if matches!(status, 300..=599) { status } else { 500 };
        Self::by_rule(status, "handler", text.into())
    }

    pub(super) fn by_rule(status: u16, rule: &'static str, text: impl Into<String>) -> Self {
        let body = text.into().into_bytes();
        let mut rejection = Self {
            status,
            rule,
            content_type: Cow::Borrowed("text/plain; charset=utf-8"),
            content_length: format!("{}", body.len()),
            headers: Vec::new(),
            body,
            sends_body: true,
        };
        match status {
            405 => rejection.push("Allow", b"GET"),
            426 => {
                rejection.push("Upgrade", b"websocket");
                rejection.push("Sec-WebSocket-Version", b"13");
            }
            _ => {}
        }
        rejection
    }

    /// Adds a header; one set again stands twice, as `Set-Cookie` needs.
    ///
    /// Fields that frame the response (`Connection`, `Content-Length`, `Transfer-Encoding` and
    /// their like) are passed over, so that a back end's answer can be handed on whole.
    ///
    /// # Errors
    /// The caller's faults: a name that is no token, a control character in the value.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HandshakeMisuse> {
        check_header(name, value.as_ref())?;
        if name.eq_ignore_ascii_case("content-type") {
            let value = String::from_utf8(value.as_ref().to_vec());
            self.content_type =
                Cow::Owned(value.map_err(|_| HandshakeMisuse::HeaderValue(name.into()))?);
        } else if !is_reserved(name) {
            self.headers.push((Cow::Owned(name.into()), value.as_ref().to_vec()));
        }
        Ok(self)
    }

    /// Sets the body, whose type is `text/plain` unless a `Content-Type` header says otherwise.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.content_length = format!("{}", self.body.len());
        self
    }

    /// Asks the client to come back after this many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.push("Retry-After", format!("{seconds}").as_bytes());
        self
    }

    /// Sets the label that [`rule`](Self::rule) returns.
    #[must_use]
    pub fn with_rule(mut self, rule: &'static str) -> Self {
        self.rule = rule;
        self
    }

    /// Leaves the body out, as the answer to a `HEAD` request must (RFC 9110 section 9.3.2).
    #[must_use]
    pub(super) fn without_body(mut self) -> Self {
        self.sends_body = false;
        self
    }

    /// Returns the status, 300 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns a short stable name of the rule that was broken, such as `origin`, for logs and
    /// metrics; `handler` where a handler refused.
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// Returns the body.
    pub fn content(&self) -> &[u8] {
        if self.sends_body { &self.body } else { &[] }
    }

    /// Returns all headers of the response.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // RFC 9110 section 7.8: whoever sends Upgrade lists it in Connection.
        let connection: &[u8] = match self.status {
            426 => b"close, Upgrade",
            _ => b"close",
        };
        [
            ("Connection", connection),
            ("Content-Type", self.content_type.as_bytes()),
            ("Content-Length", self.content_length.as_bytes()),
            ("X-Content-Type-Options", b"nosniff"),
        ]
        .into_iter()
        .chain(self.headers.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Appends the whole response.
    pub fn write(&self, out: &mut Vec<u8>) {
        let line = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        out.extend_from_slice(line.as_bytes());
        for (name, value) in self.headers() {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.content());
    }

    fn push(&mut self, name: &'static str, value: &[u8]) {
        self.headers.push((Cow::Borrowed(name), value.to_vec()));
    }
}

impl From<HandshakeMisuse> for Rejection {
    /// Answers 500 without telling the peer what went wrong in this program.
    fn from(_: HandshakeMisuse) -> Self {
        Self::by_rule(500, "misuse", "The server failed to answer.\n")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with status {} ({})", self.status, self.rule)
    }
}

impl core::error::Error for Rejection {}

fn phrase(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}
