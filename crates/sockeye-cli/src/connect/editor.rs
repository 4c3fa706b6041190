//! A line editor: keys in, lines out, and a picture of the line. It does no I/O.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

/// What keys came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The line was entered.
    Enter(String),
    /// Ctrl-D on an empty line.
    End,
}

/// The line being typed, and those before it.
#[derive(Debug, Default)]
pub(super) struct Editor {
    line: Vec<char>,
    /// Characters before the cursor.
    cursor: usize,
    history: VecDeque<String>,
    /// How far back in the history the line shown comes from.
    back: usize,
    /// The line that was being typed when the history was entered.
    draft: Vec<char>,
    /// Bytes of a character that is not complete.
    partial: Vec<u8>,
    escape: Escape,
}

/// How much of an escape sequence has been read.
#[derive(Debug, Default)]
enum Escape {
    #[default]
    None,
    /// ESC.
    Started,
    /// ESC and `[` or `O`, then these parameters.
    Sequence(Vec<u8>),
}

impl Editor {
    /// Takes what was typed.
    pub(super) fn type_in(&mut self, bytes: &[u8]) -> Vec<Action> {
        bytes.iter().filter_map(|byte| self.press(*byte)).collect()
    }

    /// Returns the prompt, the part of the line around the cursor that fits, and where the cursor
    /// is, as bytes for a terminal that stands at the start of an empty row.
    pub(super) fn draw(&self, columns: usize) -> String {
        let room = columns.saturating_sub(PROMPT.len() + 1).max(4);
        let widths: Vec<usize> = self.line.iter().map(|c| width(*c)).collect();
        let before = widths.get(..self.cursor).unwrap_or(&widths);
        // The window ends at the cursor when the line before it does not fit.
        let (mut from, mut column) = (0, before.iter().sum::<usize>());
        while column >= room {
            column -= before.get(from).copied().unwrap_or(column);
            from += 1;
        }
        let mut used = 0;
        let fits = self.line.iter().zip(&widths).skip(from).take_while(|(_, width)| {
            used += **width;
            used <= room
        });
        let shown: String = fits.map(|(c, _)| if c.is_control() { ' ' } else { *c }).collect();
        format!("{PROMPT}{shown}\r\x1b[{}C", PROMPT.len() + column)
    }

    fn press(&mut self, byte: u8) -> Option<Action> {
        match std::mem::take(&mut self.escape) {
            Escape::None => {}
            Escape::Started => {
                if matches!(byte, b'[' | b'O') {
                    self.escape = Escape::Sequence(Vec::new());
                }
                return None;
            }
            Escape::Sequence(mut parameters) => {
                match byte {
                    0x40..=0x7e => self.press_special(&parameters, byte),
                    _ if parameters.len() < 16 => {
                        parameters.push(byte);
                        self.escape = Escape::Sequence(parameters);
                    }
                    _ => {}
                }
                return None;
            }
        }
        match byte {
            b'\r' | b'\n' => return Some(Action::Enter(self.enter())),
            CTRL_D if self.line.is_empty() => return Some(Action::End),
            0x1b => self.escape = Escape::Started,
            0x7f | 0x08 => self.erase_before(1),
            b'\t' => self.insert('\t'),
            ..0x20 => self.press_control(byte),
            _ => self.press_text(byte),
        }
        None
    }

    fn press_control(&mut self, byte: u8) {
        match byte | 0x40 {
            b'A' => self.cursor = 0,
            b'B' => self.cursor = self.cursor.saturating_sub(1),
            b'D' => self.erase_after(1),
            b'E' => self.cursor = self.line.len(),
            b'F' => self.cursor = (self.cursor + 1).min(self.line.len()),
            b'K' => self.erase_after(self.line.len() - self.cursor),
            b'N' => self.browse(self.back.saturating_sub(1)),
            b'P' => self.browse(self.back + 1),
            b'U' => self.erase_before(self.cursor),
            b'W' => {
                let before = self.line.iter().take(self.cursor).rev();
                let spaces = before.clone().take_while(|c| c.is_whitespace()).count();
                let word = before.skip(spaces).take_while(|c| !c.is_whitespace()).count();
                self.erase_before(spaces + word);
            }
            _ => {}
        }
    }

    fn press_special(&mut self, parameters: &[u8], last: u8) {
        match (parameters, last) {
            (_, b'A') => self.browse(self.back + 1),
            (_, b'B') => self.browse(self.back.saturating_sub(1)),
            (_, b'C') => self.cursor = (self.cursor + 1).min(self.line.len()),
            (_, b'D') => self.cursor = self.cursor.saturating_sub(1),
            (_, b'H') | (b"1" | b"7", b'~') => self.cursor = 0,
            (_, b'F') | (b"4" | b"8", b'~') => self.cursor = self.line.len(),
            (b"3", b'~') => self.erase_after(1),
            _ => {}
        }
    }

