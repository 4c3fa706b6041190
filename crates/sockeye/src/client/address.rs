//! URLs of callers and redirects; what the core asks to be converted before, converted.

use sockeye_proto::handshake::Url;
#[cfg(feature = "idn")]
use sockeye_proto::handshake::UrlError;

use crate::error::Result;
#[cfg(feature = "idn")]
use crate::error::{Error, ErrorKind};

/// Parses a URL, whose host may be beyond ASCII (UTS 46).
///
/// # Errors
/// The caller's faults: those of [`Url::parse`], a name that IDNA does not allow.
#[cfg(feature = "idn")]
pub(super) fn parse(text: &str) -> Result<Url> {
    match Url::parse(text) {
        Err(UrlError::IdnHost(host)) => {
            let ascii = idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL);
            let ascii = ascii.map_err(|error| {
                let text = format!("host {host:?} is no international name");
                Error::new(ErrorKind::InvalidUrl, text).with_source(error)
            })?;
            // The scheme before it is ASCII, so the host is what is found first.
            Ok(Url::parse(&text.replacen(&host, &ascii, 1))?)
        }
        parsed => Ok(parsed?),
    }
}

/// Parses a URL, whose host must be ASCII.
///
/// # Errors
/// The caller's faults: those of [`Url::parse`].
#[cfg(not(feature = "idn"))]
pub(super) fn parse(text: &str) -> Result<Url> {
    Ok(Url::parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[cfg(feature = "idn")]
    #[test]
    fn names_beyond_ascii_become_punycode_for_every_use() {
        for (text, authority, name) in [
            ("wss://b\u{fc}cher.example/\u{fc}", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("wss://BU\u{308}CHER.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            (
                "wss://\u{4f8b}\u{3002}\u{6e2c}\u{8a66}:81/",
                "xn--fsq.xn--g6w251d:81",
                "xn--fsq.xn--g6w251d",
            ),
            ("wss://b\u{fc}cher.example.", "xn--bcher-kva.example.", "xn--bcher-kva.example"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.authority(), authority);
            assert_eq!(url.origin(), format!("https://{authority}"));
            assert_eq!(url.server_name(), Some(name));
        }
        // Digits of full width are an address, as browsers have it.
        assert_eq!(parse("ws://\u{ff11}\u{ff12}7.0.0.1/").unwrap().server_name(), None);
    }

    #[cfg(feature = "idn")]
    #[test]
    fn names_that_idna_forbids_are_errors() {
        for host in ["\u{fffd}", "xn--a.\u{fc}", "\u{fc}\u{ff0f}", "\u{fc}\u{ff20}b", "\u{ad}"] {
            let error = parse(&format!("ws://{host}/")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{host}");
        }
    }

    #[cfg(not(feature = "idn"))]
    #[test]
    fn names_beyond_ascii_are_told_to_become_punycode() {
        let error = parse("wss://b\u{fc}cher.example/").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        assert!(error.to_string().contains("punycode"));
    }
}
