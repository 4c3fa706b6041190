//! A connection's transport: TCP, or TLS over it, without blocking.

#[cfg(feature = "tls")]
use std::io::ErrorKind;
use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

/// A socket and, for TLS, the session over it.
pub(crate) enum Socket {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

/// A TLS session and its socket.
#[cfg(feature = "tls")]
pub(crate) struct Tls {
    tcp: TcpStream,
    session: rustls::ServerConnection,
}

impl Socket {
    /// Returns what the poller watches.
    pub(crate) fn source(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => &mut tls.tcp,
        }
    }

    /// Reads what is there; 0 bytes are the end of the stream.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Tells whether a read that did not fill its buffer has taken all there was. The poller tells of
    /// what comes later; but a TLS session may hold bytes that the poller told of before.
    pub(crate) fn is_drained_by_short_read(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            #[cfg(feature = "tls")]
            Self::Tls(_) => false,
        }
    }

    /// Writes as much as there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Tells whether some of what was taken has not left: a TLS session keeps what the socket has no
    /// room for.
    pub(crate) fn holds_back(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.session.wants_write(),
        }
    }

    /// Goes on writing what was taken and has not left.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Ends the sending half.
    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            // Where there is no room for it, the peer sees TCP end instead.
            let _ = tls.flush();
        }
        self.source().shutdown(Shutdown::Write)
    }
}

#[cfg(feature = "tls")]
impl Tls {
    pub(crate) fn new(tcp: TcpStream, session: rustls::ServerConnection) -> Self {
        Self { tcp, session }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                // A peer that leaves without a close_notify has left all the same: WebSocket has a
                // Close frame of its own.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.session.read_tls(&mut self.tcp)?;
            if let Err(error) = self.session.process_new_packets() {
                // The alert that says why.
                let _ = self.flush();
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            // Answers of the session itself, such as to a key update.
            match self.flush() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let count = self.session.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
