//! The configuration of `sockeye serve`: what there is to set, and how it is read.
//!
//! ```text
//!   defaults ◄── file (TOML) ◄── environment ◄── flags        what comes later wins
//!                          │
//!                          ▼
//!            Config::load ──► Config | ConfigError, one line that names the place
//! ```
//!
//! All keys stand in one table ([`keys`]): the file, the environment, flags, the page of all keys
//! and what is printed are made of it. Nothing here listens, and nothing is fetched but by
//! [`Config::auth`].

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod check;
mod difference;
mod error;
mod file;
mod key;
mod keys;
mod load;
mod overrides;
mod print;
mod resolve;
#[cfg(test)]
mod tests;
mod types;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use sockeye_hub::Pattern;
use sockeye_proto::handshake::Network;

pub use difference::Difference;
pub use error::{ConfigError, Place};
pub use file::File;
pub use key::{Key, Kind, Reload, TimeText};
pub use keys::{keys, topic_keys};
pub use overrides::Overrides;
pub use resolve::Hooks;
pub use types::{Address, Ask, Hidden, LogFormat, LogLevel, OriginEntry, Presence, Slow, Url};
pub use value::parse_time;

/// What `sockeye serve` is to do; the default is what it does without being told anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen: 1 to 16 addresses, by default `127.0.0.1:8080`.
    pub listen: Vec<Address>,
    /// Where the admin's pages and metrics are; default nowhere.
    pub admin: Option<Address>,
    /// Socket by which a successor takes over the listening sockets; default none.
    pub takeover: Option<PathBuf>,
    /// Whose pages may connect; by default, and when empty, those of the server's own origin.
    pub origins: Vec<OriginEntry>,
    /// Reverse proxies whose `X-Forwarded-For` is believed; default none.
    pub trusted_proxies: Vec<Network>,
    /// Whether a PROXY header comes before every connection; default no.
    pub proxy_protocol: bool,
    /// Bytes of the longest message taken, 1 to 1 GiB; default 64 KiB.
    pub max_message: usize,
    /// Whether to compress where the client offers it; default no.
    pub deflate: bool,
    /// Whether others than this machine may come in without any auth; default no.
    pub allow_anonymous: bool,
    /// Whether back ends on other machines may be asked without TLS; default no.
    pub insecure_http: bool,
    /// Certificate and key, for `wss` and `https`, and whose clients come in.
    pub tls: Tls,
    /// Who may come in.
    pub auth: AuthConfig,
    /// What there may be at most.
    pub limits: Limits,
    /// How long things take at most.
    pub time: Times,
    /// How topics behave: the first whose pattern matches decides. At most 1,000.
    pub topics: Vec<Topic>,
    /// What is logged.
    pub log: Log,
}

/// Files for TLS: a certificate and its key, or neither for `ws` and `http`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Authorities, PEM: clients need a certificate of one of them; default none.
    pub client_ca: Option<PathBuf>,
}

/// Who may come in: whoever has a good token, whom a back end lets in, or, if neither is
/// configured, everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthConfig {
    /// The name of a cookie that may hold a token; default none.
    pub cookie: Option<String>,
    /// Keys of the HTTP API, of 32 bytes at least; without any it is off.
    pub api_keys: Vec<Hidden>,
    /// A file with such keys, one a line.
    pub api_keys_file: Option<PathBuf>,
    /// Tokens.
    pub jwt: JwtConfig,
    /// A back end that is asked.
    pub webhook: WebhookConfig,
    /// Those without a token.
    pub anonymous: Anonymous,
}

/// How tokens are checked: with one of the first five, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JwtConfig {
    /// A secret for HS256, of 32 bytes at least.
    pub secret: Option<Hidden>,
    /// A file with such a secret.
    pub secret_file: Option<PathBuf>,
    /// Files with a public key each, PEM: at most 8.
    pub key_files: Vec<PathBuf>,
    /// A file with public keys, JWKS.
    pub jwks_file: Option<PathBuf>,
    /// A URL that gives public keys, JWKS.
    pub jwks_url: Option<Url>,
    /// What tokens must say as `iss`; default anything.
    pub issuer: Option<String>,
    /// What tokens must say as `aud`, one of these; default anything.
    pub audience: Vec<String>,
}

