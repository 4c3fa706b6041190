//! Following redirects: what an answer sends elsewhere, and where a request may go.
//!
//! Connecting there is the business of `super`.

use http::{HeaderName, StatusCode, header};
use sockeye_proto::handshake::Url;

use super::address;
use crate::error::{Error, ErrorKind, Result};

/// The most hops that are ever followed, as much as any honest server needs.
pub(super) const MOST: u8 = 5;

/// Returns whether `error` is an answer that sends the request elsewhere.
///
/// 303 is none: it points to another thing than what was asked for (RFC 9110 section 15.4.4).
pub(super) fn is_redirect(error: &Error) -> bool {
    let status = error.response().map(http::Response::status);
    status.is_some_and(|status| FOLLOWED.contains(&status))
}

/// Whether a header proves who asks, so that it may not reach another origin.
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_str()))
}

/// Returns where the answer in `error` sends a request for `from`.
///
/// # Errors
/// The peer's faults, with its answer: no `Location`, one that is neither a WebSocket's URL nor an
/// absolute path, the way from `wss://` to `ws://`, and another origin for a request that holds
/// credentials.
pub(super) fn next(error: Error, from: &Url, credentials: Credentials) -> Result<Url> {
    let found = locate(&error, from).and_then(|to| {
        if from.is_secure() && !to.is_secure() {
            Err(format!("to {to} would give up encryption"))
        } else if credentials == Credentials::Held && to.origin() != from.origin() {
            Err(format!("to {to} would need the credentials of {}", from.origin()))
        } else {
            Ok(to)
        }
    });
    found.map_err(|reason| refused(error, &reason))
}

/// Makes the error of a redirect that is not followed.
pub(super) fn refused(mut error: Error, reason: &str) -> Error {
    let refusal = Error::new(ErrorKind::Handshake, format!("redirect {reason}"));
    match error.take_response() {
        Some(response) => refusal.with_response(response),
        None => refusal,
    }
}

/// Whether a request holds a header that proves who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Held,
    None,
}

fn locate(error: &Error, from: &Url) -> Result<Url, String> {
    let headers = error.response().map(http::Response::headers);
    let mut locations = headers.into_iter().flat_map(|headers| headers.get_all(header::LOCATION));
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err("does not say where to, or says it twice".into());
    };
    let text = std::str::from_utf8(location.as_bytes());
    let text = text.map_err(|_| "to what is not UTF-8".to_owned())?;
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let to = if is_path {
        let scheme = if from.is_secure() { "wss" } else { "ws" };
        address::parse(&format!("{scheme}://{}{text}", from.authority()))
    } else {
        address::parse(text)
    };
    to.map_err(|error| format!("to {text:?}, neither a full URL nor an absolute path: {error}"))
}

const FOLLOWED: [StatusCode; 4] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

const CREDENTIALS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::*;

    fn answer(status: u16, locations: &[&str]) -> Error {
        let mut response = Response::builder().status(status);
        for location in locations {
            response = response.header("location", *location);
        }
        Error::new(ErrorKind::Handshake, "").with_response(response.body(Bytes::new()).unwrap())
    }

    fn sent(from: &str, location: &str, credentials: Credentials) -> Result<String> {
        let from = Url::parse(from).unwrap();
        next(answer(302, &[location]), &from, credentials).map(|url| url.to_string())
    }

    #[test]
    fn a_full_url_and_an_absolute_path_are_followed() {
        for (from, location, to) in [
            ("ws://a/x", "ws://b:81/y?z", "ws://b:81/y?z"),
            ("ws://a/x", "https://b/", "wss://b/"),
            ("wss://a:444/x", "/y?z=//", "wss://a:444/y?z=//"),
        ] {
            assert_eq!(sent(from, location, Credentials::None).unwrap(), to);
        }
    }

    #[test]
    fn other_locations_are_errors_that_name_them() {
        for location in ["y", "?y", "//b/y", "../y", "ftp://b/", "ws://b/#c", "ws://u@b/", ""] {
            let error = sent("ws://a/x", location, Credentials::None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Handshake);
            assert!(error.to_string().contains(&format!("{location:?}")), "{error}");
            assert_eq!(error.response().unwrap().status(), 302);
        }
        let from = Url::parse("ws://a/").unwrap();
        for locations in [&[][..], &["/a", "/b"]] {
            let error = next(answer(302, locations), &from, Credentials::None).unwrap_err();
            assert!(error.to_string().contains("where to"), "{error}");
        }
    }

    // HSC-004
    #[test]
    fn encryption_is_kept_and_credentials_stay_with_their_origin() {
        use Credentials::{Held, None};
        for (from, location, credentials, allowed) in [
            ("wss://a/", "ws://a/", None, false),
            ("wss://a/", "http://a:443/", Held, false),
            ("wss://a/", "wss://b/", Held, false),
            ("wss://a/", "wss://a:444/", Held, false),
            ("ws://a/", "wss://a/", Held, false),
            ("wss://a/", "wss://a.b/", Held, false),
            ("wss://a/", "/y", Held, true),
            ("wss://a/", "https://A:443/y", Held, true),
            ("wss://a/", "wss://b/", None, true),
            ("ws://a/", "wss://a/", None, true),
        ] {
            let went = sent(from, location, credentials);
            assert_eq!(went.is_ok(), allowed, "{from} to {location}: {went:?}");
        }
        for name in ["authorization", "Cookie", "PROXY-authorization"] {
            assert!(is_credential(name));
        }
        assert!(!is_credential("x-colour"));
    }

    #[test]
    fn four_statuses_are_redirects() {
        for status in [301, 302, 307, 308] {
            assert!(is_redirect(&answer(status, &[])));
        }
        for status in [200, 300, 303, 304, 305, 306, 309, 401] {
            assert!(!is_redirect(&answer(status, &[])));
        }
    }
}
