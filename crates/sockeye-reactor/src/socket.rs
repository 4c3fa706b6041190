//! A connection's transport: TCP, or TLS over it, without blocking.

use std::io;
#[cfg(feature = "tls")]
use std::io::{ErrorKind, Read, Write};

use crate::system::System;

/// A socket and, for TLS, the session over it.
pub(crate) enum Socket<S: System> {
    Plain(S::Socket),
    #[cfg(feature = "tls")]
    Tls(Box<Tls<S>>),
}

/// A TLS session and its socket.
#[cfg(feature = "tls")]
pub(crate) struct Tls<S: System> {
    socket: S::Socket,
    session: Box<rustls::ServerConnection>,
}

impl<S: System> Socket<S> {
    #[cfg(feature = "tls")]
    pub(crate) fn tls(socket: S::Socket, session: Box<rustls::ServerConnection>) -> Self {
        Self::Tls(Box::new(Tls { socket, session }))
    }

    /// Reads what is there; 0 bytes are the end of the stream.
    pub(crate) fn read(&mut self, system: &mut S, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => system.read(socket, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.read(system, buffer),
        }
    }

    /// Tells whether a read that did not fill its buffer has taken all there was. The system tells of
    /// what comes later; but a TLS session may hold bytes that it told of before.
    pub(crate) fn is_drained_by_short_read(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            #[cfg(feature = "tls")]
            Self::Tls(_) => false,
        }
    }

    /// Writes as much as there is room for.
    pub(crate) fn write(&mut self, system: &mut S, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => system.write(socket, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.write(system, bytes),
        }
    }

    /// As [`write`](Self::write), for two runs of bytes that leave as one where they can.
    pub(crate) fn write_both(
        &mut self,
        system: &mut S,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => system.write_both(socket, first, second),
            #[cfg(feature = "tls")]
            // Its session copies what it takes anyway.
            Self::Tls(tls) => tls.write(system, first),
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
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "TLS alone keeps something back")
    )]
    pub(crate) fn flush(&mut self, system: &mut S) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush(system),
        }
    }

    /// Ends the sending half.
    pub(crate) fn shut_down(&mut self, system: &mut S) -> io::Result<()> {
        match self {
            Self::Plain(socket) => system.shut_down(socket),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => {
                tls.session.send_close_notify();
                // Where there is no room for it, the peer sees TCP end instead.
                let _ = tls.flush(system);
                system.shut_down(&mut tls.socket)
            }
        }
    }
}

#[cfg(feature = "tls")]
impl<S: System> Tls<S> {
    fn read(&mut self, system: &mut S, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                // A peer that leaves without a close_notify has left all the same: WebSocket has a
                // Close frame of its own.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.session.read_tls(&mut Wire { system, socket: &mut self.socket })?;
            if let Err(error) = self.session.process_new_packets() {
                // The alert that says why; against floods the session has none, and gets this.
                self.session.send_close_notify();
                let _ = self.flush(system);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            // Answers of the session itself, such as to a key update.
            match self.flush(system) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    fn write(&mut self, system: &mut S, bytes: &[u8]) -> io::Result<usize> {
        self.flush(system)?;
        let count = self.session.writer().write(bytes)?;
        match self.flush(system) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn flush(&mut self, system: &mut S) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire { system, socket: &mut self.socket }) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A socket as the TLS library reads and writes it.
#[cfg(feature = "tls")]
struct Wire<'w, S: System> {
    system: &'w mut S,
    socket: &'w mut S::Socket,
}

#[cfg(feature = "tls")]
impl<S: System> Read for Wire<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.system.read(self.socket, buffer)
    }
}

#[cfg(feature = "tls")]
impl<S: System> Write for Wire<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.system.write(self.socket, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
