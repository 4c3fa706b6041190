//! Standard output and error, written by a thread of its own, so that a reader who takes nothing
//! blocks neither signals nor time-outs.
//!
//! What waits to be written is bounded in bytes: messages wait for room, and while they do, nothing
//! more is read from the socket.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use sockeye::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::exit::{Exit, Failure};
use super::show::{Form, escape_line};

/// Writes messages and notices. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Output {
    pieces: mpsc::UnboundedSender<(Piece, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
    state: watch::Receiver<State>,
}

enum Piece {
    Message(Message),
    /// A line for standard error.
    Notice(String),
    /// The row that is being typed, drawn below everything.
    Prompt(String),
    /// A row that was typed, to stay on the screen.
    Typed(String),
    Finish,
}

/// The state of standard output.
#[derive(Clone, Debug)]
enum State {
    Open,
    /// Everything was written.
    Finished,
    /// Nobody reads it any more.
    Gone,
    Failed(String),
}

impl Output {
    /// Starts to write messages in `form`.
    pub(crate) fn start(form: Form) -> Self {
        let (pieces, waiting) = mpsc::unbounded_channel();
        let (tell, state) = watch::channel(State::Open);
        let room = Arc::new(Semaphore::new(ROOM));
        let screen = Screen {
            form,
            prompt: String::new(),
            scratch: Vec::new(),
            stdout: BufWriter::with_capacity(ROOM, io::stdout()),
        };
        let (tell, thread_room) = (Arc::new(tell), room.clone());
        watch_for_reader(tell.clone(), room.clone());
        std::thread::spawn(move || {
            let end = screen.run(waiting);
            thread_room.close();
            let state = match end {
                Ok(()) => State::Finished,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => State::Gone,
                Err(error) => State::Failed(error.to_string()),
            };
            tell.send_replace(state);
        });
        Self { pieces, room, state }
    }

    /// Writes a message, once there is room for it.
    pub(crate) async fn message(&self, message: Message) {
        if let Some(permit) = self.wait_for_room(message.as_bytes().len()).await {
            self.put(Piece::Message(message), Some(permit));
        }
    }

    /// Writes a line to standard error, in which nothing can command a terminal; as with messages,
    /// once there is room.
    pub(crate) async fn notice(&self, text: &str) {
        let permit = self.wait_for_room(text.len()).await;
        self.put(Piece::Notice(escape_line(text)), permit);
    }

    /// Draws what is being typed anew; empty, it is removed.
    pub(crate) fn prompt(&self, drawn: String) {
        self.put(Piece::Prompt(drawn), None);
    }

    /// Leaves a row that was typed on the screen.
    pub(crate) fn typed(&self, line: &str) {
        self.put(Piece::Typed(escape_line(line)), None);
    }

    /// From now on drops messages instead of waiting for room.
    pub(crate) fn discard(&self) {
        self.room.close();
    }

    /// Waits until standard output cannot be written any more; returns why, unless its reader has
    /// just had enough.
    pub(crate) async fn gone(&self) -> Option<Failure> {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Open)).await;
        match ended.as_deref() {
            Ok(State::Failed(error)) => {
                let text = format!("cannot write standard output: {error}");
                Some(Failure::new(Exit::Failure, text))
            }
            _ => None,
        }
    }

    /// Waits until everything has been written; returns why it was not, as [`gone`](Self::gone).
    pub(crate) async fn finish(&self) -> Option<Failure> {
        self.put(Piece::Finish, None);
        self.gone().await
    }

    /// Returns `None` when nothing is waited for any more.
    async fn wait_for_room(&self, len: usize) -> Option<OwnedSemaphorePermit> {
        let size = u32::try_from((len + OVERHEAD).min(ROOM)).unwrap_or_default();
        self.room.clone().acquire_many_owned(size).await.ok()
    }

    fn put(&self, piece: Piece, permit: Option<OwnedSemaphorePermit>) {
        // The thread ends before its channel only when the output is gone.
        let _ = self.pieces.send((piece, permit));
    }
}

/// Writes a line to standard error when there is no `Output`, or not any more.
pub(crate) fn complain(text: &str) {
    // There is nowhere to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", escape_line(text));
}

struct Screen {
    form: Form,
    prompt: String,
    scratch: Vec<u8>,
    stdout: BufWriter<io::Stdout>,
}

impl Screen {
    fn run(
        mut self,
        mut waiting: mpsc::UnboundedReceiver<(Piece, Option<OwnedSemaphorePermit>)>,
    ) -> io::Result<()> {
        let mut written = Vec::new();
        while let Some((piece, permit)) = waiting.blocking_recv() {
            written.extend(permit);
            let mut next = Some(piece);
            self.erase_prompt()?;
            while let Some(piece) = next {
                if matches!(piece, Piece::Finish) {
                    return self.stdout.flush();
                }
                self.write(piece)?;
                next = waiting.try_recv().ok().map(|(piece, permit)| {
                    written.extend(permit);
                    piece
                });
            }
            self.stdout.write_all(self.prompt.as_bytes())?;
            self.stdout.flush()?;
            written.clear();
        }
        self.stdout.flush()
    }

    fn write(&mut self, piece: Piece) -> io::Result<()> {
        match piece {
            Piece::Message(message) => {
                self.form.append(&message, &mut self.scratch);
                self.stdout.write_all(&self.scratch)?;
                self.scratch.clear();
                self.scratch.shrink_to(ROOM);
            }
            Piece::Notice(text) => {
                self.stdout.flush()?;
                let _ = writeln!(io::stderr(), "{text}");
            }
            Piece::Prompt(drawn) => self.prompt = drawn,
            Piece::Typed(line) => writeln!(self.stdout, "> {line}")?,
            Piece::Finish => {}
        }
        Ok(())
    }

    fn erase_prompt(&mut self) -> io::Result<()> {
        if self.prompt.is_empty() { Ok(()) } else { self.stdout.write_all(b"\r\x1b[K") }
    }
}

/// Notices at once when the reader of a pipe goes away, without waiting for the next message.
///
/// Elsewhere than on Linux the next message finds it out.
#[cfg(target_os = "linux")]
fn watch_for_reader(tell: Arc<watch::Sender<State>>, room: Arc<Semaphore>) {
    use rustix::event::{PollFd, PollFlags, poll};
    if io::IsTerminal::is_terminal(&io::stdout()) {
        return;
    }
    std::thread::spawn(move || {
        let stdout = io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut watched, None) == Err(rustix::io::Errno::INTR) {}
        if watched.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
            room.close();
            tell.send_if_modified(|state| {
                let was_open = matches!(state, State::Open);
                *state = if was_open { State::Gone } else { state.clone() };
                was_open
            });
        }
    });
}

#[cfg(not(target_os = "linux"))]
fn watch_for_reader(_: Arc<watch::Sender<State>>, _: Arc<Semaphore>) {}

/// Bytes of messages that may wait to be written; a longer message waits alone.
const ROOM: usize = 64 << 10;

/// What a message is counted for beyond its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;
