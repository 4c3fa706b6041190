//! What a reactor thread asks of the operating system: to wait, to read, to write, to accept, and
//! the time.
//!
//! The seam between the loop and the system's calls. The loop knows nothing but this, so that a
//! simulated system can play every fault to it.

mod portable;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::Time;

pub(crate) use portable::Portable;

/// The system's calls, of one thread.
///
/// All of them return at once, but for [`wait`](Self::wait). Where one would have to wait, it fails
/// with [`io::ErrorKind::WouldBlock`], and a [`Happening`] tells when to try again: once, after an
/// attempt that failed so.
pub(crate) trait System: 'static {
    /// What it is made for.
    type Network: Network;
    /// A connection that is watched.
    type Socket;

    /// The most that one wait tells of. One that tells of so much may have more to tell.
    const EVENTS: usize;
    /// Bytes read at a time, at most.
    const READ: usize;

    /// Returns the moment now.
    fn now(&self) -> Time;

    /// Returns what ends a wait from any thread.
    fn waker(&self) -> Arc<dyn Wake>;

    /// Waits until something happens, at most as long as `patience`, and tells what.
    fn wait(&mut self, patience: Option<Duration>, happened: &mut Vec<Happening>)
    -> io::Result<()>;

    /// Begins to watch a connection: what happens to it is told by its token.
    fn watch(&mut self, stream: StreamOf<Self>, token: u32) -> io::Result<Self::Socket>;

    /// Ends watching, and gives the connection back.
    fn unwatch(&mut self, socket: Self::Socket) -> StreamOf<Self>;

    /// Reads what is there; 0 bytes are the end of the stream. A read that does not fill `buffer` has
    /// taken all there was.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for.
    fn write(&mut self, socket: &mut Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// As [`write`](Self::write), for two runs of bytes that leave as one.
    fn write_both(
        &mut self,
        socket: &mut Self::Socket,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize>;

    /// Ends the sending half.
    fn shut_down(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Begins to accept at a listener; its token tells of connections that wait there.
    fn listen(&mut self, listener: ListenerOf<Self>, token: u32) -> io::Result<()>;

    /// Accepts no more at the listener of a token.
    fn unlisten(&mut self, token: u32);

    /// Accepts the next connection at a listener.
    fn accept(&mut self, token: u32) -> io::Result<(StreamOf<Self>, SocketAddr)>;

    /// Reads what has arrived on a connection that is not watched.
    fn read_unwatched(
        &mut self,
        stream: &mut StreamOf<Self>,
        buffer: &mut [u8],
    ) -> io::Result<usize>;
}

/// What passes between threads, whichever systems they use.
pub(crate) trait Network: 'static {
    /// A connection that nobody watches.
    type Stream: Send + 'static;
    /// What connections arrive at.
    type Listener: Send + 'static;
}

pub(crate) type StreamOf<S> = <<S as System>::Network as Network>::Stream;
pub(crate) type ListenerOf<S> = <<S as System>::Network as Network>::Listener;

/// The network of the operating system.
pub(crate) enum Tcp {}

impl Network for Tcp {
    type Stream = TcpStream;
    type Listener = TcpListener;
}

/// Ends a thread's wait.
pub(crate) trait Wake: Send + Sync {
    /// Makes the thread's wait return, or its next if it does not wait now.
    fn wake(&self);
}

/// Something that a system tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) token: u32,
    /// There may be something to read, or to accept.
    pub(crate) readable: bool,
    /// There may be room to write.
    pub(crate) writable: bool,
    /// The peer has ended the stream, or the connection is broken. Not told twice.
    pub(crate) closed: bool,
}
