//! What the script lets clients, the network and other threads do.

use std::time::Duration;

use sockeye_proto::{PreparedMessage, Time};
use std::sync::Arc;

use super::actor::TOPIC;
use super::frames::{self, CLOSE, FIN, PING};
use super::link::Hold;
use super::machine::Machine;
use super::peer::{
    BULLETIN, DISCARD, ECHO, FLOOD, LEAVE, ORDER, PUBLISH, Peer, SUBSCRIBE, UNSUBSCRIBE, numbered,
};
use crate::local::Publication;
use crate::mailbox::Order;

impl Machine {
    /// Does what the script says next. Where time passes, not beyond `until`.
    pub(super) fn act(&mut self, until: Option<Time>) {
        match self.script.below(17) {
            0 => self.sleep(until),
            1 => self.connect_somehow(),
            2..=4 => self.say_something(),
            5 | 6 => {
                let (link, count) = (self.any(), self.amount());
                self.kernel.deliver(link, count);
            }
            7 | 8 => {
                let (peer, count) = (self.any(), self.amount());
                if self.peers.get(peer).is_some_and(|peer| !peer.is_deaf) {
                    self.client_reads(peer, count);
                }
            }
            9 | 10 => drop(self.settle()),
            11 => self.order_something(),
            12 => {
                let link = self.any();
                self.refill(link);
            }
            13 => self.jump(),
            14 => (0..self.script.below(30)).for_each(|_| self.say_something()),
            15 => self.leave_somehow(),
            _ => self.behave_otherwise(),
        }
    }

    fn any(&mut self) -> usize {
        self.script.below(self.peers.len())
    }

    fn amount(&mut self) -> usize {
        self.script.pick(&[1, 2, 7, 100, 1_000, 20_000, 200_000]).unwrap_or(1)
    }

    fn sleep(&mut self, until: Option<Time>) {
        let millis = self.script.pick(&[1, 40, 900, 4_000, 26_000]).unwrap_or(1);
        let now = self.kernel.now;
        let most = until.map_or(Duration::MAX, |until| until.since(now));
        self.let_pass(Duration::from_millis(millis).min(most));
    }

    /// Lets the clock jump: the machine slept, or was stopped.
    fn jump(&mut self) {
        if self.script.below(4) == 3 {
            let seconds = self.script.pick(&[60, 864_000]).unwrap_or(60);
            self.note(|| format!("the clock jumps {seconds} s"));
            self.let_pass(Duration::from_secs(seconds));
        }
    }

    fn connect_somehow(&mut self) {
        if self.peers.len() >= PEERS {
            return;
        }
        let rooms = [300, 4_096, 65_536, 400_000];
        let room_in = self.script.pick(&rooms).unwrap_or(4_096);
        let room_out = self.script.pick(&rooms).unwrap_or(4_096);
        let is_at_the_door = self.script.below(2) == 1;
        let number = self.connect(room_in, room_out, is_at_the_door);
        if is_at_the_door {
            if self.script.below(4) != 3 {
                self.send(number, &[]);
            }
        } else {
            let mut received = Vec::new();
            if self.script.below(3) == 2 {
                received = self.compose(number, ECHO, 50, 1);
            }
            let now = self.kernel.now;
            self.outside.adopt(number, received, now);
        }
    }

    /// Makes a client that connects; one at the door is not accepted yet.
    pub(super) fn connect(&mut self, room_in: usize, room_out: usize, at_door: bool) -> usize {
        let hold = if at_door { Hold::Backlog } else { Hold::Open };
        let number = self.kernel.connect(room_in, room_out, hold);
        self.note(|| format!("{number} connects, {room_in} in, {room_out} out, {hold:?}"));
        self.peers.push(Peer { has_to_greet: at_door, ..Peer::default() });
        self.senders.push(None);
        if at_door {
            let listener = self.kernel.listeners.first_mut();
            if let Some(listener) = listener.filter(|listener| listener.token.is_some()) {
                listener.backlog.push_back(number);
                self.kernel.change_listener(0);
            } else {
                self.refuse(number);
            }
        }
        number
    }

    pub(super) fn compose(
        &mut self,
        number: usize,
        command: u8,
        length: usize,
        fragments: usize,
    ) -> Vec<u8> {
        let peer =
            self.peers.get_mut(number).filter(|peer| !peer.has_sent_fin && !peer.has_sent_close);
        peer.map(|peer| peer.compose(command, length, fragments)).unwrap_or_default()
    }

