//! Echoes on a reactor: `cargo run --release -p sockeye-reactor --example echo -- 127.0.0.1:9000`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use sockeye_proto::handshake::{HeadReader, Policy, RequestHead, accept};
use sockeye_proto::{Config, Connection, MessageRef, Server};
use sockeye_reactor::{Adopted, Out, Reactor, now};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let listener = TcpListener::bind(address)?;
    let reactor = Reactor::start(1)?;
    let config = Arc::new(config());
    loop {
        let (socket, _) = listener.accept()?;
        if let Ok((core, received)) = shake_hands(&socket, &config) {
            socket.set_nonblocking(true)?;
            reactor.adopt(Adopted::new(socket, core, echo).received(received));
        }
    }
}

/// Sends a message back.
fn echo(message: MessageRef<'_>, out: &mut Out<'_>) {
    let _ = out.send(message);
}

fn config() -> Config {
    let mut config = Config::server();
    config.limits.message = 64 << 20;
    config.limits.queue = 128 << 20;
    config
}

/// Reads a request and answers it; returns the connection and what came behind the request.
fn shake_hands(
    mut socket: &TcpStream,
    config: &Arc<Config>,
) -> io::Result<(Connection<Server>, Vec<u8>)> {
    socket.set_nodelay(true)?;
    let (mut bytes, mut reader) = (Vec::new(), HeadReader::request());
    let length = loop {
        let mut part = [0; 1024];
        let count = socket.read(&mut part)?;
        bytes.extend_from_slice(&part[..count]);
        match reader.read(&bytes, &config.limits) {
            Ok(Some(length)) => break length,
            Ok(None) if count > 0 => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    };
    let refused = |_| io::Error::from(io::ErrorKind::InvalidData);
    let head = RequestHead::parse(&bytes[..length]).map_err(|error| refused(error.into()))?;
    let mut answer = Vec::new();
    accept(&head, &Policy::default()).map_err(refused)?.write(&mut answer);
    socket.write_all(&answer)?;
    Ok((Connection::new(Server, config.clone(), now()), bytes.split_off(length)))
}
