//! Messages into their compressed form and back.

/// One direction's compressor.
#[derive(Debug)]
pub struct Deflater;
/// One direction's decompressor.
#[derive(Debug)]
pub struct Inflater;
/// Why a message did not inflate.
#[derive(Debug)]
pub enum InflateError {}
/// What one step of inflating did.
#[derive(Debug)]
pub struct Inflated;
