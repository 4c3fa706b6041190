//! Which web pages may connect.
//!
//! Browsers let any page open a WebSocket to any server and send the user's cookies along; only the
//! `Origin` header tells whose page it is (RFC 6455 section 10.2). Programs other than browsers
//! send none, or what they like: an origin keeps pages out, not people.

use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use super::HandshakeMisuse;
use super::authority::{Authority, Origin, default_port};

/// Which web pages may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Pages of the host and port that the request asks for; the default.
    #[default]
    Same,
    /// Pages that match one of these patterns.
    List(Vec<OriginPattern>),
    /// All pages, for services that do not go by cookies or a client's address.
    Any,
}

/// The scheme under which clients reach this server.
///
/// It decides what [`Origins::Same`] compares. A server that holds the TLS key itself knows it; one
/// behind a proxy that ends TLS does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Not known; the default. Host and port must be the page's, where a missing port is the
    /// default port of the page's scheme. A page at `http://example.com` passes on
    /// `wss://example.com`, so who can forge unencrypted pages can connect.
    #[default]
    Unknown,
    /// Clients come without TLS: the page's scheme must be `http`.
    Http,
    /// Clients come with TLS: the page's scheme must be `https`.
    Https,
}

/// One entry in a list of origins.
///
/// | pattern | pages that match |
/// |---|---|
/// | `https://example.com` | that scheme and host on the default port |
/// | `https://example.com:8443` | that scheme, host and port |
/// | `example.com`, `example.com:8080` | either of `http` and `https` |
/// | `*.example.com`, `https://*.example.com` | names that end in `.example.com`, not `example.com` itself |
/// | `same` | as [`Origins::Same`] |
/// | `null` | pages without an origin, such as sandboxed frames and files: anybody's |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Null,
    Same,
    Host {
        scheme: Option<String>,
        /// In lower case; with a leading dot where only names below it match.
        host: String,
        port: Option<u16>,
    },
}

impl Origins {
    /// Reads a list of patterns.
    ///
    /// ```
    /// # use sockeye_proto::handshake::Origins;
    /// let origins = Origins::list(["https://example.com", "*.example.org"])?;
    /// # Ok::<(), sockeye_proto::handshake::HandshakeMisuse>(())
    /// ```
    ///
    /// # Errors
    /// The caller's fault: [`HandshakeMisuse::OriginPattern`], with the first pattern that is none.
    pub fn list<I>(patterns: I) -> Result<Self, HandshakeMisuse>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let patterns = patterns.into_iter().map(|pattern| pattern.as_ref().parse());
        patterns.collect::<Result<_, _>>().map(Self::List)
    }

    /// Whether a page of `origin` may use the server that it knows as `host`, both as the headers
    /// of those names have them: for what a server offers besides WebSockets. A host that is none
    /// lets nobody in but by [`Origins::Any`].
    pub fn allows(&self, origin: &[u8], host: &str, scheme: Scheme) -> bool {
        match Authority::parse(host) {
            Some(host) => self.allow(origin, &host, scheme),
            None => *self == Self::Any,
        }
    }

    /// Whether a page of `origin` may connect to the server that it knows as `host`.
    pub(super) fn allow(&self, origin: &[u8], host: &Authority<'_>, scheme: Scheme) -> bool {
        let text = core::str::from_utf8(origin).unwrap_or_default();
        let origin = Origin::parse(text);
        match self {
            Self::Any => true,
            Self::Same => origin.is_some_and(|origin| is_same(&origin, host, scheme)),
            Self::List(patterns) => patterns.iter().any(|pattern| match (&pattern.0, origin) {
                (Pattern::Null, _) => text == "null",
                (_, None) => false,
                (Pattern::Same, Some(origin)) => is_same(&origin, host, scheme),
                (pattern, Some(origin)) => pattern.matches(&origin),
            }),
        }
    }
}

impl FromStr for OriginPattern {
    type Err = HandshakeMisuse;

    fn from_str(text: &str) -> Result<Self, HandshakeMisuse> {
        let invalid = || HandshakeMisuse::OriginPattern(text.into());
        match text {
            "null" => return Ok(Self(Pattern::Null)),
            "same" => return Ok(Self(Pattern::Same)),
            _ => {}
        }
        let (scheme, authority) = match text.split_once("://") {
            Some((scheme, authority)) => (Some(scheme), authority),
            None => (None, text),
        };
        let (dot, name) = match authority.strip_prefix("*.") {
            Some(name) => (".", name),
            None => ("", authority),
        };
        // A star elsewhere would be taken literally and never match.
        let name = Some(name).filter(|name| !name.contains('*'));
        let Authority { host, port } = name.and_then(Authority::parse).ok_or_else(invalid)?;
        if scheme.is_some_and(|scheme| Origin::parse(&alloc::format!("{scheme}://a")).is_none()) {
            return Err(invalid());
        }
        Ok(Self(Pattern::Host {
            scheme: scheme.map(str::to_ascii_lowercase),
            host: alloc::format!("{dot}{}", host.to_ascii_lowercase()),
            port,
        }))
    }
}

