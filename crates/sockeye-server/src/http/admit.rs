//! Who asks, and whether they may.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use sockeye_hub::{Publication, TopicName};
use tokio::runtime::Handle;

use super::page::Page;
use super::problem::Problem;
use super::{ClientAddr, Topics};
use crate::auth::{Act, Auth, ClientRequest, CredentialRules, Credentials, Denied};
use crate::clients::Clients;
use crate::guest::Guest;
use crate::hook::Answer;
use crate::policy::Policy;

/// Somebody who was admitted.
#[derive(Debug)]
pub(super) struct Admitted {
    policy: Arc<Policy>,
    /// Its number among the clients.
    number: u64,
    ip: IpAddr,
    who: Who,
}

#[derive(Debug)]
enum Who {
    /// Has a key, and may do everything.
    BackEnd,
    Client(Box<Guest>, Named),
}

/// What is left of somebody's admission while a stream lasts: there are many.
#[derive(Debug)]
pub(super) struct Lasting {
    ends: Option<SystemTime>,
    /// For whoever wants to hear that it has gone.
    _guest: Option<Box<Guest>>,
}

/// Whether a client told who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    No,
    Yes,
}

/// The parts of a request that tell who asks.
struct Seen<'a> {
    target: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    ip: IpAddr,
}

impl Admitted {
    /// Finds out who asks.
    ///
    /// # Errors
    /// Why it is not admitted.
    pub(super) async fn find(
        clients: &Clients,
        (policy, parts, page): (&Arc<Policy>, &Parts, &Page),
    ) -> Result<Self, Problem> {
        let seen = Seen::new(parts)?;
        let (number, ip) = (clients.number(), seen.ip);
        let admitted = |who| Self { policy: policy.clone(), number, ip, who };
        match policy.api_keys.check(seen.target, &seen.headers) {
            Ok(()) => return Ok(admitted(Who::BackEnd)),
            // What is no key may be a token, unless it was sent as a key.
            Err(Denied::WrongKey) if !seen.has("x-api-key") && policy.takes_tokens() => {}
            Err(Denied::Missing) => {}
            Err(denied) => return Err(denied.into()),
        }
        let who = seen.credentials(&clients.name(number), policy, page)?;
        let named = if who.token().is_some() { Named::Yes } else { Named::No };
        let grant = policy.auth.admit(&who).await?;
        let client = (number, who.client().clone());
        let guest = Guest::new(policy.clone(), client, grant, Handle::current());
        Ok(admitted(Who::Client(Box::new(guest), named)))
    }

    /// Decides whether it may do something with a topic.
    ///
    /// # Errors
    /// Why it may not: who has not told who it is, and might be allowed then, is asked to.
    pub(super) async fn permit(&self, act: Act, topic: &TopicName) -> Result<(), Problem> {
        let Who::Client(guest, named) = &self.who else { return Ok(()) };
        match guest.permit(act, topic).await {
            Err(Denied::Forbidden) => Err(self.forbidden(act, *named).into()),
            decided => Ok(decided?),
        }
    }

    /// Finds out what becomes of what it publishes and may publish. What back ends publish is
    /// published.
    ///
    /// # Errors
    /// Why nothing.
    pub(super) async fn answer(&self, publication: Publication) -> Result<Answer, Problem> {
        match &self.who {
            Who::BackEnd => Ok(Answer { publish: Some(publication), reply: None }),
            Who::Client(guest, _) => Ok(guest.answer(&guest.grant, publication).await?),
        }
    }

    /// Decides whether it may do what only back ends may.
    ///
    /// # Errors
    /// It has no key.
    pub(super) fn permit_back_end(&self) -> Result<(), Problem> {
        match &self.who {
            Who::BackEnd => Ok(()),
            Who::Client(_, Named::No) => Err(Denied::Missing.into()),
            Who::Client(..) if self.tokens_mean_nothing() => Err(Denied::WrongKey.into()),
            Who::Client(..) => Err(Denied::Forbidden.into()),
        }
    }

    /// Returns its number among the clients.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns where it is.
    pub(super) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns who it is, if it has told.
    pub(super) fn subject(&self) -> Option<&str> {
        match &self.who {
            Who::BackEnd => None,
            Who::Client(guest, _) => guest.grant.subject.as_deref(),
        }
    }

    /// Returns when what it may ends.
    pub(super) fn ends(&self) -> Option<SystemTime> {
        match &self.who {
            Who::BackEnd => None,
            Who::Client(guest, _) => guest.grant.expires,
        }
    }

    /// Tells whether what it may has ended.
    pub(super) fn has_ended(&self, now: SystemTime) -> bool {
        self.ends().is_some_and(|ends| ends <= now)
    }

    /// Keeps what a stream needs to know of it.
    pub(super) fn into_lasting(self) -> Lasting {
        let ends = self.ends();
        let _guest = match self.who {
            Who::Client(guest, _) if guest.is_of_interest() => Some(guest),
            _ => None,
        };
        Lasting { ends, _guest }
    }

    /// Tells what would help who may not do something.
    fn forbidden(&self, act: Act, named: Named) -> Denied {
        let keys_help = act == Act::Publish && !self.policy.api_keys.is_empty();
        match named {
            Named::No if keys_help || !self.tokens_mean_nothing() => Denied::Missing,
            Named::Yes if keys_help && self.tokens_mean_nothing() => Denied::WrongKey,
            _ => Denied::Forbidden,
        }
    }

    fn tokens_mean_nothing(&self) -> bool {
        matches!(self.policy.auth, Auth::Anonymous(_))
    }
}

impl Lasting {
    /// Returns how long what it may lasts from `now` on; `None` for ever.
    pub(super) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.ends.map(|ends| ends.duration_since(now).unwrap_or_default())
    }
}

impl<'a> Seen<'a> {
    fn new(parts: &'a Parts) -> Result<Self, Problem> {
        let ClientAddr(ip) = parts.extensions.get().ok_or_else(Problem::internal)?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        Ok(Self { target, headers, ip: *ip })
    }

    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|(name, _)| *name == header)
    }

    /// Collects credentials; a page that may not read the answer must not ask with the cookies of
    /// its user.
    fn credentials(
        &self,
        name: &str,
        policy: &Policy,
        page: &Page,
    ) -> Result<Credentials, Problem> {
        let Self { target, headers, ip } = self;
        let request = ClientRequest { client: name, ip: *ip, target, headers };
        let collect = |rules: &CredentialRules| {
            Credentials::collect(&request, rules).map_err(|error| Denied::from(error).into())
        };
        let rules = &policy.credential_rules;
        if matches!(page, Page::Allowed(_) | Page::None) || rules.cookie.is_none() {
            return collect(rules);
        }
        let without_cookie = CredentialRules { cookie: None, ..rules.clone() };
        let found = collect(&without_cookie)?;
        if found.token().is_none() && collect(rules)?.token().is_some() {
            return Err(Problem::foreign_page());
        }
        Ok(found)
    }
}

impl Topics {
    /// Finds out who asks and whether they may do something with each of the topics.
    pub(super) async fn admit(
        &self,
        who: (&Arc<Policy>, &Parts, &Page),
        act: Act,
        topics: &[TopicName],
    ) -> Result<Admitted, Problem> {
        let admitted = Admitted::find(&self.clients, who).await?;
        for topic in topics {
            admitted.permit(act, topic).await?;
        }
        Ok(admitted)
    }
}
