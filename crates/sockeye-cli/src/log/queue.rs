//! The way of the log to standard error: a bounded queue and a thread that empties it.
//!
//! Whoever logs never waits. When nobody reads standard error the queue fills up, and what does not
//! fit is dropped; what cannot be written, for a full disk or a closed pipe, is dropped as well. Both
//! are counted, for the metrics and for `log.dropped`, which tells of them once a line gets through.
//!
//! The crate tracing-appender does the same with two differences that speak against it here: it
//! tells the number of dropped lines to the program and not to the log, and it brings crates for
//! channels, for dates and for errors.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sockeye_server::metrics::Count;

use super::format::Format;

/// Lines on their way.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// All lines that were dropped.
    all_dropped: Arc<Count>,
    /// There is a line.
    filled: Condvar,
    /// All lines have been written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    /// Lines dropped since the last that was taken.
    dropped: u64,
    is_writing: bool,
}

impl Queue {
    /// Starts the thread that writes to `out`, and counts what is dropped; `None` when the system has
    /// no thread to give.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        format: Format,
        dropped: Arc<Count>,
    ) -> Option<Arc<Self>> {
        let queue = Arc::new(Self { all_dropped: dropped, ..Self::default() });
        let writer = queue.clone();
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.write_all_to(out, format)).ok()?;
        Some(queue)
    }

    /// Waits until everything has been written, but no longer than `most`: perhaps nobody reads it.
    pub(super) fn finish(&self, most: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        drop(self.written.wait_timeout_while(self.lock(), most, is_busy));
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() == MOST_LINES {
            state.dropped += 1;
            return self.all_dropped.add(1);
        }
        state.lines.push_back(line.into());
        drop(state);
        self.filled.notify_one();
    }

    /// Writes lines as they come, to the end of the process.
    fn write_all_to(&self, out: impl Write, format: Format) {
        let mut lines = Lines { out, is_torn: false };
        let mut missing = 0;
        loop {
            let (line, dropped) = self.take();
            missing += dropped;
            if lines.write(&line).is_err() {
                missing += 1;
                self.all_dropped.add(1);
            } else if missing > 0 && lines.write(format.dropped(missing).as_bytes()).is_ok() {
                missing = 0;
            }
        }
    }

    /// Waits for a line, and returns it with the number of those that were dropped behind it.
    fn take(&self) -> (Box<[u8]>, u64) {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.is_writing = true;
                return (line, std::mem::take(&mut state.dropped));
            }
            self.written.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines are written.
struct Lines<W> {
    out: W,
    /// The last that was begun did not fit.
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    /// Writes a line, and never to the end of a torn one.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.out.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.is_torn = !rest.is_empty();
        }
        Ok(())
    }
}

/// Takes an event, which comes in one piece.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that may wait, of about 1.5 KiB at most: a second's worth in the worst of times.
const MOST_LINES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// No step takes longer on a machine that is not stuck.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Somebody who reads only when the test does.
    struct Reader(SyncSender<String>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (Arc<Queue>, Receiver<String>) {
        let (sender, receiver) = sync_channel(0);
        (Queue::start(Reader(sender), Format::Text, Arc::default()).unwrap(), receiver)
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_told_when_somebody_does() {
        let (queue, reader) = start();
        queue.push(b"first");
        while !queue.lock().is_writing {
            thread::yield_now();
        }
        // The first is in the writer's hands; so many fit behind it.
        for _ in 0..MOST_LINES + 7 {
            queue.push(b"next");
        }
        assert_eq!(reader.recv().unwrap(), "first");
        assert_eq!(reader.recv().unwrap(), "next");
        assert!(reader.recv().unwrap().ends_with(" WARN log.dropped n=7\n"));
        for _ in 1..MOST_LINES {
            assert_eq!(reader.recv().unwrap(), "next");
        }
        queue.push(b"last");
        assert_eq!(reader.recv().unwrap(), "last");
        assert_eq!(queue.all_dropped.get(), 7);
    }

    /// A disk with so much room.
    #[derive(Clone)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let count = bytes.len().min(disk.1 - disk.0.len());
            disk.0.extend_from_slice(&bytes[..count]);
            if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // RES-006
    #[test]
    fn what_a_full_disk_does_not_take_is_told_when_there_is_room_and_no_line_goes_on_in_another() {
        let disk = Disk(Arc::new(Mutex::new((Vec::new(), 9))));
        let queue = Queue::start(disk.clone(), Format::Text, Arc::default()).unwrap();
        for _ in 0..3 {
            queue.push(b"whole\n");
        }
        queue.finish(PATIENCE);
        assert_eq!(queue.all_dropped.get(), 2);
        disk.0.lock().unwrap().1 = 1 << 10;
        queue.push(b"again\n");
        queue.finish(PATIENCE);
        let written = String::from_utf8(disk.0.lock().unwrap().0.clone()).unwrap();
        assert!(written.starts_with("whole\nwho\nagain\n"), "{written}");
        assert!(written.ends_with(" WARN log.dropped n=2\n"), "{written}");
    }

    #[test]
    fn a_closed_end_harms_nobody_and_is_not_waited_for() {
        let (queue, reader) = start();
        drop(reader);
        for _ in 0..9 {
            queue.push(b"line");
        }
        queue.finish(PATIENCE);
        assert!(queue.lock().lines.is_empty());
        assert_eq!(queue.all_dropped.get(), 9);
    }

    #[test]
    fn the_end_waits_until_the_last_line_is_read() {
        let (queue, reader) = start();
        for _ in 0..9 {
            queue.push(b"line");
        }
        let reading = thread::spawn(move || reader.iter().take(9).count());
        queue.finish(PATIENCE);
        assert_eq!(reading.join().unwrap(), 9);
        assert!(queue.lock().lines.is_empty());
    }
}
