//! The echo server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::deflate::Codec;
use super::echo::Echo;
use super::head::{Head, Status};
use super::upgrade::{self, Accepted, accept_key};
use super::{Role, host};
use crate::fault::Fault;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Listens on a free port of the loop-back interface.
    pub(crate) async fn start(fault: Option<Fault>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, fault)).abort_handle();
        Ok(Self { address, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, fault: Option<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.spawn(serve(stream, fault));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, fault: Option<Fault>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(4 << 10);
    let read = read_head(&mut stream, &mut bytes, fault);
    let head = match fault {
        Some(Fault::HeadDeadlineMissing) => Ok(read.await),
        _ => timeout(HEAD, read).await,
    };
    let checked = match head {
        Ok(Ok(None)) => return Ok(()),
        Ok(Ok(Some(head))) => {
            let checked = upgrade::check_request(&head, fault);
            checked.map(|accepted| (head.size, accepted))
        }
        Ok(Err(status)) => Err(status),
        Err(_) if bytes.is_empty() => return Ok(()),
        Err(_) => Err(408),
    };
    match checked {
        Ok((size, accepted)) => {
            let (response, echo) = open(&accepted, fault);
            stream.write_all(response.as_bytes()).await?;
            host::run(stream, echo, &bytes[size..], Role::Server, fault).await;
        }
        Err(_) if fault == Some(Fault::RefusesInSilence) => {}
        Err(status) => {
            let times = if fault == Some(Fault::RefusalsAnswerTwice) { 2 } else { 1 };
            stream.write_all(refusal(status).repeat(times).as_bytes()).await?;
            if fault == Some(Fault::RefusalKeepsTcpOpen) {
                host::discard(&mut stream).await;
            }
            host::linger(stream).await;
        }
    }
    Ok(())
}

/// Reads a head into `bytes`, with what comes behind it; `None` if the connection ends.
async fn read_head(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    fault: Option<Fault>,
) -> Result<Option<Head>, Status> {
    loop {
        if let Some(head) = Head::read(bytes, fault)? {
            return Ok(Some(head));
        }
        match stream.read_buf(bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Returns the response that opens a connection, and the server's end of that.
pub(super) fn open(accepted: &Accepted, fault: Option<Fault>) -> (String, Echo) {
    let agreed = accepted.deflate.as_ref().map(|(_, agreed)| agreed);
    let codec = agreed.map(|agreed| Codec::new(agreed.server, agreed.client, fault));
    (response(accepted, fault), Echo::new(Role::Server, codec, fault))
}

fn response(accepted: &Accepted, fault: Option<Fault>) -> String {
    let has = |wanted| fault == Some(wanted);
    let status = if has(Fault::StatusWrong) { "200 OK" } else { "101 Switching Protocols" };
    let mut key = accepted.key.clone();
    if has(Fault::AcceptWrong) {
        key.push('=');
    }
    let mut text = format!("HTTP/1.1 {status}\r\nSec-WebSocket-Accept: {}\r\n", accept_key(&key));
    if !has(Fault::UpgradeLeftOut) {
        text.push_str("Upgrade: websocket\r\n");
    }
    if !has(Fault::ConnectionLeftOut) {
        text.push_str("Connection: Upgrade\r\n");
    }
    if has(Fault::SubprotocolUnoffered) {
        text.push_str("Sec-WebSocket-Protocol: chat\r\n");
    }
    if has(Fault::ExtensionUnoffered) {
        text.push_str("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    } else if let Some((answer, _)) = &accepted.deflate {
        text.push_str(&format!("Sec-WebSocket-Extensions: {answer}\r\n"));
    }
    text.push_str(if has(Fault::BodySent) { "Content-Length: 5\r\n\r\nhello" } else { "\r\n" });
    text
}

pub(super) fn refusal(status: Status) -> String {
    let (reason, fields) = match status {
        405 => ("Method Not Allowed", "Allow: GET\r\n"),
        408 => ("Request Timeout", ""),
        414 => ("URI Too Long", ""),
        426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        431 => ("Request Header Fields Too Large", ""),
        505 => ("HTTP Version Not Supported", ""),
        _ => ("Bad Request", ""),
    };
    let connection = if status == 426 { "close, Upgrade" } else { "close" };
    format!(
        "HTTP/1.1 {status} {reason}\r\nConnection: {connection}\r\n{fields}X-Content-Type-Options: \
         nosniff\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{reason}",
        reason.len()
    )
}

/// How long a client may take for its head.
const HEAD: Duration = Duration::from_secs(5);
