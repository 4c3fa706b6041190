//! Why a request is refused, as clients are told: a status, a name that never changes, a sentence.
//!
//! What is inside the server never shows: no error of another part is passed on as its text.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use sockeye_hub::{Id, Limit, NameError, Refused};
use sockeye_proto::handshake::Rejection;

use crate::auth::Denied;
use crate::crowd::Crowded;
use crate::envelope::write_text;
use crate::protocol::Refusal;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// The topic's last message, where that is what is wrong.
    last: Option<Id>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), last: None }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn limit_exceeded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "limit_exceeded", message)
    }

    pub(crate) fn media_type(message: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(crate) fn too_large(max: usize) -> Self {
        let message = format!("a body has at most {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit_exceeded", message)
    }

    pub(super) fn too_slow() -> Self {
        let message = "the body came too slowly or not at all";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    pub(crate) fn foreign_page() -> Self {
        let message = "pages of this origin may not do that";
        Self::new(StatusCode::FORBIDDEN, "origin_denied", message)
    }

    /// Tells a poll that its client has been disconnected.
    pub(super) fn disconnected() -> Self {
        let message = "an operator has ended this";
        Self::new(StatusCode::FORBIDDEN, "disconnected", message)
    }

    pub(crate) fn method() -> Self {
        let message = "a topic has the methods that Allow names";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(crate) fn crowded(crowded: Crowded) -> Self {
        match crowded {
            Crowded::PerIp => {
                let message = "your address has as many connections as it may";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "limit_exceeded", message)
            }
            Crowded::New => {
                let message = "too many connections come at once; come back a little later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
            }
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something is wrong here")
    }

    /// Returns the body.
    pub(super) fn json(&self) -> String {
        let mut json = String::from(r#"{"error":{"code":"#);
        write_text(&mut json, self.code);
        json.push_str(r#","message":"#);
        write_text(&mut json, &self.message);
        json.push('}');
        if let Some(last) = self.last {
            json.push_str(r#","last_id":"#);
            write_text(&mut json, &last.to_string());
        }
        json.push_str("}\n");
        json
    }
}

impl Problem {
    /// Returns the headers of the answer.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, &'static str)> {
        let extra = match self.status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, METHODS)),
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        let always = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        always.into_iter().chain(extra)
    }

    /// Returns what the log calls the rule that was broken.
    fn rule(&self) -> &'static str {
        match self.code {
            "origin_denied" => "origin",
            code => code,
        }
    }

    /// Returns the answer to a handshake for a WebSocket.
    pub(crate) fn rejection(&self) -> Rejection {
        let rejection = Rejection::new(self.status.as_u16(), "").with_rule(self.rule());
        self.headers().fold(rejection.body(self.json()), |rejection, (name, value)| {
            // All of these are right.
            rejection.clone().header(name.as_str(), value).unwrap_or(rejection)
        })
    }
}

impl IntoResponse for &Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.json()).into_response();
        for (name, value) in self.headers() {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let message = match &denied {
            Denied::Forbidden => "not permitted",
            Denied::KeyInQuery => "a key belongs into the header Authorization, not into the URL",
            Denied::Missing => "this takes a token or a key",
            Denied::Unavailable(_) => "nobody can tell for now who you are",
            Denied::WrongKey => "the key is none",
            Denied::Malformed(_) | Denied::Token(_) => "the token is not good",
        };
        let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, denied.code(), message)
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<Refusal> for Problem {
    /// Takes over what a command is refused for.
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, last } = refusal;
        Self { last, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Limit { limit: Limit::Payload, max } => Self::too_large(max),
            Refused::Version { last } => {
                let message = "another message is the last one of the topic";
                Self { last, ..Self::new(StatusCode::PRECONDITION_FAILED, "conflict", message) }
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "limit_exceeded", "no room for now"),
        }
    }
}

/// The methods of a topic.
pub(super) const METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Unavailable;

    #[test]
    fn refusal_tells_its_code_and_nothing_of_what_is_inside() {
        let inner = Unavailable::Answer("the secret inside of the server");
        let problem = Problem::from(Denied::Unavailable(inner));
        assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            problem.json(),
            "{\"error\":{\"code\":\"internal\",\"message\":\"nobody can tell for now who you are\"}}\n"
        );
        let full = Problem::from(Refused::Limit { limit: Limit::Topics, max: 77 });
        assert!(!full.json().contains("77"));
    }

    #[test]
    fn refusal_of_a_stranger_names_the_scheme_to_come_back_with() {
        let response = (&Problem::from(Denied::Missing)).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
}
