//! What is published: the message of the command line, or those of standard input.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::args::Args;
use crate::client::exit::{Exit, Failure};
use crate::client::input::{self, Chunk, NoText, Separator, Splitter};

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Binary(Bytes),
    Text(Bytes),
}

/// Gives one message after the other.
pub(super) struct Messages {
    source: Source,
    form: Form,
    max: usize,
}

enum Source {
    Given(Option<String>),
    Split { chunks: mpsc::Receiver<Chunk>, splitter: Splitter, chunk: Vec<u8>, taken: usize },
    Whole(Option<mpsc::Receiver<Chunk>>),
}

#[derive(Clone, Copy)]
enum Form {
    Base64,
    Binary,
    Text,
}

impl Messages {
    /// Begins with the first one.
    pub(super) fn new(args: &Args) -> Self {
        let source = if let Some(message) = &args.message {
            Source::Given(Some(message.clone()))
        } else if args.is_stream() {
            let separator = if args.null { Separator::Null } else { Separator::Line };
            let splitter = Splitter::new(separator, args.max_message);
            let chunks = input::read_stdin();
            Source::Split { chunks, splitter, chunk: Vec::new(), taken: 0 }
        } else {
            Source::Whole(Some(input::read_stdin()))
        };
        let form = match () {
            () if args.base64 => Form::Base64,
            () if args.binary => Form::Binary,
            () => Form::Text,
        };
        Self { source, form, max: args.max_message }
    }

    /// Returns the next message; `None` behind the last.
    ///
    /// # Errors
    /// Standard input cannot be read, or holds what is no message.
    pub(super) async fn next(&mut self) -> Result<Option<Payload>, Failure> {
        let next = match &mut self.source {
            Source::Given(message) => message.take().map(String::into_bytes),
            Source::Whole(chunks) => match chunks.take() {
                Some(chunks) => Some(read_whole(chunks, self.max).await?),
                None => None,
            },
            Source::Split { chunks, splitter, chunk, taken } => {
                split_off(chunks, splitter, chunk, taken).await.map_err(as_usage)?
            }
        };
        next.map(|bytes| self.form.read(bytes)).transpose()
    }
}

impl Form {
    fn read(self, bytes: Vec<u8>) -> Result<Payload, Failure> {
        match self {
            Self::Binary => Ok(Payload::Binary(bytes.into())),
            Self::Text => match input::read_text(bytes) {
                Ok(text) => Ok(Payload::Text(text.into())),
                Err(NoText { at, what }) => {
                    let text = format!(
                        "standard input is no text: the byte at offset {at} is {what}; \
                         --binary publishes bytes as they are"
                    );
                    Err(Failure::new(Exit::Usage, text))
                }
            },
            Self::Base64 => {
                let digits: Vec<u8> =
                    bytes.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let decoded = STANDARD.decode(digits);
                let text = "what is to be published is not base64";
                let decoded = decoded.map_err(|_| Failure::new(Exit::Usage, text))?;
                Ok(Payload::Binary(decoded.into()))
            }
        }
    }
}

/// Returns the next message of a stream; `None` at its end.
async fn split_off(
    chunks: &mut mpsc::Receiver<Chunk>,
    splitter: &mut Splitter,
    chunk: &mut Vec<u8>,
    taken: &mut usize,
) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        let mut rest = chunk.get(*taken..).unwrap_or_default();
        if !rest.is_empty() {
            let message = splitter.next(&mut rest)?;
            *taken = chunk.len() - rest.len();
            if let Some(message) = message {
                return Ok(Some(message.into_bytes()));
            }
        }
        match chunks.recv().await {
            Some(next) => {
                *chunk = next.map_err(|error| input::unreadable(&error))?;
                *taken = 0;
            }
            None => {
                chunk.clear();
                return Ok(splitter.finish()?.map(String::into_bytes));
            }
        }
    }
}

async fn read_whole(mut chunks: mpsc::Receiver<Chunk>, max: usize) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(|error| as_usage(input::unreadable(&error)))?;
        if chunk.len() > max - whole.len() {
            let text = format!("standard input is longer than {max} bytes; raise --max-message");
            return Err(Failure::new(Exit::Usage, text));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// For publishing, input that is none is wrong usage: 1 says that the server refused.
fn as_usage(failure: Failure) -> Failure {
    Failure { exit: Exit::Usage, ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_be_broken_into_lines_and_nothing_else() {
        let read = |text: &str| Form::Base64.read(text.as_bytes().to_vec());
        assert_eq!(
            read("AP/A\nAQ==\n").unwrap(),
            Payload::Binary(Bytes::from_static(b"\0\xff\xc0\x01"))
        );
        for bad in ["AP", "AP_-", "A===", "ä"] {
            assert_eq!(read(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }

    // CMD-004
    #[test]
    fn bytes_that_are_no_text_are_named_by_their_offset() {
        for (bytes, offset) in
            [(&b"ab\xff"[..], "offset 2 is not UTF-8"), (b"a\0", "offset 1 is NUL")]
        {
            let failure = Form::Text.read(bytes.to_vec()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.text.contains(offset) && failure.text.contains("--binary"));
        }
    }
}
