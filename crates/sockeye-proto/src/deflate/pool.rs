//! Compressors and decompressors at rest.
//!
//! Owns the states that no message uses right now. Who takes one, and whether it may come back, is
//! for [`Deflater`](super::Deflater) and [`Inflater`](super::Inflater) to say.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zlib_rs::Deflate;

use super::decoder::Decoder;
use super::encoder::Encoder;
use crate::memory::Own;

/// Compressors and decompressors at rest, shared by the connections of one configuration.
///
/// A connection that forgets its messages takes a state for the length of one message and gives it
/// back blank. At most four of a kind rest here: each is 34 KiB to compress whole messages and up
/// to 64 KiB more after long ones, 140 to 380 KiB to compress in pieces, and 13 to 45 KiB to
/// decompress. More than one is in use only while threads work at once or messages come in pieces.
/// Others are freed when their message ends.
#[derive(Clone, Default)]
pub struct Pool {
    shelves: Arc<Mutex<Shelves>>,
}

#[derive(Default)]
struct Shelves {
    deflates: Vec<(DeflateKind, Box<Deflate>)>,
    encoders: Vec<Own<Encoder>>,
    inflates: Vec<Own<Decoder>>,
}

/// What makes one compressor as good as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeflateKind {
    pub(super) level: u8,
    pub(super) window_bits: u8,
}

impl Pool {
    /// Returns how many compressors are at rest.
    pub fn deflates_at_rest(&self) -> usize {
        let shelves = self.lock();
        shelves.deflates.len() + shelves.encoders.len()
    }

    /// Returns how many decompressors are at rest.
    pub fn inflates_at_rest(&self) -> usize {
        self.lock().inflates.len()
    }

    pub(super) fn take_deflate(&self, kind: DeflateKind) -> Option<Box<Deflate>> {
        let mut shelves = self.lock();
        let at = shelves.deflates.iter().rposition(|(k, _)| *k == kind)?;
        Some(shelves.deflates.swap_remove(at).1)
    }

    /// Keeps a blank compressor unless enough of its kind are here.
    pub(super) fn put_deflate(&self, kind: DeflateKind, state: Box<Deflate>) {
        let mut shelves = self.lock();
        if shelves.deflates.iter().filter(|(k, _)| *k == kind).count() < AT_REST {
            shelves.deflates.push((kind, state));
        }
    }

    pub(super) fn take_encoder(&self) -> Option<Own<Encoder>> {
        self.lock().encoders.pop()
    }

    /// Keeps an encoder unless enough are here, or no memory for its place.
    pub(super) fn put_encoder(&self, encoder: Own<Encoder>) {
        put(&mut self.lock().encoders, encoder);
    }

    pub(super) fn take_inflate(&self) -> Option<Own<Decoder>> {
        self.lock().inflates.pop()
    }

    /// Keeps a blank decompressor unless enough are here, or no memory for its place.
    pub(super) fn put_inflate(&self, state: Own<Decoder>) {
        put(&mut self.lock().inflates, state);
    }

    /// Locks for one push or pop, which leave nothing half done: a poisoned lock is as good.
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("deflates_at_rest", &self.deflates_at_rest())
            .field("inflates_at_rest", &self.inflates_at_rest())
            .finish()
    }
}

fn put<T>(shelf: &mut Vec<T>, state: T) {
    if shelf.len() < AT_REST && shelf.try_reserve(1).is_ok() {
        shelf.push(state);
    }
}

/// The most states of a kind at rest.
const AT_REST: usize = 4;
