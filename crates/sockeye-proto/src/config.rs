//! What a host may set: limits, time-outs, keep-alive and compression, with safe defaults.
//!
//! One `Config` serves all connections of an endpoint behind an `Arc`; a connection keeps the
//! pointer, not a copy.

use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Pool};
use crate::frame::LengthForm;

/// The settings of an endpoint.
///
/// ```
/// use sockeye_proto::Config;
///
/// let mut config = Config::server();
/// config.limits.message = 64 * 1024;
/// assert_eq!(config.keepalive.unwrap().interval.as_secs(), 25);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Bounds on what the peer may make this end hold.
    pub limits: Limits,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Which forms of a frame's length are read; default only the shortest.
    pub lengths: LengthForm,
    /// Pings sent while nothing arrives; `None` sends none and detects no dead peer.
    pub keepalive: Option<Keepalive>,
    /// permessage-deflate (RFC 7692); `None`, the default, neither offers nor accepts it.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
    /// Compressors at rest that all connections of this configuration share.
    #[cfg(feature = "deflate")]
    pub pool: Pool,
}

impl Config {
    /// Returns the defaults of a server: messages of at most 1 MiB, since browsers send little and
    /// memory is clients times the limit.
    pub fn server() -> Self {
        Self::with_limits(Limits { message: 1 << 20, queue: 1 << 20, ..Limits::default() })
    }

    /// Returns the defaults of a client: messages of at most 16 MiB, since it chose its server.
    pub fn client() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            timeouts: Timeouts::default(),
            lengths: LengthForm::default(),
            keepalive: Some(Keepalive::default()),
            #[cfg(feature = "deflate")]
            deflate: None,
            #[cfg(feature = "deflate")]
            pool: Pool::default(),
        }
    }
}

/// Bounds on what one connection may hold or ask for. Every bound holds in both roles.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, in bytes; default 16 MiB for clients, 1 MiB for servers.
    ///
    /// Counted on the length a frame declares, on the fragments gathered so far, and on what
    /// permessage-deflate makes of them. A message read in pieces is not bounded by it, as it is
    /// never held whole. Zero allows only empty messages.
    pub message: usize,
    /// The most fragments in one message; default 131,072.
    ///
    /// Fragments cost no memory of their own here, so the bound is on work: Autobahn case 9.3.1
    /// sends 65,537.
    pub fragments: u32,
    /// The most pongs waiting for a peer that does not read; default 64. Beyond it only the newest
    /// ping is answered once the peer reads again, as RFC 6455 section 5.5.3 allows. Zero counts as
    /// one, since a ping must be answered.
    pub pending_pongs: u16,
    /// The most control frames (ping and pong) a second, on average; default 100, `0` for no bound.
    /// A burst of twice as many passes.
    pub control_rate: u16,
    /// Bytes waiting to be sent above which a host should stop producing; default 64 KiB.
    pub queue_high: usize,
    /// The most bytes that may wait to be sent; default 4 MiB for clients, 1 MiB for servers.
    /// One message always fits into an empty queue, whatever its length.
    pub queue: usize,
    /// The longest handshake head, in bytes; default 16 KiB, as Node.js has it.
    pub head: usize,
    /// The most header fields in a handshake; default 100.
    pub headers: usize,
    /// The longest request target in a handshake, in bytes; default 8 KiB.
    pub target: usize,
    /// How many times its compressed length a message may inflate to; default 1,032, the most that
    /// the format can reach, so that only the absolute bound of `message` cuts. A ratio below 200
    /// refuses some honest repetitive messages.
    pub inflate_ratio: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 16 << 20,
            fragments: 131_072,
            pending_pongs: 64,
            control_rate: 100,
            queue_high: 64 << 10,
            queue: 4 << 20,
            head: 16 << 10,
            headers: 100,
            target: 8 << 10,
            inflate_ratio: 1_032,
        }
    }
}

/// How long each step of a connection may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The whole opening handshake, from the first byte the transport could carry; default 10 s.
    pub handshake: Duration,
    /// From the first fragment of a message to its last; default 60 s. Bounds what a peer that
    /// never finishes can pin.
    pub message: Duration,
    /// From our Close frame to the end of the connection; default 5 s.
    pub close: Duration,
    /// How long a client waits for the server to close the transport after a clean closing
    /// handshake; default 2 s (RFC 6455 section 7.1.1).
    pub linger: Duration,
    /// How long bytes may wait to be sent without any of them leaving; default 30 s. Bytes that do
    /// leave lengthen the wait at 1,000 a second, so that a peer cannot pin the rest by reading a
    /// few now and then.
    pub write_stall: Duration,
    /// Without a data message from the peer for this long, or a piece of one where pieces are asked
    /// for, the connection closes with 1001;
    /// default `None`.
    pub idle: Option<Duration>,
    /// A connection this old closes with 1001; default `None`. A host may add some, to spread the
    /// returns of those that began together.
    pub lifetime: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(60),
            close: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            write_stall: Duration::from_secs(30),
            idle: None,
            lifetime: None,
        }
    }
}

/// When to ping a peer from which nothing arrives, and when to give it up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Silence from the peer after which it is pinged; default 25 s, below the 30 s and 60 s after
    /// which common proxies and address translators forget an idle connection.
    pub interval: Duration,
    /// How long the peer may stay silent after a ping; default 10 s. Any byte counts as life.
    pub timeout: Duration,
}

impl Keepalive {
    /// Pings after `interval` of silence and gives up `timeout` later.
    pub const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new(Duration::from_secs(25), Duration::from_secs(10))
    }
}
