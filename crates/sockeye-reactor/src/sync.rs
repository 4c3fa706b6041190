//! What threads share, as the standard library has it.
//!
//! A module of its own so that the mailbox can be compiled a second time over a model of threads, which
//! runs it in every order that there is.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread::{self, ThreadId};
