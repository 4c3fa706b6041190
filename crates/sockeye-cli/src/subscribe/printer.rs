//! How messages and gaps are printed, and counted.

use std::io::{self, IsTerminal};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sockeye::Message;

use super::args::Args;
use super::follower::{Told, field};
use crate::client::output::Output;
use crate::client::show::Form;

/// Prints.
pub(super) struct Printer {
    output: Output,
    style: Style,
    /// What ends a message of bytes; `None` on a terminal, where each is a dump.
    end: Option<u8>,
    tells_all: bool,
    /// Messages printed.
    pub(super) messages: u64,
    /// Gaps told.
    pub(super) gaps: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Base64,
    Envelope,
    Payload,
}

impl Printer {
    /// Starts to print.
    pub(super) fn start(args: &Args) -> Self {
        let end = if args.null { 0 } else { b'\n' };
        let end = (args.raw || !io::stdout().is_terminal()).then_some(end);
        let style = match () {
            () if args.json => Style::Envelope,
            () if args.base64 => Style::Base64,
            () => Style::Payload,
        };
        let form = end.map_or(Form::Escaped { mark: "" }, Form::Raw);
        let output = Output::start(form);
        Self { output, style, end, tells_all: args.verbose, messages: 0, gaps: 0 }
    }

    /// Returns where it prints.
    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    /// Prints a message or tells something else, once there is room for it.
    pub(super) async fn print(&mut self, told: Told) {
        match told {
            Told::Message(frame) if self.style == Style::Envelope => {
                self.count(&frame);
                self.output.message(Message::text(frame.to_string())).await;
            }
            Told::Message(frame) if is_presence(&frame) => {
                let (topic, event) = (field(&frame, "topic"), field(&frame, "event"));
                let text = format!("sockeye: {event} in {topic}: {}", field(&frame, "data"));
                self.output.notice(&text).await;
            }
            Told::Message(frame) => {
                self.count(&frame);
                let payload = self.payload(&frame);
                self.output.message(payload).await;
            }
            Told::Gap(frame) => {
                self.gaps += 1;
                if self.style == Style::Envelope {
                    self.output.message(Message::text(frame.to_string())).await;
                } else {
                    self.output.notice(&describe_gap(&frame)).await;
                }
            }
            Told::Notice(text) => self.output.notice(&format!("sockeye: {text}")).await,
            Told::Subscribed(id) if self.tells_all => {
                self.output.notice(&format!("sockeye: subscribed at {id}")).await;
            }
            Told::Subscribed(_) => {}
        }
    }

    fn count(&mut self, frame: &Value) {
        if !is_presence(frame) {
            self.messages += 1;
        }
    }

    /// Returns what is printed of a message.
    fn payload(&self, frame: &Value) -> Message {
        if let Some(text) = frame.get("data").and_then(Value::as_str) {
            return Message::text(text);
        }
        let digits = field(frame, "base64");
        if self.style == Style::Base64 {
            return Message::text(digits);
        }
        let mut bytes = STANDARD.decode(digits).unwrap_or_default();
        bytes.extend(self.end);
        Message::binary(bytes)
    }
}

/// Tells whether a message is of a member that came or went: the names are the server's alone.
fn is_presence(frame: &Value) -> bool {
    matches!(field(frame, "event"), "join" | "leave")
}

fn describe_gap(frame: &Value) -> String {
    let number = |name| frame.get(name).and_then(Value::as_u64).unwrap_or_default();
    format!(
        "sockeye: gap in {}: messages after {} and before {} are missing ({})",
        field(frame, "topic"),
        number("after"),
        number("before"),
        field(frame, "reason"),
    )
}
