//! Keys that a URL gives (a JWKS document), and what holds while it does not.
//!
//! One task for each URL fetches, so that there is never more than one fetch at a time whatever
//! the number of tokens. Tokens are checked with what it last brought.
//!
//! ```text
//!   tokens ──► Snapshot::look_up ──► keys | refusal
//!      │            ▲
//!      └─ wanted ─► task: fetch, every 5 minutes or when wanted
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::jwks::DOCUMENT_BYTES;
use super::{Algorithm, KeySet, NotFound, Origin};
use crate::auth::denied::Unavailable;
use crate::auth::jwt::Token;
use crate::fetch::{Bounds, Endpoint, Fetcher};

/// The keys behind a URL. Clones share them; with the last clone, the fetching ends.
#[derive(Clone)]
pub struct RemoteKeys {
    seen: watch::Receiver<Snapshot>,
    /// The number of the attempt that somebody waits for.
    wanted: watch::Sender<u64>,
}

/// What to check a token with.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// These keys.
    Keys(Arc<KeySet>),
    /// None, and it is too early to ask again.
    Unavailable(Unavailable),
    /// What comes of the attempt behind so many.
    Wait(u64),
}

/// What has been fetched until now.
#[derive(Clone, Default)]
struct Snapshot {
    attempts: u64,
    last: Option<Attempt>,
    good: Option<Good>,
}

#[derive(Clone)]
struct Attempt {
    at: Instant,
    error: Option<Unavailable>,
}

#[derive(Clone)]
struct Good {
    at: Instant,
    keys: Arc<KeySet>,
}

/// How often a task fetches, and how long it waits for an answer.
#[derive(Clone, Copy)]
struct Pace {
    timeout: Duration,
    refresh: Duration,
    retry: Duration,
}

impl RemoteKeys {
    /// Starts to fetch keys, in a task of the runtime that this is called in.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(fetcher: Fetcher, endpoint: Endpoint) -> Self {
        Self::start_at(PACE, fetcher, endpoint, Snapshot::default())
    }

    /// Returns why the last fetch failed, if it did.
    pub fn last_error(&self) -> Option<Unavailable> {
        self.seen.borrow().last.as_ref().and_then(|attempt| attempt.error.clone())
    }

    fn start_at(pace: Pace, fetcher: Fetcher, endpoint: Endpoint, known: Snapshot) -> Self {
        let (publish, seen) = watch::channel(known);
        let (wanted, wishes) = watch::channel(0);
        tokio::spawn(keep_fetching(pace, fetcher, endpoint, publish, wishes));
        Self { seen, wanted }
    }

    /// Returns what to check a token with, without waiting.
    pub(crate) fn find(&self, token: &Token<'_>, now: Instant) -> Lookup {
        self.seen.borrow().look_up(token.key_id.as_deref(), token.algorithm, now)
    }

    /// Returns the keys to check a token with, waiting for a fetch when that is needed.
    pub(crate) async fn wait(
        &self,
        token: &Token<'_>,
        now: Instant,
    ) -> Result<Arc<KeySet>, Unavailable> {
        let attempts = match self.find(token, now) {
            Lookup::Keys(keys) => return Ok(keys),
            Lookup::Unavailable(why) => return Err(why),
            Lookup::Wait(attempts) => attempts,
        };
        self.wanted.send_if_modified(|wanted| {
            let more = *wanted <= attempts;
            *wanted = (*wanted).max(attempts + 1);
            more
        });
        let mut seen = self.seen.clone();
        let later = seen.wait_for(|snapshot| snapshot.attempts > attempts).await;
        later.map_or(Err(Unavailable::NoKeys), |snapshot| snapshot.keys(now))
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").finish_non_exhaustive()
    }
}

impl Snapshot {
    fn look_up(&self, id: Option<&str>, algorithm: Algorithm, now: Instant) -> Lookup {
        let since_last = self.last.as_ref().map(|last| now.saturating_duration_since(last.at));
        let may_fetch_after = |pause| since_last.is_none_or(|since| since >= pause);
        match self.keys(now) {
            Ok(keys) => {
                let unknown = keys.find(id, algorithm).is_err_and(|why| why == NotFound::Unknown);
                if unknown && may_fetch_after(UNKNOWN_KEY_PAUSE) {
                    return Lookup::Wait(self.attempts);
                }
                Lookup::Keys(keys)
            }
            Err(_) if may_fetch_after(OUTAGE_PAUSE) => Lookup::Wait(self.attempts),
            Err(why) => Lookup::Unavailable(why),
        }
    }

    /// Returns the last good keys, unless they are too old.
    fn keys(&self, now: Instant) -> Result<Arc<KeySet>, Unavailable> {
        match &self.good {
            Some(good) if now.saturating_duration_since(good.at) <= GOOD_FOR => {
                Ok(good.keys.clone())
            }
            _ => {
                let error = self.last.as_ref().and_then(|attempt| attempt.error.clone());
                Err(error.unwrap_or(Unavailable::NoKeys))
            }
        }
    }

    fn record(&mut self, result: Result<KeySet, Unavailable>, at: Instant) {
        self.attempts += 1;
        let error = match result {
            Ok(keys) => {
                self.good = Some(Good { at, keys: keys.into() });
                None
            }
            Err(error) => Some(error),
        };
        self.last = Some(Attempt { at, error });
    }
}

async fn keep_fetching(
    pace: Pace,
    fetcher: Fetcher,
    endpoint: Endpoint,
    publish: watch::Sender<Snapshot>,
    mut wishes: watch::Receiver<u64>,
) {
    let bounds = Bounds { timeout: pace.timeout, body: DOCUMENT_BYTES };
    loop {
        let document = fetcher.get(&endpoint, bounds).await.map_err(Unavailable::Fetch);
        let read = |document: bytes::Bytes| {
            KeySet::from_jwks(&document, Origin::Url).map_err(Unavailable::Document)
        };
        let keys = document.and_then(read);
        let pause = if keys.is_ok() { pace.refresh } else { pace.retry };
        publish.send_modify(|snapshot| snapshot.record(keys, Instant::now()));
        let attempts = publish.borrow().attempts;
        let wish = wishes.wait_for(|wanted| *wanted > attempts);
        // Whoever could wish is gone: so are the keys.
        if let Ok(Err(_)) = tokio::time::timeout(pause, wish).await {
            return;
        }
    }
}

/// How long keys are good without a fetch that succeeds: outages are shorter, and a key that its
/// issuer withdrew may not live on for longer.
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a fetch must be past before an unknown key is reason for another: anybody can make up
/// names of keys.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// The same while there are no keys, when clients wait that could be admitted.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

const PACE: Pace = Pace {
    timeout: Duration::from_secs(5),
    refresh: Duration::from_secs(5 * 60),
    retry: Duration::from_secs(30),
};

#[cfg(test)]
mod tests;
