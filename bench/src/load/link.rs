//! One connection to the server: its handshake, what it has yet to send, and what it reads.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::ops::Range;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::expected::Expected;
use super::frame::{Burst, Reader};
use super::message::Data;
use super::{Failure, Load};

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: TcpStream,
    /// What the server agreed to.
    pub(super) extensions: String,
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
        let extensions = response(&mut stream, load)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, extensions, reader: Reader::default(), due: 0, unsent: 0..0 })
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
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        expected: &mut Expected,
    ) -> Result<u64, Failure> {
        match self.stream.read(buffer) {
            Ok(0) => Err("the server hung up".into()),
            Ok(length) => self.reader.read(&buffer[..length], expected),
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
    let Load { path, address, data, .. } = load;
    let offer = if *data == Data::Deflated { OFFER } else { "" };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{offer}\r\n"
    );
    stream.write_all(head.as_bytes())
}

/// Reads the handshake's response, and returns the extensions that the server agrees to.
pub(super) fn response(stream: &mut TcpStream, load: &Load) -> Result<String, Failure> {
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
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
        return Err(format!("the server refused: {head}").into());
    }
    let agreed = extensions(&head);
    check_extensions(&agreed, load.data)?;
    Ok(agreed)
}

/// Returns what the header of extensions in a response says, or nothing.
fn extensions(head: &str) -> String {
    let named = |line: &&str| line.to_ascii_lowercase().starts_with(EXTENSIONS);
    let line = head.lines().find(named).unwrap_or_default();
    line.get(EXTENSIONS.len()..).unwrap_or_default().trim().to_owned()
}

/// Checks that a server agrees to what was offered. What it says of its own window is of no matter: a message that
/// stands alone is inflated in any.
fn check_extensions(agreed: &str, data: Data) -> Result<(), String> {
    let has = |name| agreed.split([';', ',']).any(|part| part.trim() == name);
    match data {
        Data::Binary | Data::Text if agreed.is_empty() => Ok(()),
        Data::Binary | Data::Text => Err(format!("nobody offered {agreed}")),
        Data::Deflated if !has("permessage-deflate") => {
            Err("the server does not compress".to_owned())
        }
        Data::Deflated if !has("server_no_context_takeover") => {
            Err(format!("the server keeps its context: {agreed}"))
        }
        Data::Deflated => Ok(()),
    }
}

/// The sample of RFC 6455, section 1.3: servers must not tell it from a random one.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; \
                     client_no_context_takeover; server_no_context_takeover\r\n";
const EXTENSIONS: &str = "sec-websocket-extensions:";
const MAX_HEAD: usize = 16 << 10;
/// Some 28,000 ports each.
const SOURCES: usize = 16;
/// How long the server may take for an answer; on a busy machine it may not run for seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_from_the_head() {
        let head =
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nsec-WebSocket-Extensions:  a; b\r\n\r\n";
        assert_eq!(extensions(head), "a; b");
        assert_eq!(extensions("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n"), "");
    }

    #[test]
    fn a_server_that_keeps_its_context_or_does_not_compress_is_refused() {
        let check = |agreed| check_extensions(agreed, Data::Deflated);
        assert!(check("permessage-deflate; server_no_context_takeover").is_ok());
        assert!(check("permessage-deflate;client_no_context_takeover").is_err());
        assert!(check("").is_err());
        assert!(check_extensions("permessage-deflate", Data::Binary).is_err());
        assert!(check_extensions("", Data::Text).is_ok());
    }
}
