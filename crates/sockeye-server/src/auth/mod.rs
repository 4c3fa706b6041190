//! Who may do what: tokens, webhooks, keys of the HTTP API, and the [`Grant`] that all end in.
//!
//! ```text
//!   request ──► Credentials ──► Auth::admit_now ──► Grant | Denied       at once, on any thread
//!                                     │ None
//!                                     ▼
//!                               Auth::admit ──► Grant | Denied           fetches keys, asks a webhook
//! ```
//!
//! What can't be decided is refused for a while ([`Denied::is_temporary`]), never allowed. Nothing
//! in here logs; what is refused says why, without what the client sent.

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod api_keys;
mod credentials;
mod denied;
mod grant;
pub(crate) mod json;
pub mod jwt;
pub mod keys;
mod mint;
mod secret;
#[cfg(test)]
pub(crate) mod testing;
pub mod webhook;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sockeye_hub::TopicName;

pub use api_keys::ApiKeys;
pub use credentials::{Client, ClientRequest, CredentialError, CredentialRules, Credentials};
pub use denied::{Denied, Unavailable};
pub use grant::{Grant, GrantError, Patterns};
pub use json::JsonError;
pub use mint::Mint;
pub use secret::{SECRET_BYTES, Secret};

use jwt::{TokenError, Verifier};
use webhook::{Event, Webhook};

/// Decides who is admitted.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Everybody, to the same; tokens are not looked at.
    Anonymous(Arc<Grant>),
    /// Whoever has a good token.
    Jwt {
        /// Checks the tokens.
        verifier: Verifier,
        /// What those may do who have none; `None` refuses them.
        anonymous: Option<Arc<Grant>>,
    },
    /// Whom a back end lets in.
    Webhook(Webhook),
}

/// What a client wants to do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Publish to it.
    Publish,
    /// Subscribe to it.
    Subscribe,
}

/// The time by both clocks: the wall's, for when tokens end, and the one that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the wall clock.
    pub wall: SystemTime,
    /// By the monotonic clock.
    pub monotonic: Instant,
}

impl Moment {
    /// Reads the clocks.
    pub fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }
}

impl Auth {
    /// Decides without waiting, on any thread; `None` when that takes a fetch or a webhook, and
    /// [`Auth::admit`] decides.
    pub fn admit_now(&self, who: &Credentials, now: Moment) -> Option<Result<Arc<Grant>, Denied>> {
        match (self, who.token()) {
            (Self::Anonymous(grant), _) => Some(Ok(grant.clone())),
            (Self::Jwt { anonymous, .. }, None) => Some(anonymous.clone().ok_or(Denied::Missing)),
            (Self::Jwt { verifier, .. }, Some(token)) => {
                Some(verifier.verify_now(token, now)?.map(Arc::new))
            }
            (Self::Webhook(_), _) => None,
        }
    }

    /// Decides, and asks whom it has to.
    ///
    /// # Errors
    /// Why the client is refused.
    pub async fn admit(&self, who: &Credentials) -> Result<Arc<Grant>, Denied> {
        let now = Moment::now();
        match (self, who.token()) {
            (Self::Anonymous(grant), _) => Ok(grant.clone()),
            (Self::Jwt { anonymous, .. }, None) => anonymous.clone().ok_or(Denied::Missing),
            (Self::Jwt { verifier, .. }, Some(token)) => {
                verifier.verify(token, now).await.map(Arc::new)
            }
            (Self::Webhook(webhook), _) => webhook.connect(who, now.wall).await.map(Arc::new),
        }
    }

    /// Decides without waiting whether an admitted client may do something; `None` when a back end
    /// wants to be asked, and [`Auth::permit`] decides.
    pub fn permit_now(
        &self,
        act: Act,
        grant: &Grant,
        topic: &TopicName,
        now: SystemTime,
    ) -> Option<Result<(), Denied>> {
        if grant.has_ended(now) {
            return Some(Err(TokenError::Expired.into()));
        }
        let granted = match act {
            Act::Publish => grant.may_publish(topic),
            Act::Subscribe => grant.may_subscribe(topic),
        };
        match self {
            _ if granted => Some(Ok(())),
            Self::Webhook(webhook) if webhook.asks(act.into()) => None,
            _ => Some(Err(Denied::Forbidden)),
        }
    }

    /// Decides whether an admitted client may do something, and asks whom it has to.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn permit(
        &self,
        act: Act,
        (client, grant): (&Client, &Grant),
        topic: &TopicName,
    ) -> Result<(), Denied> {
        let now = SystemTime::now();
        match (self.permit_now(act, grant, topic, now), self) {
            (Some(decided), _) => decided,
            (None, Self::Webhook(webhook)) => {
                webhook.topic(act.into(), (client, grant), topic, now).await
            }
            (None, _) => Err(Denied::Forbidden),
        }
    }

    /// Tells a back end that wants to know that a client has gone.
    ///
    /// # Errors
    /// It can't be told. It is not told again.
    pub async fn left(&self, client: &Client, grant: &Grant) -> Result<(), Unavailable> {
        match self {
            Self::Webhook(webhook) if webhook.asks(Event::Disconnect) => {
                webhook.disconnect(client, grant, SystemTime::now()).await
            }
            _ => Ok(()),
        }
    }
}

impl From<Act> for Event {
    fn from(act: Act) -> Self {
        match act {
            Act::Publish => Self::Publish,
            Act::Subscribe => Self::Subscribe,
        }
    }
}

#[cfg(test)]
mod tests;
