//! Frames, heads and compression as they stand on the wire, right and wrong ones, built and read
//! by this crate alone.

pub(crate) mod deflate;
pub(crate) mod frame;
pub(crate) mod http;
mod inflate;
