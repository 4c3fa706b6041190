//! Which form of an answer the `Accept` header asks for (RFC 9110, section 12.5.1).
//!
//! Nothing is ever refused for what it accepts: what can't be satisfied, or read, is a long poll.

use std::cmp::Reverse;

use super::text::split_quoted;
use crate::metrics::Transport;

/// A form of the messages of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list, in answer to a long poll.
    List,
    /// A line for each, as they come.
    Lines,
    /// Parts of `multipart/mixed`, as they come.
    Parts,
    /// Parts of `multipart/x-mixed-replace`, as they come.
    Replacing,
    /// Server-sent events.
    Events,
}

impl Form {
    /// Returns what clients that get it come by.
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::List => Transport::Poll,
            Self::Lines => Transport::Lines,
            Self::Parts | Self::Replacing => Transport::Parts,
            Self::Events => Transport::Events,
        }
    }
}

/// The forms with their media types, the one first that is chosen where all are the same.
const FORMS: [(Form, &str, &str); 5] = [
    (Form::List, "application", "json"),
    (Form::Lines, "application", "x-ndjson"),
    (Form::Events, "text", "event-stream"),
    (Form::Parts, "multipart", "mixed"),
    (Form::Replacing, "multipart", "x-mixed-replace"),
];

/// A media range with its weight in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u16,
}

/// Chooses the form that a client likes best. Of equal weights the one wins that is named more
/// exactly, then the one named first.
pub(crate) fn choose<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Form {
    let texts = headers.into_iter().map(|value| std::str::from_utf8(value).unwrap_or_default());
    let ranges: Vec<Range<'_>> =
        texts.flat_map(|text| split_quoted(text, ',')).filter_map(Range::parse).collect();
    let rated = FORMS.iter().enumerate().filter_map(|(preference, (form, kind, subtype))| {
        let fits = ranges.iter().enumerate().filter_map(|(place, range)| {
            Some((range.exactness(kind, subtype)?, Reverse(place), range.weight))
        });
        let (exactness, place, weight) = fits.max()?;
        (weight > 0).then_some(((weight, exactness, place, Reverse(preference)), *form))
    });
    rated.max_by_key(|(rating, _)| *rating).map_or(Form::List, |(_, form)| form)
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split_quoted(text, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut parameters = parts.filter_map(|parameter| parameter.split_once('='));
        let weight = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = weight.map_or(Some(1_000), |(_, value)| thousandths(value.trim()))?;
        Some(Self { kind, subtype, weight })
    }

    /// Tells how exactly a type is meant; `None` when it is not.
    fn exactness(&self, kind: &str, subtype: &str) -> Option<u8> {
        let is = |range: &str, name: &str| range.eq_ignore_ascii_case(name);
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (this, "*") if is(this, kind) => Some(1),
            (this, that) if is(this, kind) && is(that, subtype) => Some(2),
            _ => None,
        }
    }
}

/// Reads a weight, which is from 0 to 1 with at most three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", _) => Some(part),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(accept: &str) -> Form {
        choose([accept.as_bytes()])
    }

    #[test]
    fn form_is_the_one_that_is_asked_for() {
        for (accept, form) in [
            ("text/event-stream", Form::Events),
            ("TEXT/Event-Stream; charset=utf-8", Form::Events),
            ("application/x-ndjson", Form::Lines),
            ("multipart/mixed", Form::Parts),
            ("multipart/*", Form::Parts),
            ("multipart/x-mixed-replace", Form::Replacing),
            ("multipart/x-mixed-replace, multipart/*", Form::Replacing),
            ("application/json", Form::List),
            ("application/*", Form::List),
            ("*/*", Form::List),
            ("text/html, image/png", Form::List),
            ("", Form::List),
            ("nonsense;;;q=,/", Form::List),
        ] {
            assert_eq!(chosen(accept), form, "{accept}");
        }
        assert_eq!(choose([]), Form::List);
        assert_eq!(choose([&b"text/html"[..], b"text/event-stream"]), Form::Events);
        assert_eq!(choose([&b"\xff"[..]]), Form::List);
    }

    #[test]
    fn weights_decide_and_then_how_exactly_and_how_early_a_form_is_named() {
        for (accept, form) in [
            ("text/event-stream;q=0.5, application/x-ndjson;q=0.9", Form::Lines),
            ("application/x-ndjson;q=0.001, */*;q=0", Form::Lines),
            ("text/event-stream, */*", Form::Events),
            ("*/*, text/event-stream;q=0.9", Form::List),
            ("application/x-ndjson, text/event-stream", Form::Lines),
            ("text/event-stream, application/x-ndjson", Form::Events),
            ("text/event-stream;q=0", Form::List),
            ("text/event-stream;q=0, */*", Form::List),
            ("application/json;q=0, */*", Form::Lines),
            ("text/event-stream;q=2, application/x-ndjson;q=0.1", Form::Lines),
            ("text/event-stream;q=0.1234, multipart/mixed", Form::Parts),
            (r#"text/event-stream;v="a,b;q=0";q=0.9, application/x-ndjson;q=0.8"#, Form::Events),
        ] {
            assert_eq!(chosen(accept), form, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn no_accept_header_panics(headers in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            choose(headers.iter().map(Vec::as_slice));
        }

        #[test]
        fn no_accept_header_of_likely_characters_panics(text in r#"[ a-z*/,;=."\\q0-9]{0,60}"#) {
            chosen(&text);
        }

        #[test]
        fn highest_weight_wins(weights in proptest::collection::vec(1_u16..=999, 5)) {
            let ranges = FORMS.iter().zip(&weights);
            let accept: Vec<_> =
                ranges.map(|((_, kind, sub), weight)| format!("{kind}/{sub};q=0.{weight:03}")).collect();
            let chosen = chosen(&accept.join(", "));
            let weight_of = FORMS.iter().zip(&weights).find(|((form, ..), _)| *form == chosen);
            prop_assert_eq!(weight_of.map(|(_, weight)| weight), weights.iter().max());
        }
    }
}
