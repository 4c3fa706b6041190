//! All connections of a run, behind one poller.

use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;

use super::expected::Expected;
use super::frame::Burst;
use super::link::{Link, PATIENCE, Wants};
use super::{Failure, Load};

/// The connections of a run.
pub(super) struct Swarm {
    epoll: OwnedFd,
    links: Vec<Link>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    burst: Burst,
    expected: Expected,
    received: u64,
    progress: Instant,
}

/// What a message that has come is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Another,
    Nothing,
}

impl Swarm {
    /// Opens all connections of a run.
    pub(super) fn open(load: &Load) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut links = Vec::with_capacity(load.connections);
        for nth in 0..load.connections {
            let link = Link::open(load, nth)
                .map_err(|error| format!("connection {nth} did not open: {error}"))?;
            epoll::add(&epoll, &link.stream, EventData::new_u64(nth as u64), EventFlags::IN)?;
            links.push(link);
        }
        let payload = load.data.payload(load.size);
        Ok(Self {
            epoll,
            links,
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; BUFFER],
            burst: Burst::new(load.data, &payload, load.in_flight)?,
            expected: Expected::new(payload),
            received: 0,
            progress: Instant::now(),
        })
    }

    /// Returns how many messages have come.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Returns how many payload bytes the server sent for the messages that have come.
    pub(super) fn wire(&self) -> u64 {
        self.expected.wire()
    }

    /// Returns what the server agreed to on the first connection.
    pub(super) fn extensions(&self) -> &str {
        self.links.first().map_or("", |link| &link.extensions)
    }

    /// Sends `count` messages on every connection.
    pub(super) fn send_all(&mut self, count: usize) -> Result<(), Failure> {
        (0..self.links.len()).try_for_each(|nth| self.send(nth, count))
    }

    /// Sends `count` messages on a connection.
    pub(super) fn send(&mut self, nth: usize, count: usize) -> Result<(), Failure> {
        self.links[nth].owe(count);
        self.flush(nth, Wants::Nothing)
    }

    /// Waits for the server and reads what it sent; sends another message for each if `answer` says so.
    pub(super) fn turn(&mut self, answer: Answer) -> Result<(), Failure> {
        let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait))?;
        let before = self.received;
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            let nth = usize::try_from(data.u64())?;
            let writable = flags.contains(EventFlags::OUT);
            if flags != EventFlags::OUT {
                let messages = self.links[nth].receive(&mut self.buffer, &mut self.expected)?;
                self.received += messages;
                if answer == Answer::Another {
                    self.links[nth].owe(usize::try_from(messages)?);
                }
                if messages > 0 && answer == Answer::Another && !writable {
                    self.flush(nth, Wants::Nothing)?;
                }
            }
            if writable {
                self.flush(nth, Wants::Room)?;
            }
        }
        self.events.clear();
        self.notice_silence(before)
    }

    /// Sends what a connection owes, and has the poller tell when there is room for the rest; `waited` is
    /// what it tells already.
    fn flush(&mut self, nth: usize, waited: Wants) -> Result<(), Failure> {
        let link = &mut self.links[nth];
        let wants = link.flush(&self.burst)?;
        if wants != waited {
            let flags = match wants {
                Wants::Nothing => EventFlags::IN,
                Wants::Room => EventFlags::IN | EventFlags::OUT,
            };
            epoll::modify(&self.epoll, &link.stream, EventData::new_u64(nth as u64), flags)?;
        }
        Ok(())
    }

    fn notice_silence(&mut self, before: u64) -> Result<(), Failure> {
        if self.received != before {
            self.progress = Instant::now();
        } else if self.progress.elapsed() > PATIENCE {
            return Err("the server fell silent".into());
        }
        Ok(())
    }
}

/// Takes turns for `time`.
pub(super) fn run_for(
    time: Duration,
    mut turn: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let start = Instant::now();
    while start.elapsed() < time {
        turn()?;
    }
    Ok(())
}

const EVENTS: usize = 1024;
const BUFFER: usize = 512 << 10;
