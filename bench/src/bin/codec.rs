//! One implementation echoes one message many times, in memory: `codec IMPLEMENTATION BYTES TIMES`.
//!
//! Made to run under callgrind, which counts the instructions. Every implementation plays the server:
//! it reads a masked binary frame and writes the frame that answers it.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sockeye_proto::{Config, Connection, Event, Message, Server, Time};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(implementation), Some(size), Some(times)) = (args.next(), args.next(), args.next())
    else {
        panic!("usage: codec sockeye|tungstenite|fastwebsockets BYTES TIMES");
    };
    let wire = Wire::new(size.parse().expect("a length"), times.parse().expect("a count"));
    match implementation.as_str() {
        "sockeye" => sockeye(wire),
        "tungstenite" => tungstenite(wire),
        "fastwebsockets" => fastwebsockets(wire),
        other => panic!("no implementation {other}"),
    }
}

/// A transport in memory: each read gives one frame, writes are counted and forgotten.
struct Wire {
    frame: Vec<u8>,
    at: usize,
    left: usize,
    written: usize,
}

impl Wire {
    fn new(size: usize, times: usize) -> Self {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = vec![0x82];
        match size {
            0..=125 => frame.push(0x80 | size as u8),
            126..=65_535 => {
                frame.push(0x80 | 126);
                frame.extend((size as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((size as u64).to_be_bytes());
            }
        }
        frame.extend(key);
        frame.extend((0..size).map(|i| (i as u8) ^ key[i % 4]));
        Self { frame, at: 0, left: times, written: 0 }
    }

    fn copy_to(&mut self, buffer: &mut [u8]) -> usize {
        if self.left == 0 {
            return 0;
        }
        let count = buffer.len().min(self.frame.len() - self.at);
        buffer[..count].copy_from_slice(&self.frame[self.at..self.at + count]);
        self.at += count;
        if self.at == self.frame.len() {
            (self.at, self.left) = (0, self.left - 1);
        }
        count
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.copy_to(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.copy_to(buffer.initialize_unfilled());
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn sockeye(mut wire: Wire) {
    let now = Time::from_micros(1);
    let mut connection = Connection::new(Server, Arc::new(Config::server()), now);
    let (mut buffer, mut replies, mut out) = (vec![0; 64 << 10], Vec::new(), Vec::new());
    loop {
        let count = wire.read(&mut buffer).expect("memory reads");
        if count == 0 {
            return;
        }
        // The message is sent back from where it stands, so its bytes are found again after.
        let mut echo = None;
        let mut events = connection.receive(&mut buffer[..count], now, &mut replies);
        while let Some(event) = events.next() {
            if let Event::Message(Message::Binary(bytes)) = event.expect("a good frame") {
                echo = Some(bytes.as_bytes().len());
            }
        }
        if let Some(len) = echo {
            connection.send(&buffer[count - len..count], &mut out).expect("an open connection");
            let sent = wire.write(&out).expect("memory takes all");
            out.clear();
            connection.written(sent, now, &mut replies);
        }
    }
}

fn tungstenite(wire: Wire) {
    use tungstenite::protocol::{Role, WebSocket};
    let mut ws = WebSocket::from_raw_socket(wire, Role::Server, None);
    while let Ok(message) = ws.read() {
        ws.send(message).expect("memory takes all");
    }
}

fn fastwebsockets(wire: Wire) {
    use fastwebsockets::{Frame, OpCode, Role, WebSocket};
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async move {
        let mut ws = WebSocket::after_handshake(wire, Role::Server);
        ws.set_auto_close(false);
        while let Ok(frame) = ws.read_frame().await {
            assert_eq!(frame.opcode, OpCode::Binary);
            let echo = Frame::binary(frame.payload);
            ws.write_frame(echo).await.expect("memory takes all");
        }
    });
}
