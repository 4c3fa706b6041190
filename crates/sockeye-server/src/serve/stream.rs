//! A connection whose last answer is a stream, which ends only with the client or the server.
//!
//! An HTTP server keeps its buffers for as long as it has the connection, 16 KiB and more, which a
//! stream has no use for. So once it has written the head of the answer it lets go, and what is left
//! is the body, in chunks (RFC 9112, section 7.1).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::Version;
use http_body::Body as _;
use sockeye::{AnyIo, Place};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// What is left of an answer whose head has been written.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) body: Body,
    pub(super) framing: Framing,
}

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By the last chunk.
    Chunked,
    /// By the end of the connection, as in HTTP/1.0.
    Plain,
}

impl Framing {
    /// Returns how an answer without a length is framed for a client of this version.
    pub(super) fn of(version: Version) -> Self {
        if version == Version::HTTP_11 { Self::Chunked } else { Self::Plain }
    }

    fn wrap(self, data: Bytes) -> impl Buf {
        let (size, end) = match self {
            Self::Chunked => (format!("{:x}\r\n", data.len()), "\r\n"),
            Self::Plain => (String::new(), ""),
        };
        Bytes::from(size).chain(data).chain(end.as_bytes())
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"0\r\n\r\n",
            Self::Plain => b"",
        }
    }
}

/// Writes a body to its end, or until the client leaves or takes nothing for too long.
pub(super) async fn write(mut io: AnyIo, rest: Rest, place: Place) {
    let Rest { mut body, framing } = rest;
    let mut sent = 0;
    while let Some(data) = next(&mut io, &mut body, &mut sent).await {
        if !data.is_empty() && write_all(&mut io, framing.wrap(data)).await.is_err() {
            return;
        }
    }
    if write_all(&mut io, framing.end()).await.is_ok() {
        let _ = timeout(STALLED, io.shutdown()).await;
    }
    drop(place);
}

/// Waits for what is to be written next; `None` when there is nothing more, or nobody to read it.
async fn next(io: &mut AnyIo, body: &mut Body, sent: &mut usize) -> Option<Bytes> {
    poll_fn(|context| {
        if poll_gone(io, context, sent).is_ready() {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        Poll::Ready(frame.and_then(Result::ok).map(|frame| frame.into_data().unwrap_or_default()))
    })
    .await
}

/// Waits until the client has left. Requests that it sends behind this one are not answered any more,
/// so what it sends is dropped, and a client that sends on and on has left too.
fn poll_gone(io: &mut AnyIo, context: &mut Context<'_>, sent: &mut usize) -> Poll<()> {
    let mut scrap = [0; 256];
    loop {
        let mut read = ReadBuf::new(&mut scrap);
        let result = ready!(Pin::new(&mut *io).poll_read(context, &mut read));
        *sent = sent.saturating_add(read.filled().len());
        if result.is_err() || read.filled().is_empty() || *sent > UNANSWERED {
            return Poll::Ready(());
        }
    }
}

/// Writes all, if the client takes it in time.
async fn write_all(io: &mut AnyIo, mut data: impl Buf) -> io::Result<()> {
    let writing = async {
        io.write_all_buf(&mut data).await?;
        io.flush().await
    };
    timeout(STALLED, writing).await.map_err(io::Error::from)?
}

/// Time in which a client must take what is written at a time, as long as what waits for a WebSocket
/// may wait.
const STALLED: Duration = Duration::from_secs(30);

/// Bytes that a client may send behind the request for a stream: as many as a request may have.
const UNANSWERED: usize = 16 << 10;
