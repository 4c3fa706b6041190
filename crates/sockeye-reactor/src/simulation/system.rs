//! The system that a simulated thread runs on: its calls reach the simulated machine, which may
//! play any fault that a kernel may.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sockeye_proto::Time;

use super::link::{Changes, Hold};
use super::machine::{Machine, Waited};
use crate::system::{Happening, Network, System, Wake};

/// The simulated network.
pub(crate) enum Simulated {}

impl Network for Simulated {
    type Stream = Stream;
    type Listener = usize;
}

/// A machine that several hold.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    pub(super) fn new(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's end of a connection; dropping it closes it.
pub(crate) struct Stream {
    machine: Shared,
    pub(super) link: usize,
}

impl Stream {
    pub(super) fn new(machine: Shared, link: usize) -> Self {
        Self { machine, link }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(link) = self.machine.lock().kernel.links.get_mut(self.link) {
            link.close();
        }
    }
}

/// A thread's system.
pub(crate) struct Kernel {
    machine: Shared,
    waker: Arc<Flag>,
}

/// A waker: only a mark, which a wait finds.
#[derive(Default)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// The calls that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Wait,
    Read,
    Write,
    Accept,
    Watch,
    ShutDown,
    Listen,
}

impl Kernel {
    pub(super) fn new(machine: Shared) -> Self {
        Self { machine, waker: Arc::default() }
    }

    fn read(&self, link: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let mut machine = self.machine.lock();
        machine.meddle();
        let most = machine.fault(Call::Read, Some(link))?;
        let Some(state) = machine.kernel.links.get_mut(link) else { return Ok(0) };
        if most < state.arrived.len().min(buffer.len()) {
            // A short read has taken all there was: the rest comes later.
            state.delay(most);
        }
        let read = state.read(buffer, most);
        machine.kernel.progress += u64::from(read.is_ok());
        read
    }
}

impl System for Kernel {
    type Network = Simulated;
    type Socket = Stream;

    const EVENTS: usize = 4;
    const READ: usize = 16 << 10;

    fn now(&self) -> Time {
        let mut machine = self.machine.lock();
        machine.dawdle();
        machine.kernel.now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn wait(
        &mut self,
        patience: Option<Duration>,
        happened: &mut Vec<Happening>,
    ) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.fault(Call::Wait, None)?;
        let until = patience.map(|patience| machine.kernel.now + patience);
        machine.begin_wait(patience);
        loop {
            machine.kernel.tell(Self::EVENTS, happened);
            machine.add_spurious(Self::EVENTS, happened);
            machine.told(happened.len() == Self::EVENTS);
            if !happened.is_empty() || self.waker.take() {
                return Ok(());
            }
            if machine.pass(until) == Waited::Enough {
                return Ok(());
            }
        }
    }

    fn watch(&mut self, stream: Stream, token: u32) -> io::Result<Stream> {
        let failed = self.machine.lock().fault(Call::Watch, Some(stream.link)).err();
        if let Some(error) = failed {
            // Dropping the stream takes the machine, too.
            drop(stream);
            return Err(error);
        }
        let mut machine = self.machine.lock();
        if let Some(link) = machine.kernel.links.get_mut(stream.link) {
            link.token = Some(token);
        }
        machine.kernel.change(stream.link, Changes::ALL);
        drop(machine);
        Ok(stream)
    }

    fn unwatch(&mut self, stream: Stream) -> Stream {
        if let Some(link) = self.machine.lock().kernel.links.get_mut(stream.link) {
            link.token = None;
        }
        stream
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, stream.link, buffer)
    }

    fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
        let mut machine = self.machine.lock();
        machine.meddle();
        let most = machine.fault(Call::Write, Some(stream.link))?;
        let Some(link) = machine.kernel.links.get_mut(stream.link) else { return Ok(0) };
        let written = link.write(bytes, most.max(1));
        machine.kernel.progress += u64::from(written.is_ok());
        written
    }

    fn write_both(
        &mut self,
        stream: &mut Stream,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        self.write(stream, &[first, second].concat())
    }

    fn shut_down(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.fault(Call::ShutDown, Some(stream.link))?;
        match machine.kernel.links.get_mut(stream.link) {
            Some(link) if !link.is_reset => link.fin_sent = true,
            _ => return Err(ErrorKind::NotConnected.into()),
        }
        Ok(())
    }

    fn listen(&mut self, listener: usize, token: u32) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.fault(Call::Listen, None)?;
        if let Some(listening) = machine.kernel.listeners.get_mut(listener) {
            listening.token = Some(token);
        }
        machine.kernel.change_listener(listener);
        Ok(())
    }

    fn unlisten(&mut self, token: u32) {
        let mut machine = self.machine.lock();
        let mut refused = Vec::new();
        for listening in &mut machine.kernel.listeners {
            if listening.token == Some(token) {
                listening.token = None;
                refused.extend(listening.backlog.drain(..));
            }
        }
        refused.into_iter().for_each(|link| machine.refuse(link));
    }

    fn accept(&mut self, token: u32) -> io::Result<(Stream, SocketAddr)> {
        let mut machine = self.machine.lock();
        machine.meddle();
        machine.fault(Call::Accept, None)?;
        let listeners = machine.kernel.listeners.iter_mut();
        let mut listeners = listeners.filter(|listening| listening.token == Some(token));
        let link = listeners.next().and_then(|listening| listening.backlog.pop_front());
        let link = link.ok_or(ErrorKind::WouldBlock)?;
        if let Some(state) = machine.kernel.links.get_mut(link) {
            state.server = Hold::Open;
        }
        machine.kernel.progress += 1;
        drop(machine);
        Ok((Stream::new(self.machine.clone(), link), (Ipv4Addr::LOCALHOST, 9).into()))
    }

    fn read_unwatched(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, stream.link, buffer)
    }
}
