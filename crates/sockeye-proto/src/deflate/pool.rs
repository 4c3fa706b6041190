//! Compressors at rest.

/// Compressors and decompressors at rest, shared by the connections of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Pool;
