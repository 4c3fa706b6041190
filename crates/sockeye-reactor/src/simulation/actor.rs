//! The handler of a simulated connection: it echoes, does what messages ask for, and takes note.

use sockeye_proto::handler::{Handler, Out, Sender, Sent};
use sockeye_proto::{CloseInfo, Error, MessageRef};

use super::peer::{DISCARD, FLOOD, LEAVE, PUBLICATION, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, numbered};
use super::system::Shared;

/// A handler; told apart by its peer's number.
pub(crate) struct Actor {
    machine: Shared,
    peer: usize,
    /// How often it still sends all that there is room for when it is told of room.
    floods: u32,
}

impl Actor {
    pub(super) fn new(machine: Shared, peer: usize) -> Self {
        Self { machine, peer, floods: 0 }
    }

    /// Sends an answer, and takes note of it if it is taken.
    fn send(&self, message: &[u8], out: &mut Out<'_>) -> Sent {
        let sent = out.send(message);
        let mut machine = self.machine.lock();
        if sent != Sent::Dropped {
            machine.owes(self.peer, message);
        }
        if sent != Sent::Ok {
            machine.wants_drain(self.peer);
        }
        sent
    }

    /// Sends until there is no room.
    fn flood(&self, out: &mut Out<'_>) {
        while self.send(&[FLOOD; 3_000], out) == Sent::Ok {}
    }

    fn publish(&self, length: usize, out: &mut Out<'_>) {
        let number = self.machine.lock().next_publication();
        out.publish(TOPIC, &numbered(PUBLICATION, number, length)[..]);
    }
}

impl Handler for Actor {
    fn open(&mut self, out: &mut Out<'_>) {
        let sender: Sender = out.sender();
        self.machine.lock().opened(self.peer, sender);
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        let bytes = message.as_bytes();
        self.machine.lock().heard(self.peer, bytes);
        if bytes.first() == Some(&DISCARD) {
            return;
        }
        if self.send(bytes, out) == Sent::Dropped {
            self.machine.lock().fail(self.peer, "an echo was dropped although there was room");
        }
        match bytes.first() {
            Some(&SUBSCRIBE) => {
                out.subscribe(TOPIC);
                self.machine.lock().subscribed(self.peer, true);
            }
            Some(&UNSUBSCRIBE) => {
                out.unsubscribe(TOPIC);
                self.machine.lock().subscribed(self.peer, false);
            }
            Some(&PUBLISH) => {
                self.publish(bytes.len(), out);
            }
            Some(&FLOOD) => {
                self.floods = FLOODS;
                self.flood(out);
            }
            Some(&LEAVE) => {
                self.machine.lock().excuse(self.peer, "its handler closes");
                out.close(4_000.into(), "leave");
            }
            _ => {}
        }
    }

    fn drain(&mut self, out: &mut Out<'_>) {
        self.machine.lock().drained(self.peer, out.queued());
        if self.floods > 0 {
            self.floods -= 1;
            self.flood(out);
        } else {
            self.publish(20, out);
        }
    }

    fn fail(&mut self, error: &Error) {
        self.machine.lock().failed(self.peer, error);
    }

    fn panicked(&mut self) {
        self.machine.lock().fail(self.peer, "its handler panicked");
    }

    fn close(&mut self, info: &CloseInfo) {
        self.machine.lock().closed(self.peer, info);
    }
}

/// How often a handler that floods goes on when there is room again.
const FLOODS: u32 = 3;

/// The one topic.
pub(super) const TOPIC: &str = "topic";
