//! A client that knows nothing but bytes: frames are written and read by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::probe::PATIENCE;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The client's end of a connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    /// What was read and is not taken yet.
    received: Vec<u8>,
}

/// A frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// How the server's stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

impl Peer {
    /// Makes a client of a connected socket.
    pub(crate) fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { socket, received: Vec::new() }
    }

    /// Sends a whole message or control frame.
    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write(&frame(opcode, payload));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Ends the sending side.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Resets the connection, which needs something unread to be there or on its way.
    pub(crate) fn reset(self) {
        assert!(self.socket.peek(&mut [0]).unwrap() > 0);
    }

    /// Reads the next frame.
    pub(crate) fn frame(&mut self) -> Frame {
        self.try_frame().unwrap_or_else(|end| panic!("{end:?} instead of a frame"))
    }

    /// Reads the next frame, or tells how the stream ended.
    pub(crate) fn try_frame(&mut self) -> Result<Frame, End> {
        loop {
            if let Some((frame, length)) = parse(&self.received) {
                self.received.drain(..length);
                return Ok(frame);
            }
            self.read_some()?;
        }
    }

    /// Reads a text message.
    pub(crate) fn read_text(&mut self) -> String {
        let Frame { opcode, payload } = self.frame();
        assert_eq!(opcode, TEXT, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Reads a Close frame; returns its code and reason.
    pub(crate) fn read_close(&mut self) -> (u16, String) {
        let Frame { opcode, payload } = self.frame();
        assert_eq!(opcode, CLOSE, "{payload:?}");
        let code = u16::from_be_bytes(*payload.first_chunk().unwrap());
        (code, String::from_utf8(payload[2..].to_vec()).unwrap())
    }

    /// Waits for the end of the stream, before which nothing may come.
    pub(crate) fn end(&mut self) -> End {
        match self.try_frame() {
            Ok(frame) => panic!("a frame instead of the end: {frame:?}"),
            Err(end) => {
                assert_eq!(self.received, b"", "the stream ended in mid-frame");
                end
            }
        }
    }

    /// Takes part in a closing handshake that the server starts; returns its code and reason.
    pub(crate) fn close(&mut self) -> (u16, String) {
        let (code, reason) = self.read_close();
        self.send(CLOSE, &code.to_be_bytes());
        assert_eq!(self.end(), End::Fin);
        // The server waits for it; where that took too long, there is nobody to tell.
        let _ = self.socket.shutdown(Shutdown::Write);
        (code, reason)
    }

    /// Reads what is there until nothing has come for want of more; returns how much that was.
    pub(crate) fn drain_socket(&mut self) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        let before = self.received.len();
        while self.read_once().is_ok_and(|count| count > 0) {}
        self.socket.set_nonblocking(false).unwrap();
        self.received.len() - before
    }

    /// Writes until the server takes no more; returns how much it took.
    pub(crate) fn write_until_full(&mut self, bytes: &[u8]) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.socket.set_nonblocking(false).unwrap();
        written
    }

    fn read_some(&mut self) -> Result<(), End> {
        match self.read_once() {
            Ok(0) => Err(End::Fin),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(error) => panic!("{error}"),
        }
    }

    fn read_once(&mut self) -> std::io::Result<usize> {
        let mut part = vec![0; 64 << 10];
        let count = self.socket.read(&mut part)?;
        self.received.extend_from_slice(&part[..count]);
        Ok(count)
    }
}

/// Builds a client's whole frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Reads a server's frame, which is neither masked nor compressed nor in fragments.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(first & 0xf0, 0x80, "FIN alone");
    let (len, start) = match second {
        len @ 0..=125 => (usize::from(len), 2),
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).unwrap(), 10),
        masked => panic!("a masked frame from a server: {masked:#x}"),
    };
    let payload = bytes.get(start..start + len)?.to_vec();
    Some((Frame { opcode: first & 0x0f, payload }, start + len))
}
