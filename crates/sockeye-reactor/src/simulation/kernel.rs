//! The simulated kernel: connections, listeners, and what there is to tell of them.
//!
//! Readiness is told as epoll tells it to one who asked for edges: once for each change, and then all
//! that is so at the time of the telling; or, stricter, as kqueue does, only what has changed.

use std::collections::VecDeque;

use sockeye_proto::Time;

use super::link::{Changes, Hold, Link};
use crate::system::Happening;

/// How readiness is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// All that is so.
    Whole,
    /// What has changed.
    Changes,
}

/// The state of the machine but for the clients' programs.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) now: Time,
    pub(super) manner: Manner,
    pub(super) links: Vec<Link>,
    pub(super) listeners: Vec<Listening>,
    /// What changed, in order; each once.
    ready: VecDeque<Source>,
    /// Counts whatever gets further: bytes, tellings, connections, handlers' calls.
    pub(super) progress: u64,
}

/// A listener.
#[derive(Debug, Default)]
pub(super) struct Listening {
    pub(super) token: Option<u32>,
    is_listed: bool,
    pub(super) backlog: VecDeque<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Link(usize),
    Listener(usize),
}

impl Kernel {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            // Not zero, so that moments before the start exist.
            now: Time::from_micros(1_000_000_000),
            manner,
            links: Vec::new(),
            listeners: Vec::new(),
            ready: VecDeque::new(),
            progress: 0,
        }
    }

    /// Makes a connection.
    pub(super) fn connect(&mut self, room_in: usize, room_out: usize, server: Hold) -> usize {
        self.links.push(Link::new(room_in, room_out, server));
        self.links.len() - 1
    }

    /// Takes note of a change at a connection.
    pub(super) fn change(&mut self, link: usize, changes: Changes) {
        let Some(state) = self.links.get_mut(link) else { return };
        if state.token.is_none() || changes.is_none() {
            return;
        }
        state.changes.add(changes);
        if !state.is_listed {
            state.is_listed = true;
            self.ready.push_back(Source::Link(link));
        }
    }

    /// Takes note of a connection that waits at a listener.
    pub(super) fn change_listener(&mut self, listener: usize) {
        let Some(state) = self.listeners.get_mut(listener) else { return };
        if state.token.is_some() && !state.is_listed {
            state.is_listed = true;
            self.ready.push_back(Source::Listener(listener));
        }
    }

    /// Tells of at most so many changes.
    pub(super) fn tell(&mut self, most: usize, told: &mut Vec<Happening>) {
        while told.len() < most
            && let Some(source) = self.ready.pop_front()
        {
            let happening = match source {
                Source::Link(link) => self.tell_of_link(link),
                Source::Listener(listener) => self.tell_of_listener(listener),
            };
            told.extend(happening);
        }
        self.progress += told.len() as u64;
    }

    fn tell_of_link(&mut self, link: usize) -> Option<Happening> {
        let manner = self.manner;
        let link = self.links.get_mut(link)?;
        link.is_listed = false;
        let mut changes = std::mem::take(&mut link.changes);
        let token = link.token?;
        match manner {
            Manner::Whole => changes = link.level(),
            Manner::Changes => changes.keep(link.level()),
        }
        let Changes { readable, writable, closed } = changes;
        (!changes.is_none()).then_some(Happening { token, readable, writable, closed })
    }

    fn tell_of_listener(&mut self, listener: usize) -> Option<Happening> {
        let listener = self.listeners.get_mut(listener)?;
        listener.is_listed = false;
        let token = listener.token.filter(|_| !listener.backlog.is_empty())?;
        Some(Happening { token, readable: true, writable: false, closed: false })
    }

    /// Lets bytes of a client arrive.
    pub(super) fn deliver(&mut self, link: usize, count: usize) -> bool {
        let now = self.now;
        let Some(state) = self.links.get_mut(link) else { return false };
        let changes = state.deliver(count, now);
        self.change(link, changes);
        self.progress += u64::from(!changes.is_none());
        !changes.is_none()
    }

    /// Lets the client read.
    pub(super) fn take(&mut self, link: usize, count: usize, into: &mut Vec<u8>) {
        let Some(state) = self.links.get_mut(link) else { return };
        if state.take(count, into) {
            self.change(link, Changes::WRITABLE);
        }
    }

    /// Resets a connection from the client's end.
    pub(super) fn reset(&mut self, link: usize) {
        if let Some(state) = self.links.get_mut(link) {
            state.reset();
        }
        self.change(link, Changes::ALL);
    }
}
