//! The flags of `sockeye connect`, and reading the values that may stand in files.

use std::time::Duration;

use super::HELP;
use crate::client::exit::{Exit, Failure};
use crate::client::tls::TlsArgs;
use crate::client::values::{parse_seconds, parse_size, read_secret, reveal};

/// Talks to a WebSocket server from the terminal or through pipes.
///
/// On a terminal each line typed is sent as a text message, and /help lists commands. From a pipe
/// each line is a message; when the input ends, the replies are awaited and the connection closed.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Where to connect: ws://HOST[:PORT]/PATH or wss://…; without a scheme, ws:// is meant
    pub(super) url: String,

    /// Sends a header; `@FILE` reads headers from a file, one a line, which keeps secrets out of
    /// the list of processes
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = "Request")]
    pub(super) headers: Vec<String>,
    /// Says which web page's origin connects, such as https://example.com
    #[arg(short, long, value_name = "ORIGIN", help_heading = "Request")]
    pub(super) origin: Option<String>,
    /// Offers a subprotocol; repeated, the preferred one first
    #[arg(
        short,
        long = "subprotocol",
        visible_alias = "protocol",
        value_name = "NAME",
        help_heading = "Request"
    )]
    pub(super) subprotocols: Vec<String>,
    /// Sends `Authorization: Bearer TOKEN`; `@FILE` reads the token from a file
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SOCKEYE_BEARER",
        hide_env_values = true,
        help_heading = "Request"
    )]
    pub(super) bearer: Option<String>,
    /// Offers compression (permessage-deflate)
    #[arg(long, help_heading = "Request")]
    pub(super) deflate: bool,

    #[command(flatten)]
    pub(super) tls: TlsArgs,

    /// Sends a message first; may be repeated. Standard input follows
    #[arg(short, long = "message", value_name = "MESSAGE", help_heading = "Messages")]
    pub(super) messages: Vec<String>,
    /// Sends binary messages: bytes from a pipe as they are read, up to 64 KiB a message; lines
    /// typed on a terminal
    #[arg(short, long, overrides_with = "text", help_heading = "Messages")]
    pub(super) binary: bool,
    /// Sends text messages, one a line; this is the default
    #[arg(short, long, overrides_with = "binary", help_heading = "Messages")]
    pub(super) text: bool,
    /// Ends text messages with NUL instead of a line break, in both directions
    #[arg(short = '0', long, conflicts_with = "binary", help_heading = "Messages")]
    pub(super) null: bool,
    /// Exits after the first message received
    #[arg(short = '1', long, visible_alias = "once", help_heading = "Messages")]
    pub(super) one: bool,
    /// Writes messages to a terminal as they are, control characters included
    #[arg(long, help_heading = "Messages")]
    pub(super) raw: bool,
    /// Bounds a message, sent or received; K, M and G multiply by 1024
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "16M",
        value_parser = parse_size,
        help_heading = "Messages"
    )]
    pub(super) max_message: usize,

    /// How long the server must be silent after the input's end before the connection is closed; a
    /// stream that never pauses is closed after 30 times as long. With --one, how long the message
    /// is awaited [default: 1; with --one: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Time")]
    pub(super) wait: Option<Duration>,
    /// Stays after the input's end, until the server closes
    #[arg(short, long, conflicts_with = "wait", help_heading = "Time")]
    pub(super) no_close: bool,
    /// Pings the server when it has been silent for so long; 0 never does
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "25",
        value_parser = parse_seconds,
        help_heading = "Time"
    )]
    pub(super) ping: Duration,
    /// Bounds the time until the connection is open
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = parse_seconds,
        help_heading = "Time"
    )]
    pub(super) connect_timeout: Duration,

    /// Exits with 1 when the server closes with another code than 1000
    #[arg(long, help_heading = "Reports")]
    pub(super) fail_on_close: bool,
    /// Tells on standard error what happens: opening, pings, pongs, closing
    #[arg(short, long, conflicts_with = "quiet", help_heading = "Reports")]
    pub(super) verbose: bool,
    /// Tells errors and warnings only
    #[arg(short, long, help_heading = "Reports")]
    pub(super) quiet: bool,
}

/// A header to send. It has no `Debug`, since its value may be a secret.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

impl Args {
    /// Returns the headers to send, those in files included. Failures never quote a value.
    pub(super) fn read_headers(&self) -> Result<Vec<Header>, Failure> {
        let mut headers = Vec::new();
        for (index, flag) in self.headers.iter().enumerate() {
            match flag.strip_prefix('@') {
                None => {
                    headers.push(parse_header(flag, &format!("-H number {}", index + 1))?);
                }
                Some(file) => {
                    for (index, line) in read_secret(file)?.lines().enumerate() {
                        if !line.trim().is_empty() {
                            let place = format!("line {} of {file}", index + 1);
                            headers.push(parse_header(line, &place)?);
                        }
                    }
                }
            }
        }
        Ok(headers)
    }

    /// Returns the bearer token, read from its file if it is in one.
    pub(super) fn read_bearer(&self) -> Result<Option<String>, Failure> {
        self.bearer.as_deref().map(reveal).transpose()
    }

    /// Returns the URL with its scheme.
    pub(super) fn full_url(&self) -> String {
        if self.url.contains("://") { self.url.clone() } else { format!("ws://{}", self.url) }
    }
}

fn parse_header(text: &str, place: &str) -> Result<Header, Failure> {
    let Some((name, value)) = text.split_once(':') else {
        let text = format!("{place} has no colon; write 'Name: value', or @FILE");
        return Err(Failure::new(Exit::Usage, text));
    };
    Ok(Header { name: name.trim().to_owned(), value: value.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // CMD-018
    #[test]
    fn a_header_without_colon_is_told_of_without_its_text() {
        let failure = parse_header("Authorization s3cret", "-H number 1").err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.text.contains("s3cret"));
    }
}
