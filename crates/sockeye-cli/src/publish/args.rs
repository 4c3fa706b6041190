//! The flags of `sockeye pub`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;

use super::HELP;
use crate::client::endpoint::ServerArgs;
use crate::client::exit::{Exit, Failure};
use crate::client::values::{parse_size, reveal};

/// Publishes to a topic of a Sockeye server.
///
/// Without MESSAGE each line of standard input is a message. The id of each is printed once the
/// server has it.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) server: ServerArgs,

    /// Where to publish
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) topic: String,

    /// The text to publish
    #[arg(conflicts_with_all = ["binary", "whole", "null"])]
    pub(super) message: Option<String>,

    /// Publishes all of standard input as one message of bytes
    #[arg(short, long, conflicts_with_all = ["whole", "null"], help_heading = "Messages")]
    pub(super) binary: bool,
    /// Publishes all of standard input as one text
    #[arg(short, long, conflicts_with = "null", help_heading = "Messages")]
    pub(super) whole: bool,
    /// Ends messages on standard input with NUL instead of a line break
    #[arg(short = '0', long, help_heading = "Messages")]
    pub(super) null: bool,
    /// Takes messages in base64, and publishes the bytes
    #[arg(long, conflicts_with = "binary", help_heading = "Messages")]
    pub(super) base64: bool,
    /// Names an event
    #[arg(long, value_name = "NAME", help_heading = "Messages")]
    pub(super) event: Option<String>,
    /// Names the publication: under the same key it happens once in five minutes, however often it
    /// is sent. Lines of standard input are KEY-1, KEY-2 and so on [default: random]
    #[arg(long, value_name = "KEY", help_heading = "Messages")]
    pub(super) key: Option<String>,
    /// Publishes only if the topic's last message is this one; for one message
    #[arg(long, value_name = "ID", help_heading = "Messages")]
    pub(super) if_version: Option<String>,
    /// Bounds a message; K, M and G multiply by 1024
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "16M",
        value_parser = parse_size,
        help_heading = "Messages"
    )]
    pub(super) max_message: usize,

    /// File with a key of the HTTP API; it is sent instead of a token [env: SOCKEYE_API_KEY, the
    /// key itself]
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    api_key_file: Option<PathBuf>,
    /// How often a message is sent again when no answer comes or the server can't for now
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(..=20),
        help_heading = "Server"
    )]
    pub(super) retries: u32,
    /// Prints no ids
    #[arg(short, long, help_heading = "Reports")]
    pub(super) quiet: bool,
}

/// Who publishes. It has no `Debug`: both are secrets.
pub(super) enum Credential {
    Key(String),
    Nobody,
    Token(String),
}

impl Args {
    /// Tells whether there may be several messages.
    pub(super) fn is_stream(&self) -> bool {
        self.message.is_none() && !self.binary && !self.whole
    }

    /// Checks what the parser of flags cannot.
    ///
    /// # Errors
    /// A condition on one message where there may be many.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.if_version.is_some() && self.is_stream() {
            let text = "--if-version is for one message: give MESSAGE, --whole or --binary";
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(())
    }

    /// Returns who publishes.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn credential(&self) -> Result<Credential, Failure> {
        let key = match &self.api_key_file {
            Some(file) => Some(reveal(&format!("@{}", file.display()))?),
            None => std::env::var("SOCKEYE_API_KEY").ok().filter(|key| !key.is_empty()),
        };
        if let Some(key) = key {
            return Ok(Credential::Key(key));
        }
        Ok(self.server.token()?.map_or(Credential::Nobody, Credential::Token))
    }
}
