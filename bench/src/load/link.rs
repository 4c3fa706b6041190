//! One connection to the server: its handshake, what it has yet to send, and what it reads.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::ops::Range;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::frame::{Burst, Reader};
use super::{Failure, Load};

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: TcpStream,
    reader: Reader,
    /// How many messages are to be sent beyond those that `unsent` holds.
    due: usize,
    /// What the socket had no room for.
    unsent: Range<usize>,
}

/// What a link waits for before it can go on sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wants {
    Nothing,
    Room,
}

impl Link {
    /// Opens a connection; `nth` spreads them over source addresses.
    pub(super) fn open(load: &Load, nth: usize) -> Result<Self, Failure> {
        let mut stream = dial(load, nth)?;
        request(&mut stream, load)?;
        response(&mut stream)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, reader: Reader::default(), due: 0, unsent: 0..0 })
    }

    /// Owes the server `count` messages more.
    pub(super) fn owe(&mut self, count: usize) {
        self.due += count;
    }

    /// Sends what is owed, as far as the socket takes it.
    pub(super) fn flush(&mut self, burst: &Burst) -> Result<Wants, Failure> {
        loop {
            if self.unsent.is_empty() {
                if self.due == 0 {
                    return Ok(Wants::Nothing);
                }
                let (range, count) = burst.first(self.due);
                self.unsent = range;
                self.due -= count;
            }
            match self.stream.write(burst.bytes(self.unsent.clone())) {
                Ok(written) => self.unsent.start += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Wants::Room),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads once, and returns how many messages that completed.
    pub(super) fn receive(&mut self, buffer: &mut [u8], burst: &Burst) -> Result<u64, Failure> {
        match self.stream.read(buffer) {
            Ok(0) => Err("the server hung up".into()),
            Ok(length) => self.reader.read(&buffer[..length], burst.payload()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// Connects, from one of several addresses: one has too few ports for all runs.
pub(super) fn dial(load: &Load, nth: usize) -> Result<TcpStream, Failure> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let last = 2 + (nth % SOURCES) as u8;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0))?;
    connect(&socket, &load.address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends the handshake's request.
pub(super) fn request(stream: &mut TcpStream, load: &Load) -> io::Result<()> {
    let Load { path, address, .. } = load;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())
}

/// Reads the handshake's response.
pub(super) fn response(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut buffer)?;
        head.extend(&buffer[..length]);
        if length == 0 || head.len() > MAX_HEAD {
            return Err("the server answered with no handshake".into());
        }
    }
    let head = String::from_utf8(head)?;
    if head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT) {
        return Ok(());
    }
    Err(format!("the server refused: {head}").into())
}

/// The sample of RFC 6455, section 1.3: servers must not tell it from a random one.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MAX_HEAD: usize = 16 << 10;
/// Some 28,000 ports each.
const SOURCES: usize = 16;
/// How long the server may take for an answer; on a busy machine it may not run for seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
