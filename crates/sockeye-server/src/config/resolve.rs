//! Makes of a configuration what the parts of the server take.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sockeye_hub::{HistoryRules, Pattern, QueueLimits, Rules, TopicName, TopicRules};
use sockeye_proto::handshake::Origins;

use super::error::ConfigError;
use super::types::{Hidden, Url};
use super::{Config, JwtConfig, Topic};
use crate::auth::jwt::{self, Trust, Verifier};
use crate::auth::keys::{Key, KeyError, KeySet, Keys, RemoteKeys};
use crate::auth::webhook::{Webhook, WebhookRules};
use crate::auth::{ApiKeys, Auth, CredentialRules, Grant, Patterns, Secret};
use crate::fetch::{Endpoint, Fetcher};

/// Which back end answers what is published to a topic.
#[derive(Clone, Debug, Default)]
pub struct Hooks(Vec<(Pattern, Option<Endpoint>)>);

impl Hooks {
    /// Tells whether nothing is answered.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, hook)| hook.is_none())
    }

    /// Returns the back end of a topic, by the first rule that matches; `None` for one without.
    pub fn of(&self, topic: &TopicName) -> Option<&Endpoint> {
        let found = self.0.iter().find(|(pattern, _)| pattern.matches(topic));
        found.and_then(|(_, hook)| hook.as_ref())
    }
}

impl Config {
    /// Returns how topics behave.
    pub fn rules(&self) -> Rules {
        let with = |rules: Rules, topic: &Topic| rules.with(topic.pattern.clone(), topic.rules());
        self.topics.iter().fold(Rules::all(Topic::default().rules()), with)
    }

    /// Returns who answers what is published.
    ///
    /// # Errors
    /// A URL that may not be asked.
    pub fn hooks(&self) -> Result<Hooks, ConfigError> {
        let hook = |topic: &Topic| {
            let hook = topic.hook.as_ref().map(|url| self.endpoint("topic.hook", url));
            Ok((topic.pattern.clone(), hook.transpose()?))
        };
        self.topics.iter().map(hook).collect::<Result<_, _>>().map(Hooks)
    }

    /// Reads the secret that questions of hooks are signed with; `None` when they are not signed.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn hook_secret(&self) -> Result<Option<Secret>, ConfigError> {
        let webhook = &self.auth.webhook;
        secret("auth.webhook", webhook.secret.as_ref(), webhook.secret_file.as_deref())
    }

    /// Returns what the hub may hold.
    pub fn hub_limits(&self) -> sockeye_hub::Limits {
        let mut limits = sockeye_hub::Limits::default();
        limits.payload = self.max_message;
        limits
    }

    /// Returns what may wait for one subscriber.
    pub fn queue_limits(&self) -> QueueLimits {
        let mut limits = QueueLimits::default();
        limits.bytes = self.limits.queue;
        limits
    }

    /// Returns whose pages may connect.
    pub fn origins(&self) -> Origins {
        if self.origins.is_empty() {
            return Origins::Same;
        }
        let patterns = self.origins.iter().map(super::OriginEntry::pattern);
        patterns.collect::<Option<_>>().map_or(Origins::Any, Origins::List)
    }

    /// Returns which parts of requests are looked at for who somebody is.
    pub fn credential_rules(&self) -> CredentialRules {
        CredentialRules {
            cookie: self.auth.cookie.clone(),
            forward: self.auth.webhook.forward.clone(),
        }
    }

    /// Returns what those may do who have no token; `None` refuses them.
    pub fn anonymous(&self) -> Option<Arc<Grant>> {
        let anonymous = &self.auth.anonymous;
        let (publish, subscribe) = match (&anonymous.publish, &anonymous.subscribe) {
            (None, None) if self.has_no_auth() => (all(), all()),
            (None, None) => return None,
            (publish, subscribe) => (set_of(publish), set_of(subscribe)),
        };
        Some(Arc::new(Grant { publish, subscribe, ..Grant::default() }))
    }

    /// Reads the keys of the HTTP API; it is off when there are none.
    ///
    /// # Errors
    /// The file cannot be read, or a key is too short.
    pub fn api_keys(&self) -> Result<ApiKeys, ConfigError> {
        let Some(path) = &self.auth.api_keys_file else {
            let keys = ApiKeys::new(self.auth.api_keys.iter().map(Hidden::reveal));
            return keys.map_err(|error| ConfigError::of("auth.api_keys", error));
        };
        let refuse = |error: KeyError| ConfigError::of("auth.api_keys_file", error);
        if !self.auth.api_keys.is_empty() {
            let text = "set auth.api_keys or auth.api_keys_file";
            return Err(ConfigError::of("auth.api_keys_file", text));
        }
        let text = read_keys(path).map_err(|error| refuse(KeyError::file(path, &error)))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = ApiKeys::new(lines).map_err(refuse)?;
        if keys.is_empty() { Err(refuse(KeyError::None)) } else { Ok(keys) }
    }

    /// Makes what decides who comes in. With `auth.jwt.jwks_url` it starts to fetch keys.
    ///
    /// # Errors
    /// A key or a secret cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime, with `auth.jwt.jwks_url`.
    pub fn auth(&self, fetcher: &Fetcher) -> Result<Auth, ConfigError> {
        if let Some(rules) = self.webhook_rules()? {
            return Ok(Auth::Webhook(Webhook::new(fetcher.clone(), rules)));
        }
        let keys = match (self.fixed_keys()?, self.jwks_endpoint()?) {
            (Some(keys), _) => Keys::Fixed(keys.into()),
            (None, Some(url)) => Keys::Remote(RemoteKeys::start(fetcher.clone(), url)),
            (None, None) => return Ok(Auth::Anonymous(self.anonymous().unwrap_or_default())),
        };
        let JwtConfig { issuer, audience, .. } = &self.auth.jwt;
        let trust = Trust { issuer: issuer.clone(), audiences: audience.clone(), keys };
        let verifier = Verifier::new(vec![trust], jwt::Rules::default());
        let verifier = verifier.map_err(|error| ConfigError::of("auth.jwt", error))?;
        Ok(Auth::Jwt { verifier, anonymous: self.anonymous() })
    }

    /// Reads the secret that tokens are made with; `None` when they are made in another way.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn jwt_secret(&self) -> Result<Option<Secret>, ConfigError> {
        let jwt = &self.auth.jwt;
        secret("auth.jwt", jwt.secret.as_ref(), jwt.secret_file.as_deref())
    }

    /// Reads the keys of tokens that are at hand.
    pub(super) fn fixed_keys(&self) -> Result<Option<KeySet>, ConfigError> {
        let jwt = &self.auth.jwt;
        if let Some(secret) = self.jwt_secret()? {
            return Ok(Some(Key::from_secret(secret).into()));
        }
        if let Some(path) = &jwt.jwks_file {
            let keys = KeySet::from_jwks_file(path);
            return keys.map(Some).map_err(|error| ConfigError::of("auth.jwt.jwks_file", error));
        }
        if jwt.key_files.is_empty() {
            return Ok(None);
        }
        let keys = jwt.key_files.iter().map(|path| Key::from_pem_file(path));
        let keys = keys.collect::<Result<_, _>>().and_then(KeySet::new);
        keys.map(Some).map_err(|error| ConfigError::of("auth.jwt.key_files", error))
    }

    /// Returns how a back end is asked who may come in.
    pub(super) fn webhook_rules(&self) -> Result<Option<WebhookRules>, ConfigError> {
        let webhook = &self.auth.webhook;
        let file = webhook.secret_file.as_deref();
        let secret = secret("auth.webhook", webhook.secret.as_ref(), file)?;
        match (&webhook.url, secret) {
            (None, None) => Ok(None),
            (Some(_), None) => {
                let text = "needs auth.webhook.secret or auth.webhook.secret_file";
                Err(ConfigError::of("auth.webhook.url", text))
            }
            // Hooks sign with it too.
            (None, Some(_)) if self.topics.iter().any(|topic| topic.hook.is_some()) => Ok(None),
            (None, Some(_)) => {
                let key =
                    if file.is_some() { "auth.webhook.secret_file" } else { "auth.webhook.secret" };
                Err(ConfigError::of(key, "needs auth.webhook.url"))
            }
            (Some(url), Some(secret)) => {
                let endpoint = self.endpoint("auth.webhook.url", url)?;
                let mut rules = WebhookRules::new(endpoint, secret);
                rules.events = webhook.events.iter().copied().map(Into::into).collect();
                rules.timeout = webhook.timeout;
                Ok(Some(rules))
            }
        }
    }

    pub(super) fn jwks_endpoint(&self) -> Result<Option<Endpoint>, ConfigError> {
        let url = self.auth.jwt.jwks_url.as_ref();
        url.map(|url| self.endpoint("auth.jwt.jwks_url", url)).transpose()
    }

    fn endpoint(&self, key: &str, url: &Url) -> Result<Endpoint, ConfigError> {
        url.endpoint(self.insecure_http).map_err(|error| ConfigError::of(key, error))
    }
}

