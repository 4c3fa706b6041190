//! How an event looks: one line, of words or of JSON, in visible ASCII whatever its values hold.

use std::fmt::{self, Debug, Write};

use sockeye_server::config::LogFormat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// The form of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `TIME LEVEL EVENT name=value`
    Text,
    /// `{"time":…,"level":…,"event":…,"name":value}`
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text => Self::Text,
        }
    }
}

impl Format {
    /// Returns the line that tells of lines which were dropped.
    pub(super) fn dropped(self, count: u64) -> String {
        let mut fields = Fields::new(self);
        fields.append("n", Value::Plain(&count));
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_line(&mut line, Level::WARN, "log.dropped", &fields.rest);
        line
    }

    fn write_line(self, out: &mut String, level: Level, event: &str, rest: &str) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        match self {
            Self::Text => {
                write!(out, "{time} {level} ")?;
                escape_text(event, out)?;
                writeln!(out, "{rest}")
            }
            Self::Json => {
                let level = level.as_str().to_ascii_lowercase();
                write!(out, r#"{{"time":"{time}","level":"{level}","event":"#)?;
                quote_json(event, out)?;
                writeln!(out, "{rest}}}")
            }
        }
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::new(*self);
        event.record(&mut fields);
        let mut line = String::new();
        self.write_line(&mut line, *event.metadata().level(), &fields.event, &fields.rest)?;
        writer.write_str(&line)
    }
}

/// The fields of an event, as they are written down.
struct Fields {
    format: Format,
    /// The name of the event, which tracing calls its message.
    event: String,
    rest: String,
}

/// A value by how it is written.
enum Value<'a> {
    /// A number or a truth, the same in all forms.
    Plain(&'a dyn fmt::Display),
    Text(&'a str),
}

impl Fields {
    fn new(format: Format) -> Self {
        Self { format, event: String::new(), rest: String::new() }
    }

    fn append(&mut self, name: &str, value: Value<'_>) {
        // Writing to a string cannot fail.
        let _ = self.write(name, value);
    }

    fn write(&mut self, name: &str, value: Value<'_>) -> fmt::Result {
        let out = &mut self.rest;
        match self.format {
            Format::Text => write!(out, " {name}=")?,
            Format::Json => {
                out.push(',');
                quote_json(name, out)?;
                out.push(':');
            }
        }
        match (value, self.format) {
            (Value::Plain(value), _) => write!(out, "{value}"),
            (Value::Text(text), Format::Text) if is_word(text) => out.write_str(text),
            (Value::Text(text), Format::Text) => {
                out.push('"');
                escape_text(text, out)?;
                out.write_char('"')
            }
            (Value::Text(text), Format::Json) => quote_json(text, out),
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.append(field.name(), Value::Plain(&value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.append(field.name(), Value::Plain(&value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.append(field.name(), Value::Plain(&value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.append(field.name(), Value::Text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.event = text;
        } else {
            self.append(field.name(), Value::Text(&text));
        }
    }
}

/// Whether a value needs no quotes: it shows by itself where it ends.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
    !text.is_empty() && text.bytes().all(is_plain)
}

/// Appends text with all that is not visible ASCII escaped, and quotes and backslashes too.
fn escape_text(text: &str, out: &mut String) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '"' | '\\' => write!(out, "\\{c}"),
        ' '..='~' => out.write_char(c),
        c => write!(out, "{}", c.escape_unicode()),
    })
}

/// Appends a JSON string in visible ASCII.
fn quote_json(text: &str, out: &mut String) -> fmt::Result {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\n\"b\" \\ \x1b[2J\u{9b}\u{202e}\u{1f41f}\x7f";

    fn line(format: Format, name: &str, value: Value<'_>) -> String {
        let mut fields = Fields::new(format);
        fields.append(name, value);
        let mut line = String::new();
        format.write_line(&mut line, Level::INFO, HOSTILE, &fields.rest).unwrap();
        assert!(line.strip_suffix('\n').unwrap().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        line
    }

    #[test]
    fn text_is_one_line_of_visible_ascii_and_quotes_tell_where_a_value_ends() {
        let escaped = r#"a\u{a}\"b\" \\ \u{1b}[2J\u{9b}\u{202e}\u{1f41f}\u{7f}"#;
        let shown = line(Format::Text, "path", Value::Text(HOSTILE));
        assert!(shown.ends_with(&format!("Z INFO {escaped} path=\"{escaped}\"\n")), "{shown}");
        for (value, expected) in
            [("/a?b", "/a?b"), ("", "\"\""), ("x status=1", "\"x status=1\""), ("a=b", "\"a=b\"")]
        {
            let shown = line(Format::Text, "v", Value::Text(value));
            assert!(shown.ends_with(&format!(" v={expected}\n")), "{shown}");
        }
    }

    #[test]
    fn json_is_one_object_that_gives_back_what_it_was_made_of() {
        let shown = line(Format::Json, "path", Value::Text(HOSTILE));
        let object: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((&object["event"], &object["path"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!(object["level"], "info");
        let shown = line(Format::Json, "n", Value::Plain(&7));
        assert!(shown.ends_with(",\"n\":7}\n"), "{shown}");
    }
}
