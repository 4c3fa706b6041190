//! What a request asks for: topics, a place to go on from, how long to wait.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri, header};
use percent_encoding::percent_decode_str;
use sockeye_hub::{Id, Since, TopicName};

use super::HttpLimits;
use super::problem::Problem;
use super::text::Query;

/// Returns the query of a request.
pub(super) fn query(parts: &Parts) -> Query<'_> {
    Query(parts.uri.query().unwrap_or_default())
}

/// Reads the one topic of a request.
///
/// # Errors
/// Its name breaks a rule, or the query names more.
pub(super) fn topic(parts: &Parts) -> Result<TopicName, Problem> {
    if query(parts).has("topic") {
        return Err(Problem::bad_request("this takes one topic, that of the path"));
    }
    path_topic(&parts.uri)
}

/// Reads the topics of a request, each once.
///
/// # Errors
/// A name breaks a rule, or there are too many.
pub(super) fn topics(parts: &Parts, limits: &HttpLimits) -> Result<Vec<TopicName>, Problem> {
    topics_of(&parts.uri, limits)
}

/// As [`topics`], of a URI.
///
/// # Errors
/// As there.
pub(crate) fn topics_of(uri: &Uri, limits: &HttpLimits) -> Result<Vec<TopicName>, Problem> {
    let mut topics = vec![path_topic(uri)?];
    for name in Query(uri.query().unwrap_or_default()).all("topic") {
        let name = name.ok_or(sockeye_hub::NameError::NotUtf8)?;
        let topic = TopicName::new(&name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
        if topics.len() > limits.topics {
            let message = format!("a request has at most {} topics", limits.topics);
            return Err(Problem::limit_exceeded(message));
        }
    }
    Ok(topics)
}

fn path_topic(uri: &Uri) -> Result<TopicName, Problem> {
    let name = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let name: Vec<u8> = percent_decode_str(name).collect();
    Ok(TopicName::from_bytes(&name)?)
}

/// Reads where the client wants to go on; `None` if it does not say.
///
/// Headers go before the query: a client that comes back by itself repeats the URL that it was
/// given and tells in a header how far it has got since.
pub(super) fn since(parts: &Parts) -> Option<Since> {
    since_of(&parts.uri, &parts.headers)
}

/// As [`since`], of a URI and headers.
pub(crate) fn since_of(uri: &Uri, headers: &HeaderMap) -> Option<Since> {
    let header = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?;
        // Two places are none.
        let first = if values.next().is_some() { "" } else { first.to_str().unwrap_or("?") };
        Some(first.to_owned())
    };
    let id = header(HeaderName::from_static("last-event-id")).filter(|id| !id.is_empty());
    let tag = || header(header::IF_NONE_MATCH).map(|tag| untag(&tag).to_owned());
    let query = Query(uri.query().unwrap_or_default());
    let asked = |name| query.all(name).next().map(|place| place.unwrap_or_else(|| "?".into()));
    let last = || asked("lastEventId").filter(|id| !id.is_empty());
    let place = id.or_else(tag).or_else(last).or_else(|| asked("since"))?;
    Some(if place == "oldest" { Since::Oldest } else { Since::parse(&place) })
}

/// Reads an id, as it is or as an entity tag.
///
/// # Errors
/// It is none.
pub(super) fn id(text: &str) -> Result<Id, Problem> {
    untag(text).parse().map_err(|_| Problem::bad_request("an id is <epoch>-<number>"))
}

fn untag(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

/// Reads how long a poll may wait.
///
/// # Errors
/// It is no number of seconds.
pub(super) fn wait(parts: &Parts, limits: &HttpLimits) -> Result<Duration, Problem> {
    let Some(wait) = number(query(parts), "wait")? else { return Ok(limits.default_wait) };
    let wait = Duration::from_secs(u64::try_from(wait).unwrap_or(u64::MAX));
    if wait > limits.wait {
        let message = format!("a poll waits for at most {} seconds", limits.wait.as_secs());
        return Err(Problem::bad_request(message));
    }
    Ok(wait)
}

/// Reads a number from the query.
///
/// # Errors
/// It is none.
pub(crate) fn number(query: Query<'_>, name: &'static str) -> Result<Option<usize>, Problem> {
    if !query.has(name) {
        return Ok(None);
    }
    let text = query.first(name).unwrap_or_default();
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} is a whole number")))
}

/// What stands before the name of a topic in a path.
const PREFIX: &str = "/t/";

