//! The flags of `sockeye sub`.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;

use super::HELP;
use crate::client::backoff::Pace;
use crate::client::endpoint::ServerArgs;
use crate::client::exit::{Exit, Failure};
use crate::client::values::{parse_seconds, parse_size};

/// Prints what is published to topics of a Sockeye server.
///
/// When the connection is lost it comes back by itself and goes on where it was: nothing is printed
/// twice, and what is missing is told of.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) server: ServerArgs,

    /// What to subscribe to
    #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
    pub(super) topics: Vec<String>,

    /// Begins behind the message with this id; `oldest` begins with all that is kept
    #[arg(long, value_name = "ID", conflicts_with = "history", help_heading = "Messages")]
    pub(super) since: Option<String>,
    /// Begins with the last COUNT messages of each topic, as far as they are kept
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=10_000),
        help_heading = "Messages"
    )]
    pub(super) history: u32,
    /// Becomes a member of each topic: others see it come and go
    #[arg(long, help_heading = "Messages")]
    pub(super) presence: bool,
    /// Ends after so many messages
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Messages"
    )]
    pub(super) count: Option<u64>,
    /// Bounds a frame of the server; K, M and G multiply by 1024
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "64M",
        value_parser = parse_size,
        help_heading = "Messages"
    )]
    pub(super) max_message: usize,

    /// Prints messages and gaps as JSON, one a line, with topic, id and time
    #[arg(long, conflicts_with = "base64", help_heading = "Output")]
    pub(super) json: bool,
    /// Prints messages of bytes in base64
    #[arg(long, help_heading = "Output")]
    pub(super) base64: bool,
    /// Ends what is printed of a message with NUL instead of a line break
    #[arg(short = '0', long, help_heading = "Output")]
    pub(super) null: bool,
    /// Writes messages to a terminal as they are, control characters included
    #[arg(long, help_heading = "Output")]
    pub(super) raw: bool,

    /// Ends after so long
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Time")]
    pub(super) timeout: Option<Duration>,
    /// The longest wait before the first attempt to come back; it doubles with each that fails
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "0.5",
        value_parser = parse_seconds,
        help_heading = "Time"
    )]
    retry_first: Duration,
    /// The longest wait between two attempts, unless the server asks for more
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "20",
        value_parser = parse_seconds,
        help_heading = "Time"
    )]
    retry_longest: Duration,

    /// Exits with 4 if messages were missing
    #[arg(long, help_heading = "Reports")]
    pub(super) strict: bool,
    /// Tells on standard error of each subscription too
    #[arg(short, long, conflicts_with = "quiet", help_heading = "Reports")]
    pub(super) verbose: bool,
    /// Tells gaps and errors only
    #[arg(short, long, help_heading = "Reports")]
    pub(super) quiet: bool,
}

impl Args {
    /// Returns how waits between attempts grow.
    pub(super) fn pace(&self) -> Pace {
        Pace { first: self.retry_first, longest: self.retry_longest }
    }

    /// Returns the topics, each once.
    pub(super) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            if !topics.contains(topic) {
                topics.push(topic.clone());
            }
        }
        topics
    }

    /// Checks what the parser of flags cannot.
    ///
    /// # Errors
    /// Waits of no length, which would be a hot loop.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.retry_first.is_zero() || self.retry_longest.is_zero() {
            let text = "--retry-first and --retry-longest are more than 0";
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(())
    }
}
