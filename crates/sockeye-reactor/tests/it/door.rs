//! Listening, and the first bytes of those who come.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sockeye_proto::{Config, Connection, Server};
use sockeye_reactor::{Adopted, Door, Reactor, now};

use crate::peer::{Peer, TEXT, frame};
use crate::probe::{PATIENCE, Probe, eventually};

/// A door that reports; who says hello is adopted, with what stands behind it.
struct Porch {
    reactor: Weak<Reactor<Probe>>,
    heard: Sender<Vec<u8>>,
    failures: Arc<AtomicUsize>,
}

/// A reactor that listens.
pub(crate) struct House {
    pub(crate) reactor: Arc<Reactor<Probe>>,
    pub(crate) address: SocketAddr,
    pub(crate) failures: Arc<AtomicUsize>,
    heard: Receiver<Vec<u8>>,
}

impl Door for Porch {
    type Caller = SocketAddr;

    fn arrived(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, SocketAddr)> {
        assert_eq!(stream.peer_addr().map_err(|_| ()).unwrap_or(peer), peer);
        Some((stream, peer))
    }

    fn first_bytes(&self, stream: TcpStream, _: SocketAddr, bytes: &[u8]) {
        let _ = self.heard.send(bytes.to_vec());
        assert!(bytes != PANIC, "a door may panic");
        let Some(rest) = bytes.strip_prefix(HELLO) else { return };
        let core = Connection::new(Server, Arc::new(Config::server()), now());
        if let Some(reactor) = self.reactor.upgrade() {
            reactor.adopt(Adopted::new(stream, core, Probe::new().0).received(rest));
        }
    }

    fn accept_failed(&self, _: &std::io::Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl House {
    pub(crate) fn start(patience: Duration) -> Self {
        let reactor = Arc::new(Reactor::start(2).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heard) = mpsc::channel();
        let failures = Arc::new(AtomicUsize::new(0));
        let porch =
            Porch { reactor: Arc::downgrade(&reactor), heard: sender, failures: failures.clone() };
        reactor.listen(listener, porch, patience);
        Self { reactor, address, failures, heard }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Waits for what the door is told next.
    fn heard(&self) -> Vec<u8> {
        self.heard.recv_timeout(PATIENCE).expect("the door is told of someone")
    }
}

/// Sees to it that a connection is closed.
fn is_closed(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn first_bytes_are_handed_on_whether_they_come_with_the_connection_or_later() {
    let house = House::start(PATIENCE);
    let mut late = house.connect();
    let mut early = house.connect();
    early.write_all(&[HELLO, &frame(TEXT, b"early")].concat()).unwrap();
    assert!(house.heard().starts_with(HELLO));
    assert_eq!(Peer::new(early).read_text(), "early");
    late.write_all(HELLO).unwrap();
    assert_eq!(house.heard(), HELLO);
    let mut late = Peer::new(late);
    late.text("late");
    assert_eq!(late.read_text(), "late");
}

#[test]
fn of_first_bytes_in_pieces_the_door_gets_the_first_and_the_rest_stays_in_the_socket() {
    let house = House::start(PATIENCE);
    let stream = house.connect();
    let mut peer = Peer::new(stream);
    peer.write(HELLO);
    assert_eq!(house.heard(), HELLO);
    for byte in frame(TEXT, b"byte by byte") {
        peer.write(&[byte]);
    }
    assert_eq!(peer.read_text(), "byte by byte");
}

#[test]
fn one_that_says_nothing_is_brought_back_with_nothing_when_patience_ends() {
    let house = House::start(Duration::from_millis(50));
    let silent = house.connect();
    assert_eq!(house.heard(), b"");
    is_closed(&silent);
}

#[test]
fn one_that_leaves_before_it_speaks_is_brought_back_with_nothing() {
    let house = House::start(PATIENCE);
    drop(house.connect());
    assert_eq!(house.heard(), b"");
    let ended = house.connect();
    ended.shutdown(Shutdown::Write).unwrap();
    assert_eq!(house.heard(), b"");
    is_closed(&ended);
    let reset = house.connect();
    socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    assert_eq!(house.heard(), b"");
}

#[test]
fn listeners_of_different_patience_do_not_wait_for_each_other() {
    let house = House::start(PATIENCE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, brief) = mpsc::channel();
    let failures = house.failures.clone();
    let porch = Porch { reactor: Arc::downgrade(&house.reactor), heard, failures };
    house.reactor.listen(listener, porch, Duration::from_millis(50));
    let mut patient = house.connect();
    // The patient one is seated first.
    let mut other = house.connect();
    other.write_all(HELLO).unwrap();
    house.heard();
    let hasty = TcpStream::connect(address).unwrap();
    assert_eq!(brief.recv_timeout(PATIENCE / 4).expect("its patience has ended"), b"");
    is_closed(&hasty);
    patient.write_all(HELLO).unwrap();
    assert_eq!(house.heard(), HELLO);
}

#[test]
fn a_storm_of_five_hundred_is_taken_in_whole() {
    let house = House::start(PATIENCE);
    let mut peers: Vec<_> = (0..500)
        .map(|number: u32| {
            let mut stream = house.connect();
            let text = frame(TEXT, number.to_string().as_bytes());
            stream.write_all(&[HELLO, &text].concat()).unwrap();
            Peer::new(stream)
        })
        .collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.read_text(), number.to_string());
    }
    assert_eq!(house.reactor.len(), 500);
    drop(peers);
    eventually(|| house.reactor.is_empty());
}

#[test]
fn after_unlisten_nobody_comes_in_and_who_is_in_is_heard() {
    let house = House::start(PATIENCE);
    let mut before = house.connect();
    // Both are in when this one is heard: it stands behind the other.
    let mut second = house.connect();
    second.write_all(HELLO).unwrap();
    assert_eq!(house.heard(), HELLO);
    house.reactor.unlisten();
    eventually(|| TcpStream::connect(house.address).is_err());
    before.write_all(HELLO).unwrap();
    // Those that came before it took effect have left without a word.
    while house.heard() != HELLO {}
    let mut before = Peer::new(before);
    before.text("still here");
    assert_eq!(before.read_text(), "still here");
}

pub(crate) const HELLO: &[u8] = b"hello\n";

#[test]
fn a_door_that_panics_loses_its_caller_and_nobody_else() {
    let house = House::start(PATIENCE);
    let mut guest = house.connect();
    guest.write_all(HELLO).unwrap();
    assert_eq!(house.heard(), HELLO);
    let mut peer = Peer::new(guest);
    for _ in 0..3 {
        let mut caller = house.connect();
        caller.write_all(PANIC).unwrap();
        assert_eq!(house.heard(), PANIC);
        is_closed(&caller);
        peer.text("all is well");
        assert_eq!(peer.read_text(), "all is well");
    }
}

/// What the door panics at.
const PANIC: &[u8] = b"panic";
