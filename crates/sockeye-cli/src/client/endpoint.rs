//! The flags for reaching a Sockeye server, and the URLs made of its own.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sockeye_proto::handshake::Url;

use super::exit::{Exit, Failure};
use super::tls::TlsArgs;
use super::values::reveal;

/// Where the server is, and who comes.
#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// Where the server is: http://HOST[:PORT], https://…, ws://… or wss://…; without a scheme,
    /// http:// is meant
    url: String,

    /// Says who comes; `@FILE` reads the token from a file
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SOCKEYE_TOKEN",
        hide_env_values = true,
        help_heading = "Server"
    )]
    token: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// A server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: Url,
    /// The path below which the server is, without a slash at its end.
    path: String,
}

impl ServerArgs {
    /// Returns where the server is.
    ///
    /// # Errors
    /// The URL is none, or has a query.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Failure> {
        Endpoint::parse(&self.url)
    }

    /// Returns the token; one in a file as it is now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn token(&self) -> Result<Option<String>, Failure> {
        self.token.as_deref().filter(|token| !token.is_empty()).map(reveal).transpose()
    }
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, Failure> {
        let whole = if text.contains("://") { text } else { &format!("http://{text}") };
        let url = Url::parse(whole).map_err(|error| {
            Failure::new(Exit::Usage, format!("{error}; write http://HOST[:PORT] or https://…"))
        })?;
        if url.target().contains('?') {
            let text = "the server's URL has no query; a token goes into --token or SOCKEYE_TOKEN";
            return Err(Failure::new(Exit::Usage, text));
        }
        let path = url.target().trim_end_matches('/').to_owned();
        Ok(Self { url, path })
    }

    /// Returns the server's own URL.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the URL of the WebSocket that many topics share.
    pub(crate) fn websocket(&self) -> String {
        let scheme = if self.url.is_secure() { "wss" } else { "ws" };
        format!("{scheme}://{}{}/ws", self.url.authority(), self.path)
    }

    /// Returns the target of requests to a topic.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}/t/{}", self.path, utf8_percent_encode(name, ENCODED))
    }
}

/// What does not stand for itself in a part of a path (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_leads_to_the_same_server() {
        for url in ["ws://h:81", "http://h:81/", "h:81"] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.websocket(), "ws://h:81/ws", "{url}");
            assert_eq!(endpoint.topic("a"), "/t/a", "{url}");
        }
        let below = Endpoint::parse("https://h/live/").unwrap();
        assert_eq!(below.websocket(), "wss://h/live/ws");
        assert_eq!(below.topic("a/b \u{e4}?"), "/live/t/a%2Fb%20%C3%A4%3F");
    }

    #[test]
    fn a_wrong_url_is_told_of_and_so_is_a_query_without_its_text() {
        for url in ["ftp://h", "", "http://u:p@h", "http://h/#x"] {
            assert_eq!(Endpoint::parse(url).unwrap_err().exit, Exit::Usage, "{url}");
        }
        let failure = Endpoint::parse("http://h/?token=s3cret").unwrap_err();
        assert!(failure.exit == Exit::Usage && !failure.text.contains("s3cret"));
    }
}
