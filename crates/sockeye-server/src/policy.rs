//! Who may do what, as the configuration says it now: the same for every door.

use std::sync::{Arc, PoisonError, RwLock};

use sockeye_proto::handshake::{Origins, Scheme};

use crate::auth::{ApiKeys, Auth, CredentialRules};
use crate::hook::Hooks;

/// What the configuration says of clients and pages.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Decides who is admitted.
    pub auth: Auth,
    /// The keys of back ends, which may do everything.
    pub api_keys: ApiKeys,
    /// Who answers what is published; `None` for nobody.
    pub hooks: Option<Arc<Hooks>>,
    /// Where credentials are looked for.
    pub credential_rules: CredentialRules,
    /// The pages that may use the server, besides its own.
    pub origins: Origins,
    /// The scheme under which clients reach the server, where it is known.
    pub scheme: Scheme,
}

impl Policy {
    /// Makes a policy without keys of back ends, without cookies, for pages of the server alone.
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            api_keys: ApiKeys::default(),
            hooks: None,
            credential_rules: CredentialRules::default(),
            origins: Origins::Same,
            scheme: Scheme::Unknown,
        }
    }

    /// Tells whether what is no key may be a token, or else stands for nothing: where there are keys and
    /// nothing else, whoever shows another has a wrong one.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.api_keys.is_empty() || !matches!(self.auth, Auth::Anonymous(_))
    }

    /// Tells whether a page of `origin` may use the server that it knows as `host`.
    pub fn allows_page(&self, origin: &[u8], host: &str) -> bool {
        self.origins.allows(origin, host, self.scheme) || self.is_own_page(origin, host)
    }

    /// Tells whether such a page may bring the cookies of its user: where every page may use the
    /// server, only the server's own may.
    pub fn allows_cookies(&self, origin: &[u8], host: &str) -> bool {
        match self.origins {
            Origins::Any => self.is_own_page(origin, host),
            _ => self.allows_page(origin, host),
        }
    }

    fn is_own_page(&self, origin: &[u8], host: &str) -> bool {
        Origins::Same.allows(origin, host, self.scheme)
    }
}

/// The policy of the moment, which may be replaced while the server runs.
///
/// Whoever serves a request takes it once, so that one request sees one policy.
#[derive(Debug)]
pub struct Policies(RwLock<Arc<Policy>>);

impl Policies {
    /// Begins with a policy.
    pub fn new(policy: Policy) -> Self {
        Self(RwLock::new(Arc::new(policy)))
    }

    /// Returns the policy of the moment.
    pub fn current(&self) -> Arc<Policy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it for requests from now on. Streams and connections that were admitted stay.
    pub fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_server_and_of_the_list_are_allowed_and_no_others() {
        let mut policy = Policy::new(Auth::Anonymous(Arc::default()));
        policy.origins = Origins::list(["https://app.example"]).unwrap();
        for (origin, allowed) in [
            ("https://app.example", true),
            ("http://here:8080", true),
            ("http://here", false),
            ("https://app.example.evil", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(policy.allows_page(origin.as_bytes(), "here:8080"), allowed, "{origin}");
        }
        assert!(!policy.allows_page(b"https://", "/"));
    }

    #[test]
    fn cookies_come_from_named_pages_only_even_where_every_page_is_allowed() {
        let mut policy = Policy::new(Auth::Anonymous(Arc::default()));
        policy.origins = Origins::list(["https://app.example"]).unwrap();
        assert!(policy.allows_cookies(b"https://app.example", "here"));
        assert!(!policy.allows_cookies(b"https://evil.example", "here"));
        policy.origins = Origins::Any;
        assert!(policy.allows_page(b"https://evil.example", "here"));
        assert!(!policy.allows_cookies(b"https://evil.example", "here"));
        assert!(policy.allows_cookies(b"https://here", "here"));
    }

    #[test]
    fn replaced_policy_holds_for_whoever_asks_next() {
        let policies = Policies::new(Policy::new(Auth::Anonymous(Arc::default())));
        let before = policies.current();
        let mut next = (*before).clone();
        next.origins = Origins::Any;
        policies.replace(next);
        assert_eq!(before.origins, Origins::Same);
        assert_eq!(policies.current().origins, Origins::Any);
    }
}
