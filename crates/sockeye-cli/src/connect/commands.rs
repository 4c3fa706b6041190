//! The lines on a terminal that begin with a slash.

use sockeye::CloseCode;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Send it.
    Message(String),
    /// Send these bytes.
    Binary(Vec<u8>),
    /// Measure a round trip.
    Ping,
    /// Close with this code and reason.
    Close(CloseCode, String),
    /// Show the commands.
    Help,
    /// Nothing, but tell this.
    Mistake(String),
}

impl Line {
    /// Reads a line that was typed.
    pub(super) fn parse(line: String) -> Self {
        let Some(command) = line.strip_prefix('/') else { return Self::Message(line) };
        if command.starts_with('/') {
            return Self::Message(command.to_owned());
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match name {
            "ping" => Self::Ping,
            "close" => parse_close(rest.trim()),
            "binary" => parse_hex(rest).map_or_else(
                || Self::Mistake("/binary takes pairs of hex digits, such as 00 ff".to_owned()),
                Self::Binary,
            ),
            "help" => Self::Help,
            _ => Self::Mistake(format!(
                "no command /{name}; /help lists them, and //{name} sends a text with one slash"
            )),
        }
    }
}

fn parse_close(rest: &str) -> Line {
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if code.is_empty() {
        return Line::Close(CloseCode::NORMAL, String::new());
    }
    match code.parse().map(CloseCode::new) {
        Ok(code) if code.is_sendable() && reason.len() <= 123 => {
            Line::Close(code, reason.to_owned())
        }
        Ok(code) if code.is_sendable() => {
            Line::Mistake("a close reason has at most 123 bytes".to_owned())
        }
        _ => Line::Mistake(
            "/close takes a code from 1000 to 1003, 1007 to 1014 or 3000 to 4999".to_owned(),
        ),
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok())
        .collect()
}

/// What `/help` shows.
pub(super) const HELP: &[&str] = &[
    "/ping                   measure a round trip",
    "/close [CODE [REASON]]  close the connection; 1000 if no code is given",
    "/binary HEX             send bytes",
    "//TEXT                  send a text that begins with a slash",
    "Ctrl-D                  close with 1000",
    "Ctrl-C                  close with 1001; twice, leave at once",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Line {
        Line::parse(line.to_owned())
    }

    #[test]
    fn a_line_without_slash_is_a_message() {
        assert_eq!(parse("hi /ping"), Line::Message("hi /ping".into()));
        assert_eq!(parse("//ping"), Line::Message("/ping".into()));
    }

    #[test]
    fn commands_are_read_with_their_arguments() {
        assert_eq!(parse("/ping"), Line::Ping);
        assert_eq!(parse("/binary 00 fF"), Line::Binary(vec![0, 255]));
        assert_eq!(parse("/close"), Line::Close(CloseCode::NORMAL, String::new()));
        let close = Line::Close(CloseCode::new(4000), "so long".into());
        assert_eq!(parse("/close 4000 so long"), close);
    }

    #[test]
    fn a_wrong_command_is_told_of_and_not_sent() {
        for line in ["/png", "/binary 0", "/binary zz", "/close 1005", "/close x", "/"] {
            assert!(matches!(parse(line), Line::Mistake(_)), "{line}");
        }
        let long = format!("/close 1000 {}", "x".repeat(124));
        assert!(matches!(parse(&long), Line::Mistake(_)));
    }
}
