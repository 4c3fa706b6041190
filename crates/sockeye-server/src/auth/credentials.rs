//! What a client sends to tell who it is, collected from wherever a client can put it.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use super::jwt::TOKEN_BYTES;

/// A request as the doors see it, whichever of them took it.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// The name that the server has given the connection.
    pub client: &'a str,
    /// Where the client is.
    pub ip: IpAddr,
    /// The request's target: path and query.
    pub target: &'a str,
    /// Its headers.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Which parts of requests are looked at.
#[derive(Clone, Debug, Default)]
pub struct CredentialRules {
    /// The name of a cookie that may hold a token.
    pub cookie: Option<String>,
    /// The names of headers that a webhook is told.
    pub forward: Vec<String>,
}

/// Who somebody says to be, and where from. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct Credentials {
    token: Option<TokenText>,
    client: Client,
}

/// A connection, as webhooks are told of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// The name that the server has given the connection.
    pub id: String,
    /// Where the client is.
    pub ip: IpAddr,
    /// The path of its request, without the query, which may hold a token.
    pub path: String,
    /// Those of its headers that are told on, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Why credentials can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialError {
    /// A token is empty or has characters that tokens don't have (RFC 6750, section 2.1).
    Characters,
    /// A token is longer than 8 KiB.
    Long,
    /// There are several, and which one counts is anybody's guess.
    Several,
}

impl Credentials {
    /// Collects what a request holds.
    ///
    /// A token is taken from `Authorization: Bearer`; from `Sec-WebSocket-Protocol`, as
    /// `sockeye.token.` and the token, since browsers can set no other header of a WebSocket; from
    /// `?token=`; and if none of these is there, from the cookie that the rules name. Other
    /// schemes of `Authorization` are for others.
    ///
    /// The subprotocol with the token is never the one to select: a client that offers it offers
    /// another one as well.
    ///
    /// # Errors
    /// Several tokens, or one that cannot be any.
    pub fn collect(
        request: &ClientRequest<'_>,
        rules: &CredentialRules,
    ) -> Result<Self, CredentialError> {
        let bearer = bearer(request.headers)?;
        let protocol = only(protocol_tokens(request.headers))?.map(str::to_owned);
        let query = only(query_values(request.target, "token"))?;
        let query = query.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
        let mut found = only([bearer, protocol, query].into_iter().flatten())?;
        if let (None, Some(name)) = (&found, &rules.cookie) {
            found = only(cookies(request.headers, name))?.map(str::to_owned);
        }
        let token = found.map(TokenText::new).transpose()?;
        Ok(Self { token, client: Client::new(request, rules) })
    }

    /// Makes those of a client that brings another token.
    ///
    /// # Errors
    /// The token cannot be one.
    pub(crate) fn renewed(client: Client, token: String) -> Result<Self, CredentialError> {
        Ok(Self { token: Some(TokenText::new(token)?), client })
    }

    /// Returns the token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.0.as_str())
    }

    /// Returns the connection that they are from.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Client {
    fn new(request: &ClientRequest<'_>, rules: &CredentialRules) -> Self {
        let path = request.target.split('?').next().unwrap_or_default();
        let forwarded = |name: &str| rules.forward.iter().any(|one| one.eq_ignore_ascii_case(name));
        let headers = request.headers.iter().filter(|(name, _)| forwarded(name));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            id: request.client.to_owned(),
            ip: request.ip,
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), text(value)))
                .collect(),
        }
    }
}

impl fmt::Debug for Client {
    /// Leaves the values of headers out: cookies may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        shown.field("id", &self.id).field("ip", &self.ip).field("path", &self.path);
        shown.finish_non_exhaustive()
    }
}

/// A token of characters that tokens have; no more is known of it.
#[derive(Clone)]
struct TokenText(String);

impl TokenText {
    fn new(text: String) -> Result<Self, CredentialError> {
        if text.len() > TOKEN_BYTES {
            return Err(CredentialError::Long);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(CredentialError::Characters);
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Reads the token or key of `Authorization: Bearer`.
///
/// # Errors
/// There are two such headers, or one that is no text.
pub(super) fn bearer(headers: &[(&str, &[u8])]) -> Result<Option<String>, CredentialError> {
    let Some(value) = only(header_values(headers, "authorization"))? else {
        return Ok(None);
    };
    let value = std::str::from_utf8(value).map_err(|_| CredentialError::Characters)?;
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned()))
}

/// Lists the values of the headers of a name.
pub(super) fn header_values<'a>(
    headers: &'a [(&str, &'a [u8])],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
    named.map(|(_, value)| *value)
}

/// Lists the values that a query has for a name, as they came.
pub(super) fn query_values<'a>(target: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// Returns the one item there is, or none.
///
/// # Errors
/// There are several.
pub(super) fn only<T>(mut items: impl Iterator<Item = T>) -> Result<Option<T>, CredentialError> {
    let first = items.next();
    if items.next().is_some() { Err(CredentialError::Several) } else { Ok(first) }
}