impl Pattern {
    fn matches(&self, origin: &Origin<'_>) -> bool {
        let Self::Host { scheme, host, port } = self else {
            return false;
        };
        let scheme_fits = match scheme {
            Some(scheme) => origin.scheme.eq_ignore_ascii_case(scheme),
            None => is_web(origin.scheme),
        };
        let name = origin.host.to_ascii_lowercase();
        let host_fits = if host.starts_with('.') {
            name.len() > host.len() && name.ends_with(host.as_str())
        } else {
            name == *host
        };
        scheme_fits && host_fits && port.or_else(|| default_port(origin.scheme)) == origin.port
    }
}

fn is_same(origin: &Origin<'_>, host: &Authority<'_>, scheme: Scheme) -> bool {
    let scheme_fits = match scheme {
        Scheme::Unknown => is_web(origin.scheme),
        Scheme::Http => origin.scheme.eq_ignore_ascii_case("http"),
        Scheme::Https => origin.scheme.eq_ignore_ascii_case("https"),
    };
    scheme_fits
        && origin.host.eq_ignore_ascii_case(host.host)
        && origin.port == host.port.or_else(|| default_port(origin.scheme))
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::super::Policy;
    use super::super::testing::{accepted, ask, refused};
    use super::*;

    fn list(patterns: &[&str]) -> Policy {
        Policy { origins: Origins::list(patterns).unwrap(), ..Policy::default() }
    }

    // HSS-067
    #[test]
    fn listed_origins_match_with_default_port_folded_and_in_any_case() {
        let policy = list(&["https://example.com", "http://example.org:80", "https://a.b:444"]);
        for origin in [
            "https://example.com",
            "https://example.com:443",
            "https://EXAMPLE.com",
            "HTTPS://example.com",
            "http://example.org",
            "https://a.b:444",
        ] {
            accepted(ask().with(format!("Origin: {origin}")).judge_by(&policy));
        }
    }

    // HSS-068
    #[test]
    fn origins_that_only_look_like_a_listed_one_are_403() {
        let policy = list(&["https://example.com"]);
        for origin in [
            "https://evil-example.com",
            "https://example.com.evil.com",
            "http://example.com",
            "https://example.com:444",
            "https://user@example.com",
            "https://example.com.",
            "null",
            "",
            "https://ex\u{e4}mple.com",
            "https://xn--exmple-cua.com",
            "https://\u{435}xample.com",
            "https://example.com/",
            "https://example.com/x",
            "https://example.com, https://example.com",
            "example.com",
            "//example.com",
            "https://",
            "https://example.com#",
            "https:example.com",
        ] {
            refused(ask().with(format!("Origin: {origin}")).judge_by(&policy), 403);
        }
        let two = ask().with("Origin: https://example.com").with("Origin: https://example.com");
        refused(two.judge_by(&policy), 403);
        refused(ask().with(b"Origin: https://\xFF").judge_by(&policy), 403);
    }

    // HSS-069
    #[test]
    fn wildcards_match_names_below_and_nothing_else() {
        for pattern in ["*.example.com", "https://*.example.com"] {
            let policy = list(&[pattern]);
            for origin in ["https://a.example.com", "https://a.b.example.com"] {
                accepted(ask().with(format!("Origin: {origin}")).judge_by(&policy));
            }
            for host in ["example.com", "xexample.com", "example.com.evil", ".example.com", "evil"]
            {
                let request = ask().with(format!("Origin: https://{host}"));
                refused(request.judge_by(&policy), 403);
            }
        }
    }

    #[test]
    fn by_default_only_pages_of_the_same_host_connect() {
        let policy = Policy::default();
        for (host, origin) in [
            ("example.com", "http://example.com"),
            ("example.com", "https://example.com"),
            ("example.com:443", "https://example.com"),
            ("Example.com:8080", "http://example.COM:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            let request = ask().set(format!("Host: {host}"));
            accepted(request.with(format!("Origin: {origin}")).judge_by(&policy));
        }
        for (host, origin) in [
            ("example.com", "http://example.com:8080"),
            ("example.com:443", "http://example.com"),
            ("example.com", "http://www.example.com"),
            ("example.com", "null"),
            ("example.com", "file://"),
            ("example.com", "chrome-extension://example.com"),
        ] {
            let request = ask().set(format!("Host: {host}"));
            refused(request.with(format!("Origin: {origin}")).judge_by(&policy), 403);
        }
    }

    #[test]
    fn a_known_scheme_must_be_the_pages() {
        let mut policy = Policy { scheme: Scheme::Https, ..Policy::default() };
        accepted(ask().with("Origin: https://example.com").judge_by(&policy));
        refused(ask().with("Origin: http://example.com").judge_by(&policy), 403);
        policy.scheme = Scheme::Http;
        accepted(ask().with("Origin: http://example.com").judge_by(&policy));
        refused(ask().with("Origin: https://example.com").judge_by(&policy), 403);
    }

    #[test]
    fn a_list_may_name_the_same_host_and_pages_without_origin() {
        let policy = list(&["same", "null"]);
        accepted(ask().with("Origin: http://example.com").judge_by(&policy));
        accepted(ask().with("Origin: null").judge_by(&policy));
        refused(ask().with("Origin: http://example.org").judge_by(&policy), 403);
    }

    #[test]
    fn patterns_that_could_never_match_are_refused() {
        for pattern in
            ["", "*", "a.*.com", "https://", "https://a/b", "a b", "*.", "1://a", "\u{e4}.com"]
        {
            assert!(Origins::list([pattern]).is_err(), "{pattern:?}");
        }
    }
}
