//! The settings that an input begins with.

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::{Config, Keepalive, LengthForm};

/// The settings of a connection, of a fixed length in bytes.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    switches: u8,
    windows: u8,
    message: u16,
    fragments: u8,
    pending_pongs: u8,
    control_rate: u8,
    ratio: u8,
    level: u8,
}

impl Setup {
    /// Returns settings without compression, and with no limit but one on messages.
    pub(crate) fn plain(message: u16) -> Self {
        Self { message, pending_pongs: u8::MAX, ..Self::default() }
    }

    /// Returns settings for messages of any sensible length, of which the arguments choose the
    /// compression and more.
    pub(crate) fn agreed(switches: u8, windows: u8, level: u8) -> Self {
        Self { switches, windows, level, ..Self::plain(u16::MAX) }
    }

    /// Whether the transport takes what is written.
    pub(crate) fn drains(self) -> bool {
        self.switches & 0x10 == 0
    }

    /// Whether this end is the client, where one target plays both.
    pub(crate) fn is_client(self) -> bool {
        self.switches & 0x20 != 0
    }

    /// Whether messages are asked for in pieces, where one target does either.
    pub(crate) fn in_pieces(self) -> bool {
        self.switches & 0x40 != 0
    }

    /// Returns what was agreed on permessage-deflate.
    pub(crate) fn deflate(self) -> Option<Params> {
        (self.switches & 1 != 0).then_some(Params {
            server_no_context_takeover: self.switches & 2 != 0,
            client_no_context_takeover: self.switches & 4 != 0,
            server_max_window_bits: 8 + (self.windows & 7),
            client_max_window_bits: 8 + (self.windows >> 4 & 7),
        })
    }

    /// Returns a configuration with low limits, so that inputs of a few bytes reach them, and with
    /// short time-outs.
    pub(crate) fn config(self) -> Arc<Config> {
        let mut config = Config::server();
        config.limits.message = usize::from(self.message);
        config.limits.fragments = match self.fragments {
            0 => 131_072,
            some => some.into(),
        };
        config.limits.pending_pongs = self.pending_pongs.into();
        config.limits.control_rate = self.control_rate.into();
        config.limits.inflate_ratio = match self.ratio {
            0 => 1_032,
            some => some.into(),
        };
        if self.switches & 8 != 0 {
            config.lengths = LengthForm::Any;
        }
        if self.switches & 0x80 != 0 {
            config.timeouts.idle = Some(Duration::from_secs(40));
            config.timeouts.lifetime = Some(Duration::from_secs(100));
        }
        config.keepalive = Some(Keepalive::default());
        let mut deflate = DeflateConfig::default();
        deflate.threshold = 0;
        deflate.level = self.level;
        config.deflate = Some(deflate);
        Arc::new(config)
    }
}
