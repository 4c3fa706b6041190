//! Whose page asks, and what its browser is told (Fetch standard, CORS).
//!
//! Browsers let any page send requests anywhere, with the user's cookies; the header `Origin`
//! tells whose page it is. A page that is not allowed changes nothing and reads nothing.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HOST, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::problem::METHODS;
use crate::policy::Policy;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// A page that may, of this origin.
    Allowed(HeaderValue),
    /// A page that may, of this origin, as all may, and so not with the cookies of its user.
    Anybody(HeaderValue),
    /// A page of somebody else.
    Foreign,
    /// No page: a program.
    None,
}

impl Page {
    /// Looks at a request.
    pub(super) fn of(parts: &Parts, policy: &Policy) -> Self {
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Self::None };
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or(authority).unwrap_or_default();
        let seen = origin.as_bytes();
        if origins.next().is_some() || !policy.allows_page(seen, host) {
            Self::Foreign
        } else if policy.allows_cookies(seen, host) {
            Self::Allowed(origin.clone())
        } else {
            Self::Anybody(origin.clone())
        }
    }

    /// Lets the page's browser show it the answer, if it may see it.
    pub(super) fn dress(&self, mut response: Response, policy: &Policy) -> Response {
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Self::Allowed(origin) | Self::Anybody(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            let may_bring_cookies = matches!(self, Self::Allowed(_));
            if may_bring_cookies && policy.credential_rules.cookie.is_some() {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        response
    }

    /// Answers `OPTIONS`, which asks in front of another request as well.
    pub(super) fn options(&self, parts: &Parts) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        let asks = parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if asks && matches!(self, Self::Allowed(_) | Self::Anybody(_)) {
            for (name, value) in [
                (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (ACCESS_CONTROL_ALLOW_HEADERS, ASKED),
                (ACCESS_CONTROL_MAX_AGE, "600"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}

/// Headers of answers that pages may read.
const EXPOSED: &str = "ETag, Retry-After";

/// Headers of requests that pages may set.
const ASKED: &str = "Accept, Authorization, Content-Type, Event, Idempotency-Key, If-None-Match, \
                     If-Version, Last-Event-ID, X-API-Key";
