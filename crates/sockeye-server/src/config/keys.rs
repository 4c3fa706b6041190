//! The table of all keys.

use std::time::Duration;

use super::key::{Key, Kind, Reload, TimeText};
use super::types::{Ask, LogFormat, LogLevel, Presence, Slow};
use super::{Config, Topic};

/// Returns the keys of a configuration, by sections, in the order in which they are shown.
pub fn keys() -> &'static [Key<Config>] {
    KEYS
}

/// Returns the keys of a `[[topic]]`.
pub fn topic_keys() -> &'static [Key<Topic>] {
    TOPIC_KEYS
}

/// Finds a key by its name in the file.
pub(super) fn find<C>(keys: &'static [Key<C>], path: &str) -> Option<&'static Key<C>> {
    keys.iter().find(|key| key.path == path)
}

/// Makes the key of a field; its name in the file is the field's.
macro_rules! key {
    ($first:ident $(. $rest:ident)*, $reload:ident, $kind:expr, $env:literal, $flag:literal, $doc:literal) => {
        Key {
            path: concat!(stringify!($first) $(, ".", stringify!($rest))*),
            env: $env,
            flag: $flag,
            kind: $kind,
            reload: Reload::$reload,
            doc: $doc,
            field: |config| &config.$first $(. $rest)*,
            field_mut: |config| &mut config.$first $(. $rest)*,
        }
    };
}

static KEYS: &[Key<Config>] = &[
    key!(
        listen,
        Restart,
        Kind::List(ADDRESSES),
        "SOCKEYE_LISTEN",
        "listen",
        "Addresses to listen on; port 0 picks a free one"
    ),
    key!(
        admin,
        Restart,
        Kind::Text(ADDRESS),
        "SOCKEYE_ADMIN",
        "admin",
        "Address of the admin's pages and metrics"
    ),
    key!(
        takeover,
        Restart,
        Kind::Text(FILE),
        "SOCKEYE_TAKEOVER",
        "takeover",
        "Unix socket by which the next server takes over where this one listens"
    ),
    key!(
        origins,
        Live,
        Kind::List(ORIGINS),
        "SOCKEYE_ORIGINS",
        "origins",
        "Whose pages may connect; none means those of the server's own origin"
    ),
    key!(
        trusted_proxies,
        Restart,
        Kind::List(NETWORKS),
        "SOCKEYE_TRUSTED_PROXY",
        "trusted-proxy",
        "Reverse proxies whose X-Forwarded-For is believed"
    ),
    key!(
        proxy_protocol,
        Restart,
        Kind::Flag,
        "SOCKEYE_PROXY_PROTOCOL",
        "proxy-protocol",
        "Expect a PROXY header, version 1 or 2, in front of every connection"
    ),
    key!(
        max_message,
        Restart,
        bytes(1, 1 << 30),
        "SOCKEYE_MAX_MESSAGE",
        "max-message",
        "Longest message taken; a longer one closes its connection with 1009"
    ),
    key!(
        deflate,
        Restart,
        Kind::Flag,
        "SOCKEYE_DEFLATE",
        "deflate",
        "Compress with permessage-deflate where the client offers it"
    ),
    key!(
        allow_anonymous,
        Live,
        Kind::Flag,
        "SOCKEYE_ALLOW_ANONYMOUS",
        "allow-anonymous",
        "Serve others than this machine without any auth"
    ),
    key!(
        insecure_http,
        Live,
        Kind::Flag,
        "SOCKEYE_INSECURE_HTTP",
        "insecure-http",
        "Ask back ends on other machines without TLS"
    ),
    key!(
        tls.cert,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_TLS_CERT",
        "tls-cert",
        "Certificate chain for wss:// and https://, PEM"
    ),
    key!(
        tls.key,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_TLS_KEY",
        "tls-key",
        "Private key of the certificate, PEM"
    ),
    key!(
        tls.client_ca,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_TLS_CLIENT_CA",
        "tls-client-ca",
        "Authorities of clients' certificates, PEM; clients without one of theirs are refused"
    ),
    key!(
        auth.cookie,
        Live,
        Kind::Text("the name of a cookie"),
        "SOCKEYE_AUTH_COOKIE",
        "auth-cookie",
        "Cookie that may hold a token"
    ),
    key!(
        auth.api_keys,
        Live,
        Kind::Secrets,
        "SOCKEYE_AUTH_API_KEYS",
        "",
        "Keys of back ends, which may do everything over HTTP"
    ),
    key!(
        auth.api_keys_file,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_AUTH_API_KEYS_FILE",
        "auth-api-keys-file",
        "File with keys of the HTTP API, one a line"
    ),
    key!(
        auth.jwt.secret,
        Live,
        Kind::Secret,
        "SOCKEYE_AUTH_JWT_SECRET",
        "",
        "Secret of tokens made with HS256"
    ),
    key!(
        auth.jwt.secret_file,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_AUTH_JWT_SECRET_FILE",
        "auth-jwt-secret-file",
        "File with the secret of tokens made with HS256"
    ),
    key!(
        auth.jwt.key_files,
        Live,
        Kind::List("at most 8 files"),
        "SOCKEYE_AUTH_JWT_KEY_FILES",
        "auth-jwt-key-files",
        "Files with a public key of tokens each, PEM"
    ),
    key!(
        auth.jwt.jwks_file,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_AUTH_JWT_JWKS_FILE",
        "auth-jwt-jwks-file",
        "File with the public keys of tokens, JWKS"
    ),
    key!(
        auth.jwt.jwks_url,
        Live,
        Kind::Text(URL),
        "SOCKEYE_AUTH_JWT_JWKS_URL",
        "auth-jwt-jwks-url",
        "URL that gives the public keys of tokens, JWKS"
    ),
    key!(
        auth.jwt.issuer,
        Live,
        Kind::Text("a text"),
        "SOCKEYE_AUTH_JWT_ISSUER",
        "auth-jwt-issuer",
        "What tokens must say as iss"
    ),
    key!(
        auth.jwt.audience,
        Live,
        Kind::List("texts"),
        "SOCKEYE_AUTH_JWT_AUDIENCE",
        "auth-jwt-audience",
        "What tokens must say as aud, one of these"
    ),
    key!(
        auth.webhook.url,
        Live,
        Kind::Text(URL),
        "SOCKEYE_AUTH_WEBHOOK_URL",
        "auth-webhook-url",
        "Back end that is asked who may come in"
    ),
    key!(
        auth.webhook.secret,
        Live,
        Kind::Secret,
        "SOCKEYE_AUTH_WEBHOOK_SECRET",
        "",
        "Secret that questions to the back end are signed with"
    ),
    key!(
        auth.webhook.secret_file,
        Live,
        Kind::Text(FILE),
        "SOCKEYE_AUTH_WEBHOOK_SECRET_FILE",
        "auth-webhook-secret-file",
        "File with the secret that questions are signed with"
    ),
    key!(
        auth.webhook.events,
        Live,
        Kind::Choices(Ask::NAMES),
        "SOCKEYE_AUTH_WEBHOOK_EVENTS",
        "auth-webhook-events",
        "What the back end is asked besides who connects"
    ),
    key!(
        auth.webhook.forward,
        Live,
        Kind::List("names of headers"),
        "SOCKEYE_AUTH_WEBHOOK_FORWARD",
        "auth-webhook-forward",
        "Headers of the client that the back end is told"
    ),
    key!(
        auth.webhook.timeout,
        Live,
        time(50, 30 * SECOND),
        "SOCKEYE_AUTH_WEBHOOK_TIMEOUT",
        "auth-webhook-timeout",
        "How long the back end's answer may take"
    ),
    key!(
        auth.anonymous.publish,
        Live,
        Kind::List(PATTERNS),
        "SOCKEYE_AUTH_ANONYMOUS_PUBLISH",
        "auth-anonymous-publish",
        "Topics to which may publish who has no token, by HTTP too"
    ),
    key!(
        auth.anonymous.subscribe,
        Live,
        Kind::List(PATTERNS),
        "SOCKEYE_AUTH_ANONYMOUS_SUBSCRIBE",
        "auth-anonymous-subscribe",
        "Topics to which may subscribe who has no token"
    ),
    key!(
        limits.connections,
        Restart,
        count(1, 10_000_000),
        "SOCKEYE_LIMITS_CONNECTIONS",
        "limits-connections",
        "Connections in all"
    ),
    key!(
        limits.per_ip,
        Live,
        count(1, 10_000_000),
        "SOCKEYE_LIMITS_PER_IP",
        "limits-per-ip",
        "WebSockets, streams and waiting polls of one address; not set, any number"
    ),
    key!(
        limits.pending_per_ip,
        Restart,
        count(1, 1_000_000),
        "SOCKEYE_MAX_PENDING_PER_IP",
        "max-pending-per-ip",
        "Handshakes pending at a time from one address; not set, 64, and any number from this machine"
    ),
    key!(
        limits.new_per_second,
        Live,
        count(1, 1_000_000),
        "SOCKEYE_LIMITS_NEW_PER_SECOND",
        "limits-new-per-second",
        "New WebSockets and streams in a second"
    ),
    key!(
        limits.topics_per_connection,
        Restart,
        count(1, 100_000),
        "SOCKEYE_LIMITS_TOPICS_PER_CONNECTION",
        "limits-topics-per-connection",
        "Topics of one connection"
    ),
    key!(
        limits.messages_per_second,
        Live,
        count(1, 1_000_000),
        "SOCKEYE_LIMITS_MESSAGES_PER_SECOND",
        "limits-messages-per-second",
        "Messages that a connection may send in a second; not set, 100 commands of sockeye.v1.json and any number of plain messages"
    ),
    key!(
        limits.message_burst,
        Live,
        count(1, 1_000_000),
        "SOCKEYE_LIMITS_MESSAGE_BURST",
        "limits-message-burst",
        "Messages that it may send at once after a silence"
    ),
    key!(
        limits.queue,
        Restart,
        bytes(64 << 10, 1 << 30),
        "SOCKEYE_LIMITS_QUEUE",
        "limits-queue",
        "What may wait for one connection"
    ),
    key!(
        limits.publish_body,
        Restart,
        bytes(1, 64 << 20),
        "SOCKEYE_LIMITS_PUBLISH_BODY",
        "limits-publish-body",
        "Longest body of an HTTP request that publishes"
    ),
    key!(
        time.ping,
        Restart,
        time(SECOND, HOUR),
        "SOCKEYE_TIME_PING",
        "time-ping",
        "Silence before a ping"
    ),
    key!(
        time.pong,
        Restart,
        time(SECOND, 300 * SECOND),
        "SOCKEYE_TIME_PONG",
        "time-pong",
        "Wait for the answer to a ping"
    ),
    key!(
        time.drain,
        Live,
        or_seconds(0, HOUR),
        "SOCKEYE_DRAIN",
        "drain",
        "How long connections get to close when the server is told to stop"
    ),
    key!(
        time.refresh,
        Live,
        time(0, HOUR),
        "SOCKEYE_TIME_REFRESH",
        "time-refresh",
        "How long before its end a client is told that its token ends"
    ),
    key!(
        time.poll,
        Restart,
        time(SECOND, 300 * SECOND),
        "SOCKEYE_TIME_POLL",
        "time-poll",
        "Wait of a long poll"
    ),
    key!(
        log.level,
        Restart,
        Kind::Choice(LogLevel::NAMES),
        "SOCKEYE_LOG",
        "log",
        "Log events of this level and graver ones"
    ),
    key!(
        log.format,
        Restart,
        Kind::Choice(LogFormat::NAMES),
        "SOCKEYE_LOG_FORMAT",
        "log-format",
        "Form of the log: a line of words for each event, or a JSON object"
    ),
];

static TOPIC_KEYS: &[Key<Topic>] = &[
    Key {
        path: "match",
        ..key!(pattern, Restart, Kind::Text(PATTERN), "", "", "Which topics are meant; required")
    },
    key!(history, Restart, count(0, 1_000_000), "", "", "Messages kept for those who come back"),
    key!(history_bytes, Restart, bytes(0, 1 << 30), "", "", "Bytes of these messages"),
    key!(ttl, Restart, time(0, 365 * 24 * HOUR), "", "", "How long messages are kept"),
    key!(
        presence,
        Restart,
        Kind::Choice(Presence::NAMES),
        "",
        "",
        "Whether a topic knows its members"
    ),
    key!(
        slow,
        Restart,
        Kind::Choice(Slow::NAMES),
        "",
        "",
        "What becomes of a subscriber that reads too slowly"
    ),
    key!(hook, Live, Kind::Text(URL), "", "", "Back end that answers what is published to a topic"),
];

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

/// Makes the kind of a time, from bounds in milliseconds.
const fn time(min: u64, max: u64) -> Kind {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    Kind::Time { min, max, text: TimeText::WithUnit }
}

const fn or_seconds(min: u64, max: u64) -> Kind {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    Kind::Time { min, max, text: TimeText::OrSeconds }
}

const SECOND: u64 = 1_000;

const HOUR: u64 = 3_600 * SECOND;

const ADDRESS: &str = "HOST:PORT";

const ADDRESSES: &str = "HOST:PORT, 1 to 16";

const FILE: &str = "a file";

const NETWORKS: &str = "addresses and ranges such as \"10.0.0.0/8\"";

const ORIGINS: &str = "origins such as \"https://example.com\", or \"*\"";

const PATTERN: &str = "a topic, or the beginning of topics and \"*\"";

const PATTERNS: &str = "topics, or beginnings of topics and \"*\"";

const URL: &str = "an https:// URL, or http:// on this machine";
