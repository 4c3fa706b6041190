//! Carries an open connection: reads, writes, and ends TCP as the role demands.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Role;
use super::echo::{Echo, Phase};
use crate::fault::Fault;

/// Echoes until the connection ends; `first` came behind the head.
pub(crate) async fn run(
    mut stream: TcpStream,
    mut echo: Echo,
    first: &[u8],
    role: Role,
    fault: Option<Fault>,
) {
    let mut buffer = vec![0; 64 << 10];
    echo.receive_first(first);
    loop {
        if echo.phase() == Phase::Crashed {
            return;
        }
        let out = echo.take_output();
        let written = write(&mut stream, &out, fault).await;
        match echo.phase() {
            _ if written.is_err() => return,
            // Says nothing more, until the other end gives up.
            Phase::Hung => return discard(&mut stream).await,
            Phase::Ended | Phase::Crashed => break,
            Phase::Open => {}
        }
        match stream.read(&mut buffer).await {
            Ok(0) if fault == Some(Fault::TcpKeptAfterEof) => return sleep(KEPT).await,
            Ok(0) | Err(_) => return,
            Ok(count) => echo.receive(&buffer[..count]),
        }
    }
    end(stream, role, fault).await;
}

async fn write(stream: &mut TcpStream, out: &[u8], fault: Option<Fault>) -> std::io::Result<()> {
    if fault == Some(Fault::WritesCutShort) {
        // As one who takes a short write for a whole one.
        let half = out.len().min(32 << 10);
        return stream.write_all(&out[..half]).await;
    }
    stream.write_all(out).await
}

/// Ends TCP after the last Close frame (RFC 6455 section 7.1.1).
async fn end(mut stream: TcpStream, role: Role, fault: Option<Fault>) {
    if fault == Some(Fault::TcpKeptOpen) {
        return discard(&mut stream).await;
    }
    if role == Role::Client {
        let _ = timeout(SERVER_ENDS, discard(&mut stream)).await;
        return;
    }
    linger(stream).await;
}

/// Ends TCP so that what was written last still arrives.
pub(crate) async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let _ = timeout(LINGER, discard(&mut stream)).await;
}

/// Reads on to the end of the connection.
pub(crate) async fn discard(stream: &mut TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// How long the client waits for the server to end TCP.
const SERVER_ENDS: Duration = Duration::from_secs(2);

/// How long the server reads on after its last word, so that no reset overtakes that.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection is kept for no reason: longer than any tester waits.
const KEPT: Duration = Duration::from_secs(20);
