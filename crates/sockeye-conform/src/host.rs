//! Carries a player's acts out on a real connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use crate::player::{Act, Ended, Player};
use crate::report::CaseResult;

/// A byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Plays a case to its end over `stream`.
pub(crate) async fn play(mut player: Player, mut stream: Box<dyn Stream>) -> CaseResult {
    let start = Instant::now();
    let mut buffer = vec![0; READ];
    loop {
        match player.next(start.elapsed()) {
            Act::Write(bytes) => {
                if write(&mut player, &mut stream, &bytes, &mut buffer, start).await.is_err() {
                    read_rest(&mut player, &mut stream, &mut buffer, start).await;
                    player.ended(Ended::Reset, start.elapsed());
                }
            }
            Act::Read { until } => read(&mut player, &mut stream, until, &mut buffer, start).await,
            Act::Stall { until } => sleep_until(start + until).await,
            // A peer that is gone is noticed by the next read.
            Act::HalfClose => drop(stream.shutdown().await),
            Act::Drop => return player.result(start.elapsed()),
        }
    }
}

/// Writes all bytes; what comes meanwhile goes to the player, or two ends that both write could
/// wait for each other for ever.
async fn write(
    player: &mut Player,
    stream: &mut Box<dyn Stream>,
    bytes: &[u8],
    buffer: &mut [u8],
    start: Instant,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    tokio::pin!(writing);
    let stalled = sleep_until(Instant::now() + STALLED);
    tokio::pin!(stalled);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            written = &mut writing => return written,
            read = reader.read(buffer), if open => match read {
                Ok(0) | Err(_) => {
                    // What is left cannot be written either, or still gets there: see which.
                    open = false;
                }
                Ok(count) => player.receive(&buffer[..count], start.elapsed()),
            },
            () = &mut stalled => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Reads what a peer had said before it went away: its Close frame, most likely.
async fn read_rest(
    player: &mut Player,
    stream: &mut Box<dyn Stream>,
    buffer: &mut [u8],
    start: Instant,
) {
    let reading = async {
        while let Ok(count @ 1..) = stream.read(buffer).await {
            player.receive(&buffer[..count], start.elapsed());
        }
    };
    // One that does not take what is written may still keep its own direction open.
    let _ = timeout(LINGER, reading).await;
}

async fn read(
    player: &mut Player,
    stream: &mut Box<dyn Stream>,
    until: Duration,
    buffer: &mut [u8],
    start: Instant,
) {
    tokio::select! {
        biased;
        read = stream.read(buffer) => match read {
            Ok(0) => player.ended(Ended::Eof, start.elapsed()),
            Ok(count) => player.receive(&buffer[..count], start.elapsed()),
            Err(_) => player.ended(Ended::Reset, start.elapsed()),
        },
        () = sleep_until(start + until) => {}
    }
}

/// Bytes taken per read.
const READ: usize = 64 << 10;

/// How long a write may make no end before the peer counts as gone.
const STALLED: Duration = Duration::from_secs(30);

/// How long a peer that takes nothing more may go on to speak.
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Suite;
    use crate::wire::http;

    /// Reads a request and answers it.
    async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), nonce: [u8; 16]) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let accept = http::accept_key(&http::key(nonce));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn close_frame_of_a_peer_that_reads_no_more_is_read() {
        let nonce = [7; 16];
        let case = Suite::builtin().unwrap().select("4.1.5").unwrap().remove(0);
        let player = Player::to_server(case, "localhost", "/", nonce);
        // So short a pipe that the tester is in the middle of writing when the peer leaves.
        let (tester, mut peer) = tokio::io::duplex(4);
        let leaves = async move {
            accept(&mut peer, nonce).await;
            peer.read_u8().await.unwrap();
            peer.write_all(&[0x88, 2, 0x03, 0xea]).await.unwrap();
        };
        let (result, ()) = tokio::join!(play(player, Box::new(tester)), leaves);
        assert_eq!(result.close_code, Some(1002), "{}", result.reason);
    }
}