    fn press_text(&mut self, byte: u8) {
        self.partial.push(byte);
        let decoded = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.chars().next(),
            Err(error) if error.error_len().is_none() => return,
            Err(_) => None,
        };
        self.partial.clear();
        if let Some(c) = decoded.filter(|c| !c.is_control()) {
            self.insert(c);
        }
    }

    fn insert(&mut self, c: char) {
        if self.line.len() < LONGEST {
            self.line.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn erase_before(&mut self, count: usize) {
        let from = self.cursor.saturating_sub(count);
        self.line.drain(from..self.cursor);
        self.cursor = from;
    }

    fn erase_after(&mut self, count: usize) {
        let to = (self.cursor + count).min(self.line.len());
        self.line.drain(self.cursor..to);
    }

    fn enter(&mut self) -> String {
        let line: String = self.line.drain(..).collect();
        (self.cursor, self.back) = (0, 0);
        self.draft.clear();
        if !line.is_empty() && self.history.front() != Some(&line) {
            self.history.push_front(line.clone());
            self.history.truncate(REMEMBERED);
        }
        line
    }

    /// Shows the line that is `back` entries back; none back is the one being typed.
    fn browse(&mut self, back: usize) {
        let line = match back.checked_sub(1) {
            None => std::mem::take(&mut self.draft),
            Some(at) => match self.history.get(at) {
                Some(line) => line.chars().collect(),
                None => return,
            },
        };
        if back == 0 && self.back == 0 {
            self.draft = line;
            return;
        }
        let shown = std::mem::replace(&mut self.line, line);
        if self.back == 0 {
            self.draft = shown;
        }
        (self.back, self.cursor) = (back, self.line.len());
    }
}

fn width(c: char) -> usize {
    if c.is_control() { 1 } else { c.width().unwrap_or(1) }
}

const PROMPT: &str = "> ";
const CTRL_D: u8 = 4;

/// The most characters of a line; longer messages come through a pipe.
const LONGEST: usize = 64 << 10;

/// The most lines remembered.
const REMEMBERED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(keys: &str) -> String {
        let mut editor = Editor::default();
        let mut actions = editor.type_in(keys.as_bytes());
        actions.extend(editor.type_in(b"\n"));
        match actions.pop() {
            Some(Action::Enter(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn typed_characters_make_the_line() {
        assert_eq!(line("grüße 🐟"), "grüße 🐟");
        assert_eq!(line("a\tb"), "a\tb");
    }

    #[test]
    fn bytes_that_are_no_text_are_left_out() {
        let mut editor = Editor::default();
        assert_eq!(editor.type_in(b"a\xFFb\n"), [Action::Enter("ab".into())]);
    }

    #[test]
    fn keys_move_and_erase() {
        assert_eq!(line("ac\x1b[Db"), "abc");
        assert_eq!(line("bc\x01a\x05d"), "abcd");
        assert_eq!(line("abc\x7f\x7f"), "a");
        assert_eq!(line("one two \x17three"), "one three");
        assert_eq!(line("abc\x1b[D\x0b"), "ab");
        assert_eq!(line("abc\x1b[D\x15"), "c");
        assert_eq!(line("abc\x1b[H\x1b[3~"), "bc");
        assert_eq!(line("\x1b[15;2~a\x1bOPb"), "ab");
    }

    #[test]
    fn the_history_comes_back_and_keeps_the_draft() {
        assert_eq!(line("one\ntwo\n\x1b[A"), "two");
        assert_eq!(line("one\ntwo\n\x1b[A\x1b[A\x1b[A"), "one");
        assert_eq!(line("one\ndraft\x1b[A\x1b[B!"), "draft!");
        assert_eq!(line("draft\x1b[B!"), "draft!");
    }

    #[test]
    fn ctrl_d_ends_only_on_an_empty_line() {
        let mut editor = Editor::default();
        assert_eq!(editor.type_in(b"a\x04"), []);
        assert_eq!(editor.type_in(b"\x15\x04"), [Action::End]);
    }

    #[test]
    fn the_cursor_is_inside_the_picture_whatever_the_line() {
        for text in ["", "abc", "漢字漢字漢字漢字", "0123456789012345678901234567890"] {
            for columns in [0, 1, 10, 20, 80] {
                let mut editor = Editor::default();
                editor.type_in(text.as_bytes());
                let picture = editor.draw(columns);
                let (shown, _) = picture.rsplit_once('\r').unwrap();
                let used: usize = shown.chars().map(width).sum();
                assert!(used <= columns.max(8), "{text} in {columns}: {picture:?}");
            }
        }
    }

    #[test]
    fn a_short_line_is_drawn_whole_with_the_cursor_behind_it() {
        let mut editor = Editor::default();
        editor.type_in(b"abc");
        assert_eq!(editor.draw(80), "> abc\r\x1b[5C");
        editor.type_in(b"\x1b[D");
        assert_eq!(editor.draw(80), "> abc\r\x1b[4C");
    }
}
