//! `POST` and `DELETE`: publishing a body as it is, and forgetting a topic's history.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use sockeye_hub::{Id, Label, NameError, Payload, Publication, Published};

use super::format::is_reserved;
use super::get::json;
use super::problem::Problem;
use super::text::{MediaType, decode_header};
use super::{Call, ask, body};
use crate::auth::Act;
use crate::envelope::write_payload_object;
use crate::hook::Answer;
use crate::metrics::Transport;

/// Answers `POST`: publishes the body.
///
/// # Errors
/// What it asks for is none, not for who asks, or the hub refuses it.
pub(super) async fn publish(call: &Call<'_>, body: &mut Body) -> Result<Response, Problem> {
    let state = call.topics;
    let topic = ask::topic(call.parts)?;
    let topics = std::slice::from_ref(&topic);
    let admitted = state.admit(call.who(), Act::Publish, topics).await?;
    let headers = Headers::read(&call.parts.headers)?;
    let payload = headers.content.payload(body::read(body, &state.limits).await?)?;
    let bytes = payload.bytes().len();
    let mut publication = Publication::new(topic, payload);
    publication.event = headers.event;
    publication.key = headers.key;
    publication.if_version = headers.version;
    let Answer { publish, reply } = admitted.answer(publication).await?;
    let (metrics, mut members) = (state.clients.metrics(), Vec::new());
    if let Some(publication) = publish {
        let Published { id, subscribers, is_repeat } =
            metrics.publish(&state.hub, publication, state.clock.now())?;
        members.push(format!(r#""id":"{id}","subscribers":{subscribers}"#));
        members.extend(is_repeat.then(|| r#""repeat":true"#.to_owned()));
        if !is_repeat {
            metrics.received(Transport::Http, bytes);
        }
    }
    if let Some(reply) = reply {
        let mut member = r#""reply":"#.to_owned();
        write_payload_object(&mut member, &reply);
        members.push(member);
    }
    json(format!("{{{}}}\n", members.join(",")))
}

/// Answers `DELETE`: lets the topic forget all it keeps. For back ends only.
///
/// # Errors
/// The topic is none, or who asks has no key.
pub(super) async fn clear(call: &Call<'_>) -> Result<Response, Problem> {
    let topic = ask::topic(call.parts)?;
    let admitted = call.topics.admit(call.who(), Act::Publish, &[]).await?;
    admitted.permit_back_end()?;
    call.topics.hub.clear_history(&topic);
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What the headers of a publication say.
#[derive(Debug)]
struct Headers {
    content: Content,
    event: Option<Label>,
    key: Option<Label>,
    version: Option<Id>,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Binary,
    Json,
    Text,
}

impl Headers {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let event = label(headers, "event")?;
        if event.as_ref().is_some_and(|event| is_reserved(event.as_str())) {
            return Err(Problem::bad_request("this event is the server's"));
        }
        let version = only(headers, "if-version")?;
        let version = version.map(|id| ask::id(id.to_str().unwrap_or_default())).transpose()?;
        let content = Content::of(headers)?;
        Ok(Self { content, event, key: label(headers, "idempotency-key")?, version })
    }
}

impl Content {
    /// Reads what a body is said to be.
    ///
    /// # Errors
    /// It is nothing that is taken here.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if headers.contains_key(CONTENT_ENCODING) {
            return Err(Problem::media_type("a body has no Content-Encoding"));
        }
        let Some(kind) = only(headers, CONTENT_TYPE.as_str())? else { return Ok(Self::Binary) };
        let MediaType { essence, charset } = MediaType::parse(kind.to_str().unwrap_or_default());
        let content = match essence.as_str() {
            "multipart/form-data" => {
                return Err(Problem::media_type("a form of several parts is no message"));
            }
            "application/json" => Self::Json,
            // What `curl -d` calls everything.
            "application/x-www-form-urlencoded" => Self::Text,
            essence if essence.starts_with("text/") => Self::Text,
            _ => return Ok(Self::Binary),
        };
        let is_utf8 = |charset: &str| {
            ["utf-8", "utf8", "us-ascii"].iter().any(|one| charset.eq_ignore_ascii_case(one))
        };
        if charset.is_some_and(|charset| !is_utf8(charset)) {
            return Err(Problem::media_type("texts are UTF-8"));
        }
        Ok(content)
    }

    /// Makes a payload of a body; the bytes stay as they are.
    fn payload(self, bytes: Bytes) -> Result<Payload, Problem> {
        if self == Self::Binary {
            return Ok(Payload::binary(bytes));
        }
        if self == Self::Json {
            check_json(&bytes)?;
        }
        Payload::text_from(bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))
    }
}

/// Checks that bytes are JSON that a usual parser can read. What it says is nobody's matter here.
fn check_json(bytes: &[u8]) -> Result<(), Problem> {
    // serde_json skips values without recursion, so that depth costs no stack.
    let parsed = serde_json::from_slice::<IgnoredAny>(bytes);
    parsed.map_err(|_| Problem::bad_request("the body is not JSON"))?;
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth = depth.saturating_add(1),
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            let message = format!("the JSON is nested deeper than {JSON_DEPTH} levels");
            return Err(Problem::bad_request(message));
        }
    }
    Ok(())
}