    fn say_something(&mut self) {
        let number = self.any();
        let length = self.script.pick(&[0, 10, 115, 130, 2_000, 17_000, 40_000]).unwrap_or(0);
        let commands = [
            ECHO,
            ECHO,
            ECHO,
            ECHO,
            SUBSCRIBE,
            PUBLISH,
            PUBLISH,
            UNSUBSCRIBE,
            FLOOD,
            DISCARD,
            DISCARD,
        ];
        let command = match self.script.below(40) {
            39 => LEAVE,
            other => commands.get(other % commands.len()).copied().unwrap_or(ECHO),
        };
        let fragments = self.script.pick(&[1, 1, 2, 5]).unwrap_or(1);
        let wire = self.compose(number, command, length, fragments);
        self.note(|| {
            let command = char::from(command);
            format!("{number} sends {command}, {length} bytes in {fragments} fragments")
        });
        self.send(number, &wire);
    }

    /// Lets a client leave, as clients do.
    fn leave_somehow(&mut self) {
        let number = self.any();
        let how = self.script.below(8);
        self.note(|| format!("{number} leaves: {how}"));
        match how {
            0 | 1 => self.close(number),
            2 | 3 => self.finish(number),
            4 => {
                // In the middle of a frame.
                let wire = frames::message(&[7; 100], 1);
                let cut = self.script.below(wire.len());
                self.send(number, wire.get(..cut).unwrap_or_default());
                self.excuse(number, "it ends in mid-frame");
                self.finish(number);
            }
            5 => {
                self.excuse(number, "it breaks the protocol");
                self.send(number, &[0xff, 0xff, 0xff]);
            }
            6 => {
                self.excuse(number, RESETS);
                self.kernel.reset(number);
            }
            _ => self.let_pass(Duration::ZERO),
        }
    }

    fn behave_otherwise(&mut self) {
        let number = self.any();
        match self.script.below(4) {
            0 | 1 => {
                let ping = frames::frame(FIN | PING, &[9; 20]);
                self.send(number, &ping);
            }
            2 => {
                if let Some(peer) = self.peers.get_mut(number) {
                    peer.is_deaf = !peer.is_deaf;
                }
            }
            _ => drop(self.kernel.deliver(number, usize::MAX)),
        }
    }

    /// Lets another thread give an order.
    fn order_something(&mut self) {
        let number = self.any();
        match self.script.below(8) {
            0..=3 => {
                let length = self.amount().min(3_000);
                let Some(Some(sender)) = self.senders.get(number).cloned() else { return };
                let Some(peer) = self.peers.get_mut(number) else { return };
                let message = numbered(ORDER, peer.orders, length);
                peer.orders += 1;
                self.outside.on_other_thread(|_| sender.send(&message[..]));
            }
            4..=6 => {
                let [_, of_others] = &mut self.publications;
                let message = numbered(BULLETIN, *of_others, 30);
                *of_others += 1;
                let message = Arc::new(PreparedMessage::new(&message[..]));
                self.outside.order(Order::Publish(Publication::new(TOPIC, message)));
            }
            _ => {
                let Some(Some(sender)) = self.senders.get(number).cloned() else { return };
                self.excuse(number, "another thread closes it");
                self.outside.on_other_thread(|_| sender.close(4_001.into(), "closed"));
            }
        }
    }

    /// Sends a Close frame.
    pub(super) fn close(&mut self, number: usize) {
        let now = self.kernel.now;
        let Some(peer) = self.peers.get_mut(number) else { return };
        if !peer.has_sent_close && !peer.has_sent_fin {
            peer.has_sent_close = true;
            peer.closing_since = Some(now);
            let close = frames::frame(FIN | CLOSE, &1_000_u16.to_be_bytes());
            self.send(number, &close);
        }
    }

    /// Lets all clients that are still there leave.
    pub(super) fn part(&mut self) {
        for number in 0..self.peers.len() {
            let Some(peer) = self.peers.get(number) else { continue };
            match (peer.is_deaf, number % 3) {
                (true, _) | (_, 2) => {
                    self.excuse(number, RESETS);
                    self.kernel.reset(number);
                }
                (_, 1) => self.finish(number),
                _ => self.close(number),
            }
        }
    }
}

/// The excuse of a client that resets its connection.
pub(super) const RESETS: &str = "it resets";

/// Clients, at most.
const PEERS: usize = 10;
