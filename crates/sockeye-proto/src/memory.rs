//! Allocating where the allocator may refuse: what a peer's bytes make grow must end in an error,
//! never in an abort.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::error::{Error, Limit, LimitError};

/// The allocator refused this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory(pub(crate) usize);

impl From<NoMemory> for LimitError {
    fn from(NoMemory(asked): NoMemory) -> Self {
        Self { limit: Limit::Memory, max: 0, seen: asked as u64 }
    }
}

impl From<NoMemory> for Error {
    fn from(refused: NoMemory) -> Self {
        LimitError::from(refused).into()
    }
}

/// A value on the heap, as in a `Box`, whose making may fail.
pub(crate) struct Own<T>(Box<[T; 1]>);

impl<T> Own<T> {
    /// Moves `value` to the heap.
    ///
    /// # Errors
    /// The allocator's refusal; the value is then dropped.
    pub(crate) fn new(value: T) -> Result<Self, NoMemory> {
        let refused = NoMemory(size_of::<T>());
        let mut place = Vec::new();
        place.try_reserve_exact(1).map_err(|_| refused)?;
        place.push(value);
        Box::try_from(place).map(Self).map_err(|_| refused)
    }
}

impl<T> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let [value] = &*self.0;
        value
    }
}

impl<T> DerefMut for Own<T> {
    fn deref_mut(&mut self) -> &mut T {
        let [value] = &mut *self.0;
        value
    }
}

impl<T: fmt::Debug> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Makes room for `more` bytes, so that appending them does not allocate.
///
/// # Errors
/// The allocator's refusal; nothing has changed then.
#[inline]
pub(crate) fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), NoMemory> {
    bytes.try_reserve(more).map_err(|_| NoMemory(more))
}

/// Copies `bytes` to the heap.
///
/// # Errors
/// The allocator's refusal.
pub(crate) fn copy(bytes: &[u8]) -> Result<Box<[u8]>, NoMemory> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| NoMemory(bytes.len()))?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}

/// Copies `text` to the heap.
///
/// # Errors
/// The allocator's refusal.
pub(crate) fn string(text: &str) -> Result<String, NoMemory> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| NoMemory(text.len()))?;
    copy.push_str(text);
    Ok(copy)
}
