//! Standard input: read by a thread of its own, and cut into messages.
//!
//! The thread is not the runtime's, which would wait for a read without end when the process exits.

use std::io::{self, Read};

use tokio::sync::mpsc;

use super::exit::{Exit, Failure};

/// What one read brought; nothing follows an error.
pub(crate) type Chunk = io::Result<Vec<u8>>;

/// Starts to read. The channel closes at the input's end.
pub(crate) fn read_stdin() -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = vec![0; CHUNK];
        loop {
            let chunk = match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(buffer.get(..count).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// Makes the failure of a read.
pub(crate) fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("cannot read standard input: {error}"))
}

/// What ends a text message on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// LF, or CR LF.
    Line,
    /// NUL.
    Null,
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Line => b'\n',
            Self::Null => 0,
        }
    }
}

/// Cuts a stream of bytes into text messages.
#[derive(Debug)]
pub(crate) struct Splitter {
    separator: Separator,
    max: usize,
    message: Vec<u8>,
    /// Where in the stream the message begins.
    start: u64,
    /// Which message it is, counted from 1.
    number: u64,
}

impl Splitter {
    /// Cuts at `separator`; a message longer than `max` bytes is a failure.
    pub(crate) fn new(separator: Separator, max: usize) -> Self {
        Self { separator, max, message: Vec::new(), start: 0, number: 1 }
    }

    /// Takes bytes off `chunk` up to the end of a message; `None` when they are all taken and the
    /// message goes on.
    ///
    /// # Errors
    /// A message that is too long, holds NUL, or is not UTF-8: nothing is replaced.
    pub(crate) fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<String>, Failure> {
        let end = chunk.iter().position(|byte| *byte == self.separator.byte());
        let (taken, rest) = chunk.split_at_checked(end.unwrap_or(chunk.len())).unwrap_or_default();
        if taken.len() > self.max - self.message.len() {
            return Err(self.failure(&format!(
                "is longer than {} bytes; raise --max-message, or send the bytes with --binary",
                self.max
            )));
        }
        self.message.extend_from_slice(taken);
        *chunk = rest.get(1..).unwrap_or_default();
        match end {
            Some(_) => self.take().map(Some),
            None => Ok(None),
        }
    }

    /// Returns the last message, which has no end of its own; `None` if there is nothing left.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn finish(&mut self) -> Result<Option<String>, Failure> {
        if self.message.is_empty() { Ok(None) } else { self.take().map(Some) }
    }

    fn take(&mut self) -> Result<String, Failure> {
        let mut bytes = std::mem::take(&mut self.message);
        let consumed = bytes.len() + 1;
        if self.separator == Separator::Line && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = self.check(bytes)?;
        self.start = self.start.saturating_add(u64::try_from(consumed).unwrap_or(u64::MAX));
        self.number += 1;
        Ok(text)
    }

    fn check(&self, bytes: Vec<u8>) -> Result<String, Failure> {
        read_text(bytes).map_err(|NoText { at, what }| {
            let offset = self.start.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
            self.failure(&format!(
                "is no text: the byte at offset {offset} is {what}; \
                 --binary sends bytes as they are"
            ))
        })
    }

    fn failure(&self, what: &str) -> Failure {
        let unit = match self.separator {
            Separator::Line => "line",
            Separator::Null => "message",
        };
        Failure::new(Exit::Failure, format!("{unit} {} of standard input {what}", self.number))
    }
}

/// Where bytes are no text.
#[derive(Debug)]
pub(crate) struct NoText {
    pub(crate) at: usize,
    /// What the byte there is.
    pub(crate) what: &'static str,
}

/// Makes a text of bytes.
///
/// # Errors
/// The first byte that is NUL or no UTF-8.
pub(crate) fn read_text(bytes: Vec<u8>) -> Result<String, NoText> {
    let nul = bytes.iter().position(|byte| *byte == 0);
    let text = String::from_utf8(bytes);
    let bad = text.as_ref().err().map(|error| error.utf8_error().valid_up_to());
    match (nul, bad) {
        (Some(at), bad) if bad.is_none_or(|bad| at < bad) => Err(NoText { at, what: "NUL" }),
        (_, Some(at)) => Err(NoText { at, what: "not UTF-8" }),
        _ => Ok(text.unwrap_or_default()),
    }
}

/// The most bytes of one read, and so of one binary message.
const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(separator: Separator, max: usize, chunks: &[&[u8]]) -> Result<Vec<String>, Failure> {
        let mut splitter = Splitter::new(separator, max);
        let mut messages = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while !chunk.is_empty() {
                messages.extend(splitter.next(&mut chunk)?);
            }
        }
        messages.extend(splitter.finish()?);
        Ok(messages)
    }

    #[test]
    fn lines_end_at_lf_or_cr_lf_wherever_the_reads_cut_them() {
        let whole = b"one\ntwo\r\n\n\xC3\xA4\nlast";
        let expected = ["one", "two", "", "ä", "last"];
        for at in 0..whole.len() {
            let (left, right) = whole.split_at(at);
            assert_eq!(split(Separator::Line, 9, &[left, right]).unwrap(), expected);
        }
    }

    #[test]
    fn with_nul_as_separator_messages_keep_their_line_breaks() {
        let messages = split(Separator::Null, 9, &[b"a\r\nb\0c\n"]).unwrap();
        assert_eq!(messages, ["a\r\nb", "c\n"]);
    }

    // CMD-004
    #[test]
    fn a_byte_that_is_no_text_is_named_by_its_offset_in_the_input() {
        let invalid = split(Separator::Line, 99, &[b"ok\nab\xFFc\n"]).unwrap_err();
        assert!(invalid.text.contains("line 2 of standard input"), "{}", invalid.text);
        assert!(invalid.text.contains("offset 5 is not UTF-8"), "{}", invalid.text);
        let nul = split(Separator::Line, 99, &[b"a\0\xFF\n"]).unwrap_err();
        assert!(nul.text.contains("offset 1 is NUL"), "{}", nul.text);
        let cut = split(Separator::Line, 99, &[b"a\xE2\x82"]).unwrap_err();
        assert!(cut.text.contains("offset 1 is not UTF-8"), "{}", cut.text);
    }

    // CMD-005
    #[test]
    fn a_line_over_the_limit_fails_before_it_is_held() {
        let mut splitter = Splitter::new(Separator::Line, 4);
        assert_eq!(splitter.next(&mut &b"1234"[..]).unwrap(), None);
        assert!(splitter.next(&mut &b"5"[..]).is_err());
        assert_eq!(split(Separator::Line, 4, &[b"1234\n1234"]).unwrap().len(), 2);
    }
}
