//! The terminal's mode: lines are edited here while a conversation lasts, and the mode found before
//! is put back afterwards.
//!
//! Only the kernel's own line editing and echo are turned off: Ctrl-C stays a signal, so that it
//! works the same with and without a terminal.

#[cfg(unix)]
pub(crate) use unix::{Editing, restore, width};

#[cfg(not(unix))]
pub(crate) use other::{Editing, restore, width};

#[cfg(unix)]
mod unix {
    use std::sync::{Mutex, PoisonError};

    use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

    /// The mode to put back, while it is changed.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Keeps the kernel from editing lines; dropped, it puts the mode back.
    pub(crate) struct Editing(());

    impl Editing {
        /// Takes over. Returns `None` where a terminal cannot move its cursor or change its mode.
        pub(crate) fn start() -> Option<Self> {
            if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
                return None;
            }
            let stdin = std::io::stdin();
            let before = termios::tcgetattr(&stdin).ok()?;
            let mut mode = before.clone();
            mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            mode.special_codes[SpecialCodeIndex::VMIN] = 1;
            mode.special_codes[SpecialCodeIndex::VTIME] = 0;
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
            termios::tcsetattr(&stdin, OptionalActions::Now, &mode).ok()?;
            Some(Self(()))
        }
    }

    impl Drop for Editing {
        fn drop(&mut self) {
            restore();
        }
    }

    /// Puts the terminal's mode back, if it was changed.
    pub(crate) fn restore() {
        let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(before) = before {
            // A terminal that is gone needs nothing any more.
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        }
    }

    /// Returns how many columns the terminal has.
    pub(crate) fn width() -> usize {
        let columns = termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
        if columns == 0 { 80 } else { columns.into() }
    }
}

#[cfg(not(unix))]
mod other {
    /// Never: lines are edited by the console.
    pub(crate) enum Editing {}

    impl Editing {
        pub(crate) fn start() -> Option<Self> {
            None
        }
    }

    pub(crate) fn restore() {}

    pub(crate) fn width() -> usize {
        80
    }
}