fn protocol_tokens<'a>(headers: &'a [(&str, &'a [u8])]) -> impl Iterator<Item = &'a str> {
    let lists = header_values(headers, "sec-websocket-protocol");
    let names = lists.flat_map(|list| list.split(|byte| *byte == b','));
    names.filter_map(|name| std::str::from_utf8(name).ok()?.trim().strip_prefix(PROTOCOL_PREFIX))
}

fn cookies<'a>(headers: &'a [(&str, &'a [u8])], name: &'a str) -> impl Iterator<Item = &'a str> {
    let lists = header_values(headers, "cookie");
    let pairs = lists.flat_map(|list| list.split(|byte| *byte == b';'));
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "a token that is empty or has characters that tokens don't have",
            Self::Long => "a token of more than 8 KiB",
            Self::Several => "more than one token",
        })
    }
}

impl std::error::Error for CredentialError {}

/// What the subprotocol that brings a token begins with.
const PROTOCOL_PREFIX: &str = "sockeye.token.";

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    fn collect(target: &str, headers: Headers<'_>) -> Result<Option<String>, CredentialError> {
        let request = ClientRequest { client: "c", ip: [127, 0, 0, 1].into(), target, headers };
        let rules = CredentialRules { cookie: Some("sid".into()), forward: vec![] };
        Credentials::collect(&request, &rules).map(|found| found.token().map(str::to_owned))
    }

    #[test]
    fn token_is_found_wherever_a_client_can_put_it() {
        let found = |target, headers: Headers<'_>| collect(target, headers).unwrap();
        assert_eq!(found("/t/a", &[]), None);
        assert_eq!(found("/t/a", &[("authorization", b"bearer a.b.c")]).unwrap(), "a.b.c");
        let offered = b"sockeye.v1.json, sockeye.token.a-b_c.d";
        assert_eq!(found("/ws", &[("Sec-WebSocket-Protocol", offered)]).unwrap(), "a-b_c.d");
        assert_eq!(found("/t/a?x=1&token=a%2Bb%3D", &[]).unwrap(), "a+b=");
        assert_eq!(found("/t/a", &[("Cookie", b"a=1; sid=abc; b=2")]).unwrap(), "abc");
        assert_eq!(found("/t/a?token=q", &[("Cookie", b"sid=abc")]).unwrap(), "q");
        assert_eq!(found("/t/a?xtoken=q", &[("Cookie", b"xsid=abc")]), None);
        assert_eq!(found("/t/a", &[("Authorization", b"Basic YTpi")]), None);
    }

    #[test]
    fn second_token_is_refused_and_not_chosen_from() {
        let a: (&str, &[u8]) = ("authorization", b"Bearer a");
        for (target, headers) in [
            ("/", &[a, a][..]),
            ("/", &[a, ("Authorization", b"Basic x")]),
            ("/?token=a", &[a]),
            ("/?token=a&token=a", &[]),
            ("/", &[("sec-websocket-protocol", b"sockeye.token.a,sockeye.token.b")]),
            ("/", &[("cookie", b"sid=a; sid=b")]),
            ("/", &[("cookie", b"sid=a"), ("cookie", b"sid=b")]),
        ] {
            assert_eq!(collect(target, headers), Err(CredentialError::Several), "{target}");
        }
    }

    #[test]
    fn token_of_other_characters_or_none_is_refused() {
        for (target, headers) in [
            ("/?token=", &[][..]),
            ("/?token=a%0d%0ab", &[]),
            ("/?token=%C3%A9", &[]),
            ("/?token=%ff", &[]),
            ("/", &[("authorization", &b"Bearer"[..])]),
            ("/", &[("authorization", b"Bearer a b")]),
            ("/", &[("authorization", b"Bearer \xff")]),
            ("/", &[("cookie", b"sid=\"a\"")]),
        ] {
            assert_eq!(collect(target, headers), Err(CredentialError::Characters), "{target}");
        }
        let long = format!("/?token={}", "a".repeat(8193));
        assert_eq!(collect(&long, &[]), Err(CredentialError::Long));
    }

    #[test]
    fn webhook_is_told_the_allowed_headers_and_no_query() {
        let headers: Headers<'_> = &[("X-Team", b"a"), ("Cookie", b"s=1"), ("x-team", b"b\xff")];
        let request = ClientRequest {
            client: "c7",
            ip: [192, 0, 2, 1].into(),
            target: "/t/chat?token=secret",
            headers,
        };
        let rules = CredentialRules { cookie: None, forward: vec!["x-TEAM".into()] };
        let credentials = Credentials::collect(&request, &rules).unwrap();
        let client = credentials.client();
        assert_eq!((client.id.as_str(), client.path.as_str()), ("c7", "/t/chat"));
        let team = |value: &str| ("x-team".to_owned(), value.to_owned());
        assert_eq!(client.headers, [team("a"), team("b\u{fffd}")]);
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("secret") && !shown.contains("team"), "{shown}");
    }
}
