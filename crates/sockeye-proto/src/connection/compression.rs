//! What a connection needs of permessage-deflate: both directions' codecs and when to use them.

use alloc::vec::Vec;

use crate::config::Config;
use crate::deflate::{Context, Deflater, Inflater, Params};
use crate::error::LimitError;

#[derive(Debug)]
pub(super) struct Compression {
    pub(super) deflater: Deflater,
    pub(super) inflater: Inflater,
    /// Our window, as a power of two, and our effort.
    pub(super) window_bits: u8,
    pub(super) level: u8,
    /// Messages shorter than this go out as they are.
    pub(super) threshold: usize,
}

impl Compression {
    pub(super) fn new(params: Params, is_server: bool, config: &Config) -> Self {
        let settings = config.deflate.clone().unwrap_or_default();
        let server = (params.server_max_window_bits, context(params.server_no_context_takeover));
        let client = (params.client_max_window_bits, context(params.client_no_context_takeover));
        let (ours, theirs) = if is_server { (server, client) } else { (client, server) };
        Self {
            deflater: Deflater::new(ours.0, ours.1, settings.level, &config.pool),
            inflater: Inflater::new(theirs.0, theirs.1, &config.pool),
            window_bits: ours.0,
            level: settings.level,
            threshold: settings.threshold,
        }
    }

    /// Compresses a whole message; `None` when that made it no shorter, so that it is better sent
    /// as it is.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn compress(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>, LimitError> {
        let mut deflated = Vec::new();
        self.deflater.compress(payload, &mut deflated)?;
        if deflated.len() < payload.len() {
            return Ok(Some(deflated));
        }
        self.deflater.discard();
        Ok(None)
    }
}

fn context(forgets: bool) -> Context {
    if forgets { Context::Forget } else { Context::Keep }
}
