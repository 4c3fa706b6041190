//! Carries a player's acts out on a real connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

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