#[cfg(test)]
mod tests {
    use http::Request;
    use sockeye_hub::Epoch;

    use super::*;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn named(target: &str) -> Result<Vec<String>, Problem> {
        let topics = topics(&parts(target, &[]), &HttpLimits::default())?;
        Ok(topics.iter().map(|topic| topic.as_str().to_owned()).collect())
    }

    #[test]
    fn topics_are_decoded_and_come_once_each() {
        assert_eq!(named("/t/a%2Fb+c?topic=d+e&topic=d%20e&x=1").unwrap(), ["a/b+c", "d e"]);
    }

    #[test]
    fn topic_129_and_a_name_of_256_bytes_are_refused_and_one_less_is_not() {
        let many = |count: usize| {
            let more: Vec<_> = (1..count).map(|at| format!("topic=t{at}")).collect();
            named(&format!("/t/a?{}", more.join("&")))
        };
        assert_eq!(many(128).unwrap().len(), 128);
        assert_eq!(many(129).unwrap_err().code, "limit_exceeded");
        assert_eq!(named(&format!("/t/{}", "a".repeat(255))).unwrap().len(), 1);
        let long = named(&format!("/t/{}", "a".repeat(256))).unwrap_err();
        assert_eq!((long.status.as_u16(), long.code), (400, "bad_request"));
    }

    #[test]
    fn name_that_other_protocols_would_read_otherwise_is_refused() {
        let bad = ["", "a%0ab", "a%0d%0ab", "a%00", "a*", "%3E", "%ff", "..", "a%2F..%2Fb", "%20a"];
        for name in bad {
            assert_eq!(named(&format!("/t/{name}")).unwrap_err().status.as_u16(), 400, "{name}");
            let query = named(&format!("/t/good?topic={name}"));
            assert_eq!(query.unwrap_err().status.as_u16(), 400, "{name}");
        }
    }

    #[test]
    fn place_is_taken_from_the_freshest_source() {
        let epoch = Epoch::from_random(1);
        let at = |seq| Some(Since::After(Id { epoch, seq }));
        let since = |target: &str, headers: &[_]| since(&parts(target, headers));
        assert_eq!(since("/t/a", &[]), None);
        assert_eq!(since("/t/a?since=1-1", &[]), at(1));
        assert_eq!(since("/t/a?since=oldest", &[]), Some(Since::Oldest));
        assert_eq!(since("/t/a?since=1-1&lastEventId=1-2", &[]), at(2));
        assert_eq!(since("/t/a?since=1-1", &[("if-none-match", "\"1-3\"")]), at(3));
        assert_eq!(since("/t/a?since=1-1", &[("if-none-match", "W/\"1-3\"")]), at(3));
        let both = [("last-event-id", "1-4"), ("if-none-match", "\"1-3\"")];
        assert_eq!(since("/t/a?since=1-1&lastEventId=1-2", &both), at(4));
        assert_eq!(since("/t/a?since=1-1", &[("last-event-id", "")]), at(1));
    }

    #[test]
    fn place_that_cannot_be_read_is_told_apart_from_none() {
        let since = |target: &str, headers: &[_]| since(&parts(target, headers));
        assert_eq!(since("/t/a?since=", &[]), Some(Since::Unreadable));
        assert_eq!(since("/t/a?since=%ff", &[]), Some(Since::Unreadable));
        assert_eq!(since("/t/a?lastEventId=%ff", &[]), Some(Since::Unreadable));
        assert_eq!(since("/t/a", &[("last-event-id", "é")]), Some(Since::Unreadable));
        let twice = [("if-none-match", "\"1-3\""), ("if-none-match", "\"1-4\"")];
        assert_eq!(since("/t/a", &twice), Some(Since::Unreadable));
    }

    #[test]
    fn wait_is_a_number_of_seconds_up_to_60() {
        let wait = |target: &str| {
            wait(&parts(target, &[]), &HttpLimits::default()).map(|wait| wait.as_secs()).ok()
        };
        assert_eq!(wait("/t/a"), Some(25));
        assert_eq!(wait("/t/a?wait=0"), Some(0));
        assert_eq!(wait("/t/a?wait=60"), Some(60));
        for bad in ["61", "-1", "+1", "1.5", "x", "", "99999999999999999999999"] {
            assert_eq!(wait(&format!("/t/a?wait={bad}")), None, "{bad}");
        }
    }
}