impl JwtConfig {
    /// Tells whether tokens are checked.
    pub(super) fn has_keys(&self) -> bool {
        !self.sources().is_empty()
    }

    /// Lists the keys of the configuration that say where the keys of tokens are.
    pub(super) fn sources(&self) -> Vec<&'static str> {
        let sources = [
            ("auth.jwt.secret", self.secret.is_some()),
            ("auth.jwt.secret_file", self.secret_file.is_some()),
            ("auth.jwt.key_files", !self.key_files.is_empty()),
            ("auth.jwt.jwks_file", self.jwks_file.is_some()),
            ("auth.jwt.jwks_url", self.jwks_url.is_some()),
        ];
        sources.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }
}

impl Topic {
    /// Returns how a topic behaves that is meant.
    fn rules(&self) -> TopicRules {
        let mut history = HistoryRules::default();
        history.messages = self.history;
        history.bytes = self.history_bytes;
        history.age = self.ttl;
        let mut rules = TopicRules::default();
        rules.history = history;
        rules.presence = self.presence.into();
        rules.slow = self.slow.into();
        rules
    }
}

/// Reads a secret from where it is said to be.
fn secret(
    section: &str,
    secret: Option<&Hidden>,
    file: Option<&Path>,
) -> Result<Option<Secret>, ConfigError> {
    let (key, made) = match (secret, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let text = format!("set {section}.secret or {section}.secret_file");
            return Err(ConfigError::of(format!("{section}.secret_file"), text));
        }
        (Some(secret), None) => ("secret", Secret::new(secret.reveal().as_bytes())),
        (None, Some(path)) => ("secret_file", Secret::from_file(path)),
    };
    made.map(Some).map_err(|error| ConfigError::of(format!("{section}.{key}"), error))
}

/// Reads a file of keys, of at most 64 KiB.
fn read_keys(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(KEY_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn all() -> Patterns {
    Patterns::from_iter([Pattern::Prefix("".into())])
}

fn set_of(patterns: &Option<Vec<Pattern>>) -> Patterns {
    patterns.iter().flatten().cloned().collect()
}

/// The most bytes that are read of a file of keys.
const KEY_FILE_BYTES: u64 = 64 << 10;
