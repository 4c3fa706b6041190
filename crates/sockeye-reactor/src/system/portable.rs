//! The system by way of mio: readiness, on every system that mio knows.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener as MioListener, TcpStream as MioStream};
use mio::{Events, Interest, Poll, Token, Waker};
use sockeye_proto::Time;

use super::{Happening, System, Tcp, Wake};
use crate::clock;
use calls::{receive, send, send_both};

/// A poller and what it watches.
pub(crate) struct Portable {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    listeners: Vec<(u32, MioListener)>,
    /// A descriptor to give up where there are no more, so that one who waits can be turned away.
    #[cfg(unix)]
    spare: Option<File>,
}

impl Portable {
    /// Makes a poller.
    ///
    /// # Errors
    /// The system has none left.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(Self::EVENTS);
        Ok(Self {
            poll,
            events,
            waker,
            listeners: Vec::new(),
            #[cfg(unix)]
            spare: None,
        })
    }

    /// Accepts and closes one connection, for which there is no descriptor but the spare one: it learns
    /// at once that it is not served, and the queue does not stay full of those that gave up long ago.
    #[cfg(unix)]
    fn turn_one_away(&mut self, token: u32) {
        self.spare = None;
        if let Some((_, listener)) = self.listeners.iter().find(|(own, _)| *own == token) {
            drop(listener.accept());
        }
        self.keep_spare();
    }

    /// Takes a spare descriptor; where there is none, the next time.
    #[cfg(unix)]
    fn keep_spare(&mut self) {
        self.spare = File::open("/dev/null").ok();
    }
}

impl System for Portable {
    type Network = Tcp;
    type Socket = MioStream;

    const EVENTS: usize = 1024;
    /// A large message then takes few reads, and the buffer stays in the cache.
    const READ: usize = 256 << 10;

    fn now(&self) -> Time {
        clock::now()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn wait(
        &mut self,
        patience: Option<Duration>,
        happened: &mut Vec<Happening>,
    ) -> io::Result<()> {
        self.poll.poll(&mut self.events, patience)?;
        happened.extend(self.events.iter().filter_map(|event| {
            // The waker's token is no connection's.
            let token = u32::try_from(event.token().0).ok()?;
            let closed = event.is_read_closed() || event.is_error();
            let readable = closed || event.is_readable();
            Some(Happening { token, readable, writable: event.is_writable(), closed })
        }));
        Ok(())
    }

    fn watch(&mut self, stream: TcpStream, token: u32) -> io::Result<MioStream> {
        let mut socket = MioStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(token as usize), interest)?;
        Ok(socket)
    }

    fn unwatch(&mut self, mut socket: MioStream) -> TcpStream {
        // It fails for what is not watched, which is what is asked for.
        let _ = self.poll.registry().deregister(&mut socket);
        socket.into()
    }

    fn read(&mut self, socket: &mut MioStream, buffer: &mut [u8]) -> io::Result<usize> {
        receive(socket, buffer)
    }

    fn write(&mut self, socket: &mut MioStream, bytes: &[u8]) -> io::Result<usize> {
        send(socket, bytes)
    }

    fn write_both(
        &mut self,
        socket: &mut MioStream,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        send_both(socket, &[IoSlice::new(first), IoSlice::new(second)])
    }

    fn shut_down(&mut self, socket: &mut MioStream) -> io::Result<()> {
        socket.shutdown(Shutdown::Write)
    }

    fn listen(&mut self, listener: TcpListener, token: u32) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let mut listener = MioListener::from_std(listener);
        let registry = self.poll.registry();
        registry.register(&mut listener, Token(token as usize), Interest::READABLE)?;
        self.listeners.push((token, listener));
        #[cfg(unix)]
        self.keep_spare();
        Ok(())
    }

    fn unlisten(&mut self, token: u32) {
        let registry = self.poll.registry();
        for (_, listener) in self.listeners.extract_if(.., |(own, _)| *own == token) {
            let mut listener = listener;
            // Closing it would do only if it were nobody else's: another process may accept there now.
            let _ = registry.deregister(&mut listener);
        }
    }

    fn accept(&mut self, token: u32) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = self.listeners.iter().find(|(own, _)| *own == token);
        let (_, listener) = listener.ok_or(io::ErrorKind::WouldBlock)?;
        let accepted = listener.accept();
        #[cfg(unix)]
        if accepted.as_ref().is_err_and(is_out_of_descriptors) {
            self.turn_one_away(token);
        }
        let (stream, peer) = accepted?;
        Ok((stream.into(), peer))
    }

    fn read_unwatched(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }
}

/// Receives and sends without the C library, which makes either a point where its thread may be
/// cancelled: four locked instructions for each message.
#[cfg(target_os = "linux")]
mod calls {
    use std::io::{self, IoSlice};

    use mio::net::TcpStream;
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

    pub(super) fn receive(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
        Ok(count)
    }

    pub(super) fn send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
    }

    pub(super) fn send_both(socket: &TcpStream, both: &[IoSlice<'_>; 2]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(socket, both, &mut nothing, SendFlags::NOSIGNAL)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod calls {
    use std::io::{self, IoSlice, Read, Write};

    use mio::net::TcpStream;

    pub(super) fn receive(mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        socket.read(buffer)
    }

    pub(super) fn send(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        socket.write(bytes)
    }

    pub(super) fn send_both(mut socket: &TcpStream, both: &[IoSlice<'_>; 2]) -> io::Result<usize> {
        socket.write_vectored(both)
    }
}

impl Wake for Waker {
    fn wake(&self) {
        // It can only fail for want of memory in the kernel, and then the next turn finds the post.
        let _ = Waker::wake(self);
    }
}

/// Whether the process, or the system, has no descriptors left: EMFILE and ENFILE, of the same number on
/// every Unix.
#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// The waker's token, which is no connection's.
const WAKER: Token = Token(usize::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_that_another_process_holds_too_is_not_watched_once_it_is_let_go() {
        let [given, kept] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let elsewhere = given.try_clone().unwrap();
        let (first, second) = (given.local_addr().unwrap(), kept.local_addr().unwrap());
        let mut system = Portable::new().unwrap();
        system.listen(given, 1).unwrap();
        system.listen(kept, 2).unwrap();
        system.unlisten(1);
        let clients = [first, second].map(|address| TcpStream::connect(address).unwrap());
        let mut happened = Vec::new();
        while !happened.iter().any(|one: &Happening| one.token == 2) {
            system.wait(None, &mut happened).unwrap();
        }
        assert!(happened.iter().all(|one| one.token == 2));
        assert!(elsewhere.accept().is_ok(), "who holds it gets the connection");
        drop(clients);
    }
}
