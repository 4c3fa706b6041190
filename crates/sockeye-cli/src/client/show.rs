//! How messages look: bytes as they are for a pipe, and a form that cannot harm a terminal.

use sockeye::Message;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are; this byte ends each text.
    Raw(u8),
    /// Control characters escaped, bytes as a hex dump; each behind a mark when lines are typed in
    /// between.
    Escaped {
        /// What stands before a message.
        mark: &'static str,
    },
}

impl Form {
    /// Appends `message` in this form.
    pub(crate) fn append(self, message: &Message, out: &mut Vec<u8>) {
        match (self, message) {
            (Self::Raw(end), Message::Text(text)) => {
                out.extend_from_slice(text.as_bytes());
                out.push(end);
            }
            (Self::Raw(_), Message::Binary(bytes)) => out.extend_from_slice(bytes),
            (Self::Escaped { mark }, Message::Text(text)) => append_text(text, mark, out),
            (Self::Escaped { mark }, Message::Binary(bytes)) => append_dump(bytes, mark, out),
        }
    }
}

/// Returns `text` as one line without control characters.
pub(crate) fn escape_line(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || is_harmful(c) {
            escape(c, &mut escaped);
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Appends text; what follows a line break is indented, so that it cannot pass for another message.
fn append_text(text: &str, mark: &str, out: &mut Vec<u8>) {
    let mut shown = String::with_capacity(text.len() + mark.len() + 1);
    shown.push_str(mark);
    for c in text.chars() {
        if c == '\n' {
            shown.push('\n');
            shown.extend(std::iter::repeat_n(' ', mark.len()));
        } else if is_harmful(c) {
            escape(c, &mut shown);
        } else {
            shown.push(c);
        }
    }
    shown.push('\n');
    out.extend_from_slice(shown.as_bytes());
}

/// Appends a hex dump, 16 bytes a line.
fn append_dump(bytes: &[u8], mark: &str, out: &mut Vec<u8>) {
    use std::fmt::Write;
    let mut shown = format!("{mark}{} bytes\n", bytes.len());
    let start = bytes.get(..DUMPED).unwrap_or(bytes);
    for (row, bytes) in start.chunks(16).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(shown, "  {:08x} ", row * 16);
        for column in 0..16 {
            let gap = if column == 8 { "  " } else { " " };
            let _ = match bytes.get(column) {
                Some(byte) => write!(shown, "{gap}{byte:02x}"),
                None => write!(shown, "{gap}  "),
            };
        }
        let visible = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        shown.push_str("  |");
        shown.extend(visible);
        shown.push_str("|\n");
    }
    if bytes.len() > DUMPED {
        let _ = writeln!(shown, "  and {} bytes more", bytes.len() - DUMPED);
    }
    out.extend_from_slice(shown.as_bytes());
}

/// Whether a character could command the terminal, or reorder what is shown: C0 and C1 controls,
/// bidirectional overrides and isolates.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(c: char, out: &mut String) {
    match u32::from(c) {
        code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
        code => out.push_str(&format!("\\u{{{code:x}}}")),
    }
}

/// How much of a binary message is dumped.
const DUMPED: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn show(form: Form, message: impl Into<Message>) -> String {
        let mut out = Vec::new();
        form.append(&message.into(), &mut out);
        String::from_utf8(out).unwrap()
    }

    const ESCAPED: Form = Form::Escaped { mark: "< " };

    // CMD-008
    #[test]
    fn on_a_terminal_control_characters_are_escaped() {
        let hostile = "\x1b[2J\x07\r\u{9b}31m\u{202e}\x7f\ttab ä";
        let shown = show(ESCAPED, hostile);
        assert_eq!(shown, "< \\x1b[2J\\x07\\x0d\\x9b31m\\u{202e}\\x7f\ttab ä\n");
        assert_eq!(show(Form::Raw(b'\n'), hostile), format!("{hostile}\n"));
    }

    #[test]
    fn a_line_break_cannot_fake_a_second_message() {
        assert_eq!(show(ESCAPED, "a\n< b"), "< a\n  < b\n");
    }

    #[test]
    fn bytes_are_dumped_on_a_terminal_and_raw_elsewhere() {
        let shown = show(ESCAPED, &b"\x00hi\xff"[..]);
        assert!(shown.starts_with("< 4 bytes\n  00000000  00 68 69 ff "), "{shown}");
        assert!(shown.ends_with("|.hi.|\n"), "{shown}");
        assert_eq!(show(Form::Raw(b'\n'), &b"\x00hi"[..]), "\0hi");
    }

    #[test]
    fn a_long_dump_is_cut_and_says_so() {
        let shown = show(ESCAPED, vec![0; DUMPED + 1]);
        assert_eq!(shown.lines().count(), 1 + DUMPED / 16 + 1);
        assert!(shown.ends_with("and 1 bytes more\n"));
    }
}
