//! The log of the serving commands: which events go to standard error, and in which form.
//!
//! Standard output is not touched. What the events are is up to the library; nothing here knows them.

mod format;
mod queue;

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use format::Format;
use queue::Queue;

/// Flags of the log.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Log events of this level and graver ones to standard error.
    #[arg(long = "log", value_name = "LEVEL", default_value = "info", env = "SOCKEYE_LOG")]
    level: Level,

    /// Form of the log: a line of text for each event, or a JSON object.
    #[arg(long = "log-format", value_name = "FORMAT", default_value = "text")]
    #[arg(env = "SOCKEYE_LOG_FORMAT")]
    format: Format,
}

/// How grave an event must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The log of a command that runs.
#[must_use = "the last events are written when it is finished"]
pub(crate) struct Log(Option<Arc<Queue>>);

impl LogArgs {
    /// Starts to log. To be called once in the life of a process.
    pub(crate) fn start(&self) -> Log {
        let level = self.level.filter();
        if level == LevelFilter::OFF {
            return Log(None);
        }
        let Some(queue) = Queue::start(std::io::stderr(), self.format) else {
            // Without a thread for it there is no log; serving goes on.
            return Log(None);
        };
        let subscriber = fmt::Subscriber::builder()
            .log_internal_errors(false)
            .with_max_level(level)
            .event_format(self.format)
            .with_writer(queue.clone())
            .finish();
        // It fails only when there is a subscriber already.
        let _ = tracing::subscriber::set_global_default(subscriber);
        panic::set_hook(Box::new(log_panic));
        Log(Some(queue))
    }
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl Log {
    /// Writes what is left, as far as somebody reads it.
    pub(crate) fn finish(self) {
        if let Some(queue) = self.0 {
            queue.finish(LAST_LINES);
        }
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

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
