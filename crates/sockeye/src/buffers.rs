//! One read buffer and one write buffer per thread, lent to whichever connection is being polled, so
//! that an idle connection holds neither.

use std::cell::Cell;

/// Bytes read at a time, at most: a large message then takes few reads, and the buffer stays in the
/// cache.
pub(crate) const READ: usize = 256 << 10;

/// The most that a write buffer may keep between uses, in bytes: the answer to a message of the size
/// that servers take by default fits, and is not allocated anew each time.
const WRITE_KEPT: usize = 2 << 20;

thread_local! {
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's read buffer to `f`. A transport that is itself a WebSocket borrows again
/// inside; it then gets a buffer of its own.
pub(crate) fn with_read_buffer<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = READ_BUFFER.take();
    if buffer.is_empty() {
        buffer = vec![0; READ];
    }
    let result = f(&mut buffer);
    READ_BUFFER.set(buffer);
    result
}

/// Takes the thread's write buffer: empty, but with room.
pub(crate) fn take_write_buffer() -> Vec<u8> {
    WRITE_BUFFER.take()
}

/// Gives a write buffer back when all of it has been written.
pub(crate) fn give_write_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() <= WRITE_KEPT {
        buffer.clear();
        WRITE_BUFFER.set(buffer);
    }
}