/// Reads a header that may be there once.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Problem::bad_request(format!("there are several headers {name}"))),
    }
}

fn label(headers: &HeaderMap, name: &'static str) -> Result<Option<Label>, Problem> {
    let Some(value) = only(headers, name)? else { return Ok(None) };
    let text = decode_header(value.as_bytes()).ok_or(NameError::NotUtf8)?;
    Ok(Some(Label::new(&text)?))
}

/// The most levels of arrays and objects in each other: parsers of many languages give up at 100.
const JSON_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(kind: &str) -> Result<Content, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        Content::of(&headers).map_err(|problem| problem.status.as_u16())
    }

    fn status(result: Result<impl Sized, Problem>) -> u16 {
        result.map_or_else(|problem| problem.status.as_u16(), |_| 200)
    }

    #[test]
    fn content_type_tells_text_from_bytes() {
        assert_eq!(Content::of(&HeaderMap::new()).unwrap(), Content::Binary);
        for (kind, expected) in [
            ("text/plain", Ok(Content::Text)),
            ("Text/HTML; charset=UTF-8", Ok(Content::Text)),
            ("text/plain; charset=iso-8859-1", Err(415)),
            ("application/json", Ok(Content::Json)),
            ("application/json;charset=\"utf-8\"", Ok(Content::Json)),
            ("application/octet-stream", Ok(Content::Binary)),
            ("image/png", Ok(Content::Binary)),
            ("", Ok(Content::Binary)),
            ("application/x-www-form-urlencoded", Ok(Content::Text)),
            ("multipart/form-data; boundary=x", Err(415)),
        ] {
            assert_eq!(content(kind), expected, "{kind}");
        }
    }

    // PUB-020, RES-014
    #[test]
    fn json_is_checked_and_taken_as_it_is_up_to_64_levels() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (json, expected) in [
            (r#"{"a":1,"a":2}"#.to_owned(), 200),
            ("1e99999999999999999999".to_owned(), 200),
            (format!("{{\"{}\":0}}", "k".repeat(1 << 20)), 200),
            (nested(64), 200),
            (format!("[\"{}\\\"\"]", "[".repeat(1_000)), 200),
            (nested(65), 400),
            (nested(100_000), 400),
            ("[".repeat(100_000), 400),
            (String::new(), 400),
            ("{".to_owned(), 400),
            ("{} {}".to_owned(), 400),
            ("nul".to_owned(), 400),
        ] {
            let read = Content::Json.payload(json.clone().into());
            assert_eq!(status(read), expected, "{}", &json[..json.len().min(40)]);
        }
        let read = Content::Json.payload("{ \"a\" : 1 }".into()).unwrap();
        assert_eq!(read, Payload::text("{ \"a\" : 1 }"));
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused_and_bytes_may_be_anything() {
        let bytes = Bytes::from_static(b"a\xff");
        assert_eq!(status(Content::Text.payload(bytes.clone())), 400);
        assert_eq!(status(Content::Json.payload(Bytes::from_static(b"\"\xff\""))), 400);
        assert_eq!(status(Content::Binary.payload(bytes)), 200);
    }

    #[test]
    fn headers_of_a_publication_are_names_and_ids_or_refused() {
        let read = |name: &'static str, value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_bytes(value).unwrap());
            Headers::read(&headers)
        };
        let event = |value: &[u8]| read("event", value).unwrap().event.unwrap();
        assert_eq!(event("é".as_bytes()).as_str(), "é");
        assert_eq!(event(b"%C3%A9 100%25").as_str(), "é 100%");
        for bad in [
            &b""[..],
            b"\xff",
            b"%0a",
            b"%00",
            b"gap",
            b"join",
            b"leave",
            b"binary.x",
            &[b'x'; 129],
        ] {
            assert_eq!(status(read("event", bad)), 400, "{bad:?}");
        }
        assert_eq!(read("if-version", b"\"1-7\"").unwrap().version.unwrap().seq, 7);
        assert_eq!(status(read("if-version", b"7")), 400);
        assert_eq!(status(read("idempotency-key", b"")), 400);
        assert_eq!(status(read("content-encoding", b"gzip")), 415);
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes in any::<Vec<u8>>()) {
            let _ = Content::Json.payload(bytes.clone().into());
            let _ = Content::Text.payload(bytes.into());
        }
    }
}