/// How a back end is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// Where; default nowhere.
    pub url: Option<Url>,
    /// What questions are signed with, of 32 bytes at least.
    pub secret: Option<Hidden>,
    /// A file with such a secret.
    pub secret_file: Option<PathBuf>,
    /// What is asked besides who connects; default nothing.
    pub events: Vec<Ask>,
    /// Headers of the client that are told on; default none.
    pub forward: Vec<String>,
    /// How long an answer may take, 50 ms to 30 s; default 1 s.
    pub timeout: Duration,
}

/// What those may do who have no token. If both are absent: everything where there is no auth, and
/// nothing where there is. Not for a webhook, which is asked about them too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Anonymous {
    /// Topics that they may publish to.
    pub publish: Option<Vec<Pattern>>,
    /// Topics that they may subscribe to.
    pub subscribe: Option<Vec<Pattern>>,
}

/// What there may be at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections, 1 to 10,000,000; default 200,000, as many as fit into a few GB.
    pub connections: usize,
    /// Connections of one address, 1 to 10,000,000; default any number, since many share one.
    pub per_ip: Option<usize>,
    /// Handshakes pending at a time from one address, 1 to 1,000,000; default 64, and any number
    /// from this machine.
    pub pending_per_ip: Option<usize>,
    /// New connections in a second, 1 to 1,000,000; default 10,000.
    pub new_per_second: usize,
    /// Topics of one connection, 1 to 100,000; default 128.
    pub topics_per_connection: usize,
    /// Messages that a connection may send in a second, 1 to 1,000,000; default any number.
    pub messages_per_second: Option<usize>,
    /// Messages that it may send at once when it was silent before, 1 to 1,000,000; default 100.
    pub message_burst: usize,
    /// Bytes that may wait for one connection, 64 KiB to 1 GiB; default 1 MiB.
    pub queue: usize,
    /// Bytes of the body of an HTTP request that publishes, 1 to 64 MiB; default 1 MiB: several
    /// messages.
    pub publish_body: usize,
}

/// How long things take at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// Silence before a ping, 1 s to 1 h; default 25 s, shorter than what proxies wait.
    pub ping: Duration,
    /// Wait for its answer, 1 s to 5 m; default 10 s.
    pub pong: Duration,
    /// Wait for connections to close when the server stops, 0 to 1 h; default 30 s.
    pub drain: Duration,
    /// Wait for a new token once one has ended, 0 to 1 h; default 25 s.
    pub refresh: Duration,
    /// Wait of a long poll, 1 s to 5 m; default 25 s, shorter than what proxies wait.
    pub poll: Duration,
}

/// How topics behave whose name a pattern matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// A name, or the beginning of names and `*`. In the file: `match`.
    pub pattern: Pattern,
    /// Messages kept for those who come back, 0 to 1,000,000; default 100.
    pub history: usize,
    /// Bytes of these, 0 to 1 GiB; default 256 KiB.
    pub history_bytes: usize,
    /// How long they are kept, 0 to 365 d; default 5 m.
    pub ttl: Duration,
    /// Whether the topic knows its members; default not.
    pub presence: Presence,
    /// What becomes of subscribers that read too slowly; default they are disconnected.
    pub slow: Slow,
    /// A back end that answers what is published to the topic; default none.
    pub hook: Option<Url>,
}

/// What is logged, on standard error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The least grave events; default `info`.
    pub level: LogLevel,
    /// The form of a line; default `text`.
    pub format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Address::default()],
            admin: None,
            takeover: None,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            max_message: 64 << 10,
            deflate: false,
            allow_anonymous: false,
            insecure_http: false,
            tls: Tls::default(),
            auth: AuthConfig::default(),
            limits: Limits::default(),
            time: Times::default(),
            topics: Vec::new(),
            log: Log::default(),
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            secret_file: None,
            events: Vec::new(),
            forward: Vec::new(),
            timeout: Duration::from_secs(1),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200_000,
            per_ip: None,
            pending_per_ip: None,
            new_per_second: 10_000,
            topics_per_connection: 128,
            messages_per_second: None,
            message_burst: 100,
            queue: 1 << 20,
            publish_body: 1 << 20,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            refresh: Duration::from_secs(25),
            poll: Duration::from_secs(25),
        }
    }
}

impl Default for Topic {
    /// Behaves as topics do that no rule is for, and matches all.
    fn default() -> Self {
        let rules = sockeye_hub::HistoryRules::default();
        Self {
            pattern: Pattern::Prefix("".into()),
            history: rules.messages,
            history_bytes: rules.bytes,
            ttl: rules.age,
            presence: Presence::default(),
            slow: Slow::default(),
            hook: None,
        }
    }
}
