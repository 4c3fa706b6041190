//! An allocator that counts what each thread holds, so that tests state memory in bytes, and that
//! refuses what a test tells it to refuse.
#![allow(unsafe_code)] // An allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static MOVED: Cell<usize> = const { Cell::new(0) };
    /// What is refused, if anything is; only inside `refusing`.
    static REFUSAL: Cell<Option<Refusal>> = const { Cell::new(None) };
    static REFUSING: Cell<bool> = const { Cell::new(false) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with the arguments it came with, or returns null,
// which says that there is no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return ptr::null_mut();
        }
        note(layout.size(), 0);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_refused(size) {
            return ptr::null_mut();
        }
        note(size, layout.size());
        MOVED.with(|moved| moved.set(moved.get() + layout.size().min(size)));
        // SAFETY: as the caller vouches.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn note(more: usize, less: usize) {
    let live = LIVE.get() + more as isize - less as isize;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
    CALLS.set(CALLS.get() + usize::from(more > 0));
}

fn is_refused(size: usize) -> bool {
    let Some(refusal) = REFUSAL.get().filter(|refusal| REFUSING.get() && size >= refusal.least)
    else {
        return false;
    };
    let (is_due, left) = match refusal.after.checked_sub(1) {
        Some(after) => (false, Some(Refusal { after, ..refusal })),
        None => (true, Some(refusal).filter(|_| refusal.lasting == Lasting::ForEver)),
    };
    REFUSAL.set(left);
    REFUSED.set(REFUSED.get() + usize::from(is_due));
    is_due
}

/// Which allocations of this thread are refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// Allocations that are granted before.
    pub(crate) after: usize,
    /// Bytes below which all are granted, and not counted.
    pub(crate) least: usize,
    pub(crate) lasting: Lasting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// One allocation is refused.
    Once,
    /// It and all that follow.
    ForEver,
}

/// Sets what [`refusing`] refuses from now on, and counts from zero.
pub(crate) fn set_refusal(refusal: Refusal) {
    REFUSAL.set(Some(refusal));
    REFUSED.set(0);
}

/// Returns how many allocations were refused.
pub(crate) fn refused() -> usize {
    REFUSED.get()
}

/// Runs `work` with an allocator that refuses what was set. It must not panic.
pub(crate) fn refusing<T>(work: impl FnOnce() -> T) -> T {
    REFUSING.set(true);
    let result = work();
    REFUSING.set(false);
    result
}

/// Runs `work` with an allocator that refuses nothing, inside [`refusing`]. It must not panic.
pub(crate) fn granting<T>(work: impl FnOnce() -> T) -> T {
    REFUSING.set(false);
    let result = work();
    REFUSING.set(true);
    result
}

/// What a stretch of work did to the memory of its thread.
#[derive(Debug)]
pub(crate) struct Usage {
    /// The most bytes held at a time beyond those at the start.
    pub(crate) peak: usize,
    /// Bytes held at the end beyond those at the start.
    pub(crate) kept: isize,
    /// Allocations and reallocations.
    pub(crate) calls: usize,
    /// Bytes that reallocations had to take along.
    pub(crate) moved: usize,
}

/// Runs `work` and tells what it did to the memory of this thread.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Usage) {
    let (live, calls, moved) = (LIVE.get(), CALLS.get(), MOVED.get());
    PEAK.set(live);
    let result = work();
    let usage = Usage {
        peak: usize::try_from(PEAK.get() - live).unwrap(),
        kept: LIVE.get() - live,
        calls: CALLS.get() - calls,
        moved: MOVED.get() - moved,
    };
    (result, usage)
}

#[test]
fn the_allocator_counts_peak_and_rest() {
    let (kept, usage) = measure(|| {
        drop(Vec::<u8>::with_capacity(1_000));
        Vec::<u8>::with_capacity(300)
    });
    assert_eq!((usage.peak, usage.kept, usage.calls), (1_000, 300, 2));
    drop(kept);
}
