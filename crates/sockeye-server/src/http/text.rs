//! Reading the texts that requests are made of: queries, lists in headers, media types.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Splits a header's value where `separator` stands outside quoted strings.
pub(super) fn split_quoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let splits = !quoted && character == separator;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
}

/// The query of a request.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl<'a> Query<'a> {
    /// Lists the values of a name, with what is encoded decoded; `None` for one that is no UTF-8.
    pub(super) fn all(self, name: &'a str) -> impl Iterator<Item = Option<String>> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| decode_form(value))
    }

    /// Returns the first value of a name.
    pub(crate) fn first(self, name: &'a str) -> Option<String> {
        self.all(name).next().flatten()
    }

    /// Tells whether there is a name, with a value or without.
    pub(super) fn has(self, name: &'a str) -> bool {
        self.all(name).next().is_some()
    }
}

fn decode_form(value: &str) -> Option<String> {
    let value: Cow<'_, str> =
        if value.contains('+') { value.replace('+', " ").into() } else { value.into() };
    percent_decode_str(&value).decode_utf8().ok().map(Cow::into_owned)
}

/// A media type as `Content-Type` names it.
pub(super) struct MediaType<'a> {
    /// In lower case, without parameters.
    pub(super) essence: String,
    /// The character encoding.
    pub(super) charset: Option<&'a str>,
}

impl<'a> MediaType<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let mut parts = split_quoted(text, ';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut parameters = parts.filter_map(|parameter| parameter.split_once('='));
        let charset = parameters.find(|(name, _)| name.eq_ignore_ascii_case("charset"));
        Self { essence, charset: charset.map(|(_, value)| value.trim_matches('"')) }
    }
}

/// Writes a name as headers can have it: everything but printable ASCII percent-encoded.
pub(super) fn encode_header(name: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name, HEADER)
}

/// Reads what [`encode_header`] writes, and UTF-8 as it is.
pub(super) fn decode_header(value: &[u8]) -> Option<String> {
    percent_encoding::percent_decode(value).decode_utf8().ok().map(Cow::into_owned)
}

/// What is encoded in headers, besides what is not ASCII.
const HEADER: &AsciiSet = &CONTROLS.add(b'%');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_a_query_are_decoded_as_forms_are() {
        let query = Query("topic=a+b&info&topic=%C3%A9%2Fx&topic=%ff&xtopic=c&&since=");
        let topics: Vec<_> = query.all("topic").collect();
        assert_eq!(topics, [Some("a b".into()), Some("é/x".into()), None]);
        assert!(query.has("info"));
        assert!(!query.has("nfo"));
        assert_eq!(query.first("since").as_deref(), Some(""));
        assert_eq!(query.first("wait"), None);
    }

    #[test]
    fn media_type_is_read_without_its_parameters_but_the_charset() {
        let read = MediaType::parse("Text/PLAIN; a=\"x;charset=y\"; Charset=\"utf-8\"");
        assert_eq!((read.essence.as_str(), read.charset), ("text/plain", Some("utf-8")));
        assert_eq!(MediaType::parse("").essence, "");
    }

    proptest! {
        #[test]
        fn every_name_reads_back_from_a_header(name in any::<String>()) {
            let header = encode_header(&name).to_string();
            prop_assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(decode_header(header.as_bytes()), Some(name));
        }
    }
}
