//! A connection whose last answer is a stream, which ends only with the client or the server.
//!
//! An HTTP server keeps its buffers for as long as it has the connection, 16 KiB and more, which a
//! stream has no use for. So once it has written the head of the answer it lets go, and what is left
//! is the body, in chunks (RFC 9112, section 7.1).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Version};
use http_body::{Body as _, Frame};
use sockeye::{AnyIo, Place};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::http::Endless;
use crate::subscriber::Mailbox;

/// Where the body of a stream waits while its head is written.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Rest>>>);

/// What is left of an answer whose head has been written.
pub(super) struct Rest {
    body: Body,
    framing: Framing,
    mailbox: Arc<Mailbox>,
}

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By the last chunk.
    Chunked,
    /// By the end of the connection, as in HTTP/1.0.
    Plain,
}

/// Writes a body to its end, or until the client leaves or takes nothing for too long. By hand, and
/// not an `async fn`, since there is one for each stream, and what is idle should be small.
pub(super) struct Writing<P> {
    io: AnyIo,
    rest: Rest,
    phase: Phase,
    /// What is being written.
    out: Vec<u8>,
    /// How much of it has been.
    written: usize,
    /// When the client will have taken nothing for too long; while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether it has to be gone by then, whatever it takes.
    is_dismissed: bool,
    /// Bytes that the client has sent behind its request.
    sent: usize,
    /// Held until the end.
    _place: P,
}

// One for each stream, of which there are many.
const _: () = assert!(size_of::<Writing<Place>>() <= 176);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Body,
    /// All is told but the end of the connection.
    End,
}

/// A body that is written by somebody else.
struct Elsewhere;

impl Slot {
    /// Takes the body out of a response that is a stream.
    pub(super) fn put(&self, version: Version, mut response: Response) -> Response {
        let Some(Endless { mailbox }) = response.extensions_mut().remove() else {
            return response;
        };
        let (mut head, body) = response.into_parts();
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        // Lest the connection of an old client is said to stay.
        head.version = version;
        *self.lock() = Some(Rest { body, framing: Framing::of(version), mailbox });
        Response::from_parts(head, Body::new(Elsewhere))
    }

    pub(super) fn is_some(&self) -> bool {
        self.lock().is_some()
    }

    pub(super) fn take(&self) -> Option<Rest> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Framing {
    /// Returns how an answer without a length is framed for a client of this version.
    pub(super) fn of(version: Version) -> Self {
        if version == Version::HTTP_11 { Self::Chunked } else { Self::Plain }
    }

    fn wrap(self, data: &[u8]) -> Vec<u8> {
        match self {
            // An empty chunk would be the last.
            Self::Chunked if data.is_empty() => Vec::new(),
            Self::Chunked => {
                let size = format!("{:x}\r\n", data.len());
                [size.as_bytes(), data, b"\r\n"].concat()
            }
            Self::Plain => data.to_vec(),
        }
    }

    fn end(self) -> Vec<u8> {
        match self {
            Self::Chunked => b"0\r\n\r\n".to_vec(),
            Self::Plain => Vec::new(),
        }
    }
}

impl<P: Unpin> Future for Writing<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.poll_written(context) {
                Poll::Pending => return self.poll_stalled(context),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => self.moved(),
            }
            match self.phase {
                Phase::Body => ready!(self.poll_body(context)),
                Phase::End => return Poll::Ready(()),
            }
        }
    }
}

impl<P> Writing<P> {
    /// Writes what is left of an answer; `place` is held until all is written.
    pub(super) fn new(io: AnyIo, rest: Rest, place: P) -> Self {
        // Else megabytes would wait, and a client be given up that takes them slowly: the system says
        // that there is room only when much of that has gone.
        let _ = io.limit_unsent(UNSENT);
        Self {
            io,
            rest,
            phase: Phase::Body,
            out: Vec::new(),
            written: 0,
            stalled: None,
            is_dismissed: false,
            sent: 0,
            _place: place,
        }
    }

    /// Waits until all has been written that is there, and the connection has ended if that is all.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.out.get(self.written..).filter(|left| !left.is_empty()) {
            let count = ready!(Pin::new(&mut self.io).poll_write(context, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(count);
            self.moved();
        }
        (self.written, self.out) = (0, Vec::new());
        match self.phase {
            Phase::Body => Pin::new(&mut self.io).poll_flush(context),
            Phase::End => Pin::new(&mut self.io).poll_shutdown(context),
        }
    }

    /// Takes note that the client takes some, slowly as it may.
    fn moved(&mut self) {
        if !self.is_dismissed {
            self.stalled = None;
        }
    }

    /// Waits until the client has taken nothing for too long, or has been dismissed for a while.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_dismissed && self.rest.mailbox.poll_dismissed(context).is_ready() {
            (self.is_dismissed, self.stalled) = (true, Some(Box::pin(sleep(DISMISSED))));
        }
        self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED))).as_mut().poll(context)
    }

    /// Waits for what is to be written next.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let next = match self.poll_gone(context) {
            Poll::Ready(()) => None,
            Poll::Pending => ready!(Pin::new(&mut self.rest.body).poll_frame(context)),
        };
        let data = next.and_then(Result::ok).map(|frame| frame.into_data().unwrap_or_default());
        self.write(data);
        Poll::Ready(())
    }

    /// Writes the next of the body, or its end, when there is nothing left to be made of it.
    fn write(&mut self, data: Option<Bytes>) {
        let framing = self.rest.framing;
        if let Some(data) = data {
            self.out = framing.wrap(&data);
        } else {
            (self.phase, self.out) = (Phase::End, framing.end());
            self.rest.body = Body::empty();
        }
    }

    /// Waits until the client has left. Requests that it sends behind this one are not answered any
    /// more, so what it sends is dropped, and a client that sends on and on has left too.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [0; 256];
        loop {
            let mut read = ReadBuf::new(&mut scrap);
            let result = ready!(Pin::new(&mut self.io).poll_read(context, &mut read));
            self.sent = self.sent.saturating_add(read.filled().len());
            if result.is_err() || read.filled().is_empty() || self.sent > UNANSWERED {
                return Poll::Ready(());
            }
        }
    }
}

