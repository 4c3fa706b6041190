//! What requests may take.

use std::time::Duration;

use sockeye_hub::QueueLimits;

/// What requests may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Bytes of a publication's body; default 64 KiB, as the hub's payloads. The byte above is
    /// refused.
    pub body: usize,
    /// Time in which 1 KiB for each of its seconds must arrive of a body; default 10 s: who sends
    /// slower holds a connection for nothing.
    pub body_pace: Duration,
    /// Time for which the rest of a body is read and dropped once its request is refused; default
    /// 1 s, so that the client sees the answer.
    pub linger: Duration,
    /// Topics of one request; default 128.
    pub topics: usize,
    /// What may wait for a reader.
    pub queue: QueueLimits,
    /// Time after which a silent stream says that it is alive; default 15 s: proxies cut silent
    /// connections after 30 s and more.
    pub heartbeat: Duration,
    /// The longest wait of a poll; default 60 s, below what proxies allow an answer to take.
    pub wait: Duration,
    /// The wait of a poll that names none; default 25 s.
    pub default_wait: Duration,
    /// Messages in one answer to a poll; default 300, as in a page of a history.
    pub poll: usize,
    /// Bytes of an answer to a poll; default 1 MiB. One message always fits.
    pub poll_bytes: usize,
    /// Bytes of a stream that are written at a time; default 16 KiB. One message always fits.
    pub chunk: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body: 64 << 10,
            body_pace: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            topics: 128,
            queue: QueueLimits::default(),
            heartbeat: Duration::from_secs(15),
            wait: Duration::from_secs(60),
            default_wait: Duration::from_secs(25),
            poll: 300,
            poll_bytes: 1 << 20,
            chunk: 16 << 10,
        }
    }
}
