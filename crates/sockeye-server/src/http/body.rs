//! Reading a body that is short and comes at a pace.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::HttpLimits;
use super::problem::Problem;

/// Reads a body whole.
///
/// # Errors
/// It has more bytes than are taken, comes too slowly or breaks off.
pub(crate) async fn read<B>(mut body: B, limits: &HttpLimits) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    // What declares to be too long is not read at all.
    if body.size_hint().lower() > u64::try_from(limits.body).unwrap_or(u64::MAX) {
        return Err(Problem::too_large(limits.body));
    }
    let mut pace = Pace::new(limits);
    let mut read = BytesMut::new();
    loop {
        let Ok(frame) = timeout_at(pace.deadline, body.frame()).await else {
            pace.judge(limits)?;
            continue;
        };
        let Some(frame) = frame else { return Ok(read.freeze()) };
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limits.body.saturating_sub(read.len()) {
            return Err(Problem::too_large(limits.body));
        }
        pace.bytes = pace.bytes.saturating_add(data.len());
        read.extend_from_slice(&data);
    }
}

/// What came since the pace was last judged.
struct Pace {
    deadline: Instant,
    bytes: usize,
}

impl Pace {
    fn new(limits: &HttpLimits) -> Self {
        Self { deadline: Instant::now() + limits.body_pace, bytes: 0 }
    }

    fn judge(&mut self, limits: &HttpLimits) -> Result<(), Problem> {
        let due = limits.body_pace.as_millis().saturating_mul(1024) / 1000;
        if u128::try_from(self.bytes).unwrap_or(u128::MAX) < due {
            return Err(Problem::too_slow());
        }
        *self = Self::new(limits);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use http_body::Frame;
    use tokio::time::{Interval, interval};

    use super::*;

    /// Gives `piece` bytes at every tick, so many times or without end, and does not say how many.
    struct Trickle {
        ticks: Interval,
        piece: usize,
        left: usize,
    }

    impl Trickle {
        fn new(every: Duration, piece: usize, left: usize) -> Self {
            Self { ticks: interval(every), piece, left }
        }
    }

    impl Body for Trickle {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.ticks.poll_tick(context));
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.piece].into()))))
        }
    }

    const MILLISECOND: Duration = Duration::from_millis(1);

    async fn status(body: impl Body<Data = Bytes> + Unpin) -> Result<usize, u16> {
        let read = read(body, &HttpLimits::default()).await;
        read.map(|bytes| bytes.len()).map_err(|problem| problem.status.as_u16())
    }

    #[tokio::test(start_paused = true)]
    async fn body_of_64_kib_is_taken_and_the_byte_above_refused_at_once() {
        let full = http_body_util::Full::new(Bytes::from(vec![0; 65_536]));
        assert_eq!(status(full).await, Ok(65_536));
        let above = http_body_util::Full::new(Bytes::from(vec![0; 65_537]));
        assert_eq!(status(above).await, Err(413));
        assert_eq!(status(Trickle::new(MILLISECOND, 1_024, 64)).await, Ok(65_536));
        let start = Instant::now();
        // The interval's first tick is at once: byte 65,537 comes at 65,536 ticks of 1 byte.
        assert_eq!(status(Trickle::new(MILLISECOND, 16, usize::MAX)).await, Err(413));
        assert_eq!(start.elapsed(), MILLISECOND * 4_096);
    }

    // LIM-021
    #[tokio::test(start_paused = true)]
    async fn body_below_1_kib_a_second_over_10_s_is_refused_and_one_above_is_not() {
        let start = Instant::now();
        let slow = Trickle::new(Duration::from_millis(100), 100, usize::MAX);
        assert_eq!(status(slow).await, Err(408));
        assert_eq!(start.elapsed().as_secs(), 10);
        let steady = Trickle::new(Duration::from_millis(100), 110, 300);
        assert_eq!(status(steady).await, Ok(33_000));
        let start = Instant::now();
        // Fast at first and silent then, which the next ten seconds show.
        struct Stall(Option<Bytes>);
        impl Body for Stall {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _context: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                self.0
                    .take()
                    .map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
            }
        }
        assert_eq!(status(Stall(Some(vec![0; 20_000].into()))).await, Err(408));
        assert_eq!(start.elapsed().as_secs(), 20);
    }
}