impl http_body::Body for Elsewhere {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Time in which a client must take something of what is written, as long as what waits for a
/// WebSocket may wait.
const STALLED: Duration = Duration::from_secs(30);

/// Time in which a client that has to go must have taken what is left, as long as a WebSocket may take to
/// answer a Close.
const DISMISSED: Duration = Duration::from_secs(5);

/// Bytes that the system takes for a client and has not sent yet.
const UNSENT: u32 = 128 << 10;

/// Bytes that a client may send behind the request for a stream: as many as a request may have.
const UNANSWERED: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::clients::Parting;

    /// A body of what is sent to it.
    struct Sent(UnboundedReceiver<&'static str>);

    impl http_body::Body for Sent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = ready!(self.0.poll_recv(context));
            Poll::Ready(next.map(|text| Ok(Frame::data(text.into()))))
        }
    }

    /// A stream that is written to a client which has taken nothing yet.
    struct Stream {
        body: UnboundedSender<&'static str>,
        client: DuplexStream,
        mailbox: Arc<Mailbox>,
        writing: JoinHandle<()>,
        place: Arc<()>,
    }

    impl Stream {
        /// Starts one to a client that has room for so many bytes.
        fn start(version: Version, room: usize) -> Self {
            let (body, sent) = unbounded_channel();
            let (client, server) = duplex(room);
            let mailbox = Arc::<Mailbox>::default();
            let (text, framing) = (Body::new(Sent(sent)), Framing::of(version));
            let rest = Rest { body: text, framing, mailbox: mailbox.clone() };
            let place = Arc::new(());
            let writing = Writing::new(AnyIo::new(server), rest, place.clone());
            Self { body, client, mailbox, writing: tokio::spawn(writing), place }
        }

        /// Ends the body, and returns all that the client gets.
        async fn end(self) -> String {
            let Self { body, mut client, writing, place, .. } = self;
            drop(body);
            let mut all = String::new();
            client.read_to_string(&mut all).await.unwrap();
            writing.await.unwrap();
            assert_eq!(Arc::strong_count(&place), 1, "the place is given back");
            all
        }

        async fn read(&mut self, count: usize) -> String {
            let mut some = vec![0; count];
            self.client.read_exact(&mut some).await.unwrap();
            String::from_utf8(some).unwrap()
        }
    }

    #[tokio::test]
    async fn body_goes_out_in_chunks_and_ends_with_the_last_one() {
        let mut stream = Stream::start(Version::HTTP_11, 4_096);
        stream.body.send("one").unwrap();
        assert_eq!(stream.read(8).await, "3\r\none\r\n");
        // An empty chunk would be the last.
        for text in ["", "a longer message"] {
            stream.body.send(text).unwrap();
        }
        assert_eq!(stream.end().await, "10\r\na longer message\r\n0\r\n\r\n");
    }

    #[tokio::test]
    async fn client_of_http_1_0_gets_the_body_as_it_is() {
        let stream = Stream::start(Version::HTTP_10, 4_096);
        stream.body.send("one").unwrap();
        stream.body.send("two").unwrap();
        assert_eq!(stream.end().await, "onetwo");
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_nothing_for_30_s_is_given_up_and_one_that_takes_a_byte_is_not() {
        let mut stream = Stream::start(Version::HTTP_10, 1);
        let start = Instant::now();
        stream.body.send("abcdef").unwrap();
        for byte in ["a", "b", "c"] {
            tokio::time::sleep(STALLED - Duration::from_secs(1)).await;
            assert_eq!(stream.read(1).await, byte);
        }
        let last = Instant::now();
        stream.writing.await.unwrap();
        assert_eq!((last - start, last.elapsed()), (Duration::from_secs(87), STALLED));
        assert!(stream.body.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_is_dismissed_must_have_taken_all_within_5_s() {
        let mut stream = Stream::start(Version::HTTP_10, 1);
        stream.body.send("abcdef").unwrap();
        assert_eq!(stream.read(1).await, "a");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let start = Instant::now();
        assert!(stream.mailbox.part(Parting::Dismissed));
        // What it takes meanwhile gives it no more time.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(stream.read(1).await, "b");
        stream.writing.await.unwrap();
        assert_eq!(start.elapsed(), DISMISSED);
    }

    #[tokio::test]
    async fn client_that_leaves_ends_the_body_at_once() {
        let stream = Stream::start(Version::HTTP_11, 64);
        drop(stream.client);
        stream.writing.await.unwrap();
        assert!(stream.body.is_closed());
    }

    #[tokio::test]
    async fn what_a_client_sends_behind_its_request_is_dropped_until_it_is_too_much() {
        let mut stream = Stream::start(Version::HTTP_10, 64);
        stream.client.write_all(&[b'x'; UNANSWERED]).await.unwrap();
        stream.body.send("still there").unwrap();
        assert_eq!(stream.read(11).await, "still there");
        stream.client.write_all(b"x").await.unwrap();
        stream.writing.await.unwrap();
        assert!(stream.body.is_closed());
    }
}
