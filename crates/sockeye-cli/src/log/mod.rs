//! The log of the serving commands: which events go to standard error, and in which form.
//!
//! Standard output is not touched. What the events are is up to the library; nothing here knows them.

mod format;
mod queue;

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

use sockeye_server::config::{self, LogLevel};
use sockeye_server::metrics::Count;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::say::LAST_LINES;
use queue::Queue;

/// The log of a command that runs.
#[must_use = "the last events are written when it is finished"]
pub(crate) struct Log(Option<Arc<Queue>>);

impl Log {
    /// Starts to log, and to count the lines that are dropped. To be called once in the life of a
    /// process.
    pub(crate) fn start(config: &config::Log, dropped: Arc<Count>) -> Self {
        let (level, format) = (filter(config.level), config.format.into());
        panic::set_hook(Box::new(log_panic));
        if level == LevelFilter::OFF {
            return Self(None);
        }
        let Some(queue) = Queue::start(std::io::stderr(), format, dropped) else {
            // Without a thread for it there is no log; serving goes on.
            return Self(None);
        };
        let subscriber = fmt::Subscriber::builder()
            .log_internal_errors(false)
            .with_max_level(level)
            .event_format(format)
            .with_writer(queue.clone())
            .finish();
        // It fails only when there is a subscriber already.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self(Some(queue))
    }

    /// Writes what is left, as far as somebody reads it.
    pub(crate) fn finish(self) {
        if let Some(queue) = self.0 {
            queue.finish(LAST_LINES);
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Logs a panic. The hook that Rust brings writes several lines to standard error itself, and waits
/// for whoever reads there.
fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
    let location = info.location().map(tracing::field::display);
    let thread = std::thread::current().id();
    tracing::error!(text, location, ?thread, "panic");
}
