//! URLs that may be asked: those of the configuration, and safe ones.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderValue, Uri};
use rustls_pki_types::ServerName;

/// A URL that is asked: `https`, or `http` on the loop-back interface.
///
/// Endpoints are made of the configuration only, never of what a client or a token says.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    safety: Safety,
}

#[derive(Clone, PartialEq, Eq)]
enum Safety {
    Insecure,
    Loopback,
    Tls(ServerName<'static>),
}

/// Why a URL is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is `http` to another machine: whoever is in between reads and answers.
    Insecure,
    /// It is no URL, or has no host.
    Invalid,
    /// It is neither `https` nor `http`.
    Scheme,
    /// It holds a user's name or a password, which would end in logs.
    UserInfo,
}

impl Endpoint {
    /// Takes a URL: `https`, or `http` when the host is `localhost` or a loop-back address.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::insecure(url)?;
        if endpoint.safety == Safety::Insecure {
            Err(EndpointError::Insecure)
        } else {
            Ok(endpoint)
        }
    }

    /// Takes a URL that may also be `http` to any host, for networks that nobody else is in.
    ///
    /// # Errors
    /// As [`Endpoint::parse`], but for [`EndpointError::Insecure`].
    pub fn insecure(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::Invalid)?;
        let authority = uri.authority().ok_or(EndpointError::Invalid)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(host);
        let host = host.to_owned();
        let (default_port, safety) = match uri.scheme_str() {
            Some("https") => (443, Safety::Tls(server_name(&host)?)),
            Some("http") if is_loopback(&host) => (80, Safety::Loopback),
            Some("http") => (80, Safety::Insecure),
            _ => return Err(EndpointError::Scheme),
        };
        // A port that is no number up to 65535 is a text that is there all the same.
        let port = if authority.as_str() == authority.host() {
            default_port
        } else {
            authority.port_u16().ok_or(EndpointError::Invalid)?
        };
        if host.is_empty() || url.contains('#') {
            return Err(EndpointError::Invalid);
        }
        Ok(Self { uri, host, port, safety })
    }

    /// Tells whether what is said can be read and changed on the way.
    pub fn is_insecure(&self) -> bool {
        self.safety == Safety::Insecure
    }

    pub(super) fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        if let Safety::Tls(name) = &self.safety { Some(name.clone()) } else { None }
    }

    /// Tells whether the endpoint may be at an address that a resolver gives.
    pub(super) fn may_be_at(&self, address: IpAddr) -> bool {
        self.safety != Safety::Loopback || address.is_loopback()
    }

    pub(super) fn authority(&self) -> HeaderValue {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""))
    }

    /// Returns the path and query, the form that requests to servers have.
    pub(super) fn target(&self) -> Uri {
        self.uri.path_and_query().map_or_else(Uri::default, |target| target.clone().into())
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, EndpointError> {
    ServerName::try_from(host.to_owned()).map_err(|_| EndpointError::Invalid)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        Self::parse(url)
    }
}

impl fmt::Debug for Endpoint {
    /// Leaves the query out: some put a key there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}:{}{})", self.host, self.port, self.uri.path())
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insecure => "http is for the loop-back interface only; use https",
            Self::Invalid => "not a URL",
            Self::Scheme => "a URL to ask begins with https:// or http://",
            Self::UserInfo => "a URL to ask holds no user or password",
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_asked() {
        for url in [
            "https://id.example/jwks.json",
            "https://192.0.2.1:8443/",
            "http://localhost:3000/auth?x=1",
            "http://127.0.0.1/",
            "http://[::1]:8080/keys",
        ] {
            assert!(!Endpoint::parse(url).unwrap().is_insecure(), "{url}");
        }
        for (url, error) in [
            ("http://id.example/jwks.json", EndpointError::Insecure),
            ("http://localhost.example/", EndpointError::Insecure),
            ("http://169.254.169.254/", EndpointError::Insecure),
            ("file:///etc/passwd", EndpointError::Invalid),
            ("ftp://id.example/", EndpointError::Scheme),
            ("/jwks.json", EndpointError::Invalid),
            ("https://", EndpointError::Invalid),
            ("https://a:b@id.example/", EndpointError::UserInfo),
            ("https://id.example:99999/", EndpointError::Invalid),
            ("https://id.example/#x", EndpointError::Invalid),
            ("https://id example/", EndpointError::Invalid),
            ("", EndpointError::Invalid),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn insecure_endpoint_is_one_by_choice_and_says_so() {
        let endpoint = Endpoint::insecure("http://backend:3000/auth").unwrap();
        assert!(endpoint.is_insecure());
        assert_eq!(Endpoint::insecure("ftp://backend/"), Err(EndpointError::Scheme));
    }

    #[test]
    fn name_of_this_machine_is_not_believed_to_be_elsewhere() {
        let endpoint = Endpoint::parse("http://localhost/").unwrap();
        assert!(endpoint.may_be_at("127.0.0.1".parse().unwrap()));
        assert!(!endpoint.may_be_at("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn debug_leaves_the_query_out() {
        let endpoint = Endpoint::parse("https://id.example/keys?secret=x").unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(id.example:443/keys)");
    }
}
