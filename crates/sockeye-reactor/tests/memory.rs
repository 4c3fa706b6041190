//! What a connection costs on the reactor, counted by an allocator of this test's own: at rest, and
//! per message.
//!
//! One test after the other, in a process of its own: the count is the process's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its figures"
)]
#![expect(unsafe_code, reason = "a global allocator cannot be implemented without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use sockeye_proto::{Config, Connection, MessageRef, Server};
use sockeye_reactor::{Adopted, Out, Reactor, now};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// Bytes asked for since the start.
static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        CALLS.fetch_add(1, Relaxed);
        ASKED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Connections that a figure is the average of: whole blocks of the reactor's.
const MANY: usize = 1_024;

/// The bound on an idle connection, in bytes, its place and its timer included.
const IDLE: usize = 256;

mod tests {
    use super::*;

    // RES-012
    #[test]
    fn an_idle_connection_holds_little_an_echo_allocates_nothing_and_a_broadcast_one_message() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reactor = Reactor::start(1).unwrap();
        let config = Arc::new(Config::server());
        let mut warm: Vec<_> = (0..64).map(|_| connect(&listener, &reactor, &config)).collect();
        warm.iter_mut().for_each(exchange);
        let mut peers = Vec::with_capacity(MANY);
        let before = HELD.load(Relaxed);
        for _ in 0..MANY {
            peers.push(connect(&listener, &reactor, &config));
        }
        peers.iter_mut().for_each(exchange);
        // Once more round, so that the last of the others' turns are over.
        peers.iter_mut().for_each(exchange);
        let cost = (HELD.load(Relaxed) - before) / MANY;
        println!("{cost} B for an idle connection");
        assert!(cost < IDLE, "{cost}");
        echoes_allocate_nothing(&mut peers);
        drop(peers);
        a_broadcast_is_held_once_for_all(&listener, &reactor, &config);
    }
}

/// Echoes, of messages in one frame each that a read brings whole.
fn echoes_allocate_nothing(peers: &mut [TcpStream]) {
    let before = CALLS.load(Relaxed);
    for _ in 0..20 {
        peers.iter_mut().take(100).for_each(exchange);
    }
    let calls = CALLS.load(Relaxed) - before;
    println!("{calls} allocations for 2,000 exchanges");
    assert_eq!(calls, 0);
}

/// Publishes to few and to many: nothing is allocated for any one of them.
fn a_broadcast_is_held_once_for_all(
    listener: &TcpListener,
    reactor: &Reactor<fn(MessageRef<'_>, &mut Out<'_>)>,
    config: &Arc<Config>,
) {
    let mut costs = Vec::new();
    for count in [8, 800] {
        let mut members: Vec<_> =
            (0..count).map(|_| connect_to(member, listener, reactor, config)).collect();
        members.iter_mut().for_each(exchange);
        // The first makes room where the thread keeps what is on its way.
        for warm in [true, false] {
            let (calls, asked) = (CALLS.load(Relaxed), ASKED.load(Relaxed));
            reactor.publish("topic", &[7; PAYLOAD][..]);
            let mut frame = [0; 4 + PAYLOAD];
            for peer in &mut members {
                peer.read_exact(&mut frame).unwrap();
                assert!(frame.starts_with(b"\x82\x7e\x75\x30") && frame.ends_with(&[7; PAYLOAD]));
            }
            if !warm {
                costs.push((CALLS.load(Relaxed) - calls, ASKED.load(Relaxed) - asked));
            }
        }
    }
    println!("{costs:?} allocations and bytes for a broadcast to 8 and to 800");
    assert_eq!(costs[0].0, costs[1].0);
    // The message, and the list of whom it goes to.
    assert!(costs[1].1 < PAYLOAD + 8 * 800, "{costs:?}");
}

/// The length of what is broadcast.
const PAYLOAD: usize = 30_000;

/// An echo that joins a topic.
fn member(message: MessageRef<'_>, out: &mut Out<'_>) {
    out.subscribe("topic");
    let _ = out.send(message);
}

fn connect(
    listener: &TcpListener,
    reactor: &Reactor<fn(MessageRef<'_>, &mut Out<'_>)>,
    config: &Arc<Config>,
) -> TcpStream {
    connect_to(echo, listener, reactor, config)
}

fn connect_to(
    handler: fn(MessageRef<'_>, &mut Out<'_>),
    listener: &TcpListener,
    reactor: &Reactor<fn(MessageRef<'_>, &mut Out<'_>)>,
    config: &Arc<Config>,
) -> TcpStream {
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (server, _) = listener.accept().unwrap();
    let core = Connection::new(Server, config.clone(), now());
    reactor.adopt(Adopted::new(server, core, handler));
    peer
}

fn echo(message: MessageRef<'_>, out: &mut Out<'_>) {
    let _ = out.send(message);
}

/// Has a text and 1,000 bytes echoed, in one write; masked with zeros, so that they come back as
/// they went.
fn exchange(peer: &mut TcpStream) {
    const SHORT: &[u8] = b"\x81\x82\0\0\0\0hi\x82\xfe\x03\xe8\0\0\0\0";
    const ECHOED: &[u8] = b"\x81\x02hi\x82\x7e\x03\xe8";
    let mut sent = [7; SHORT.len() + 1_000];
    sent[..SHORT.len()].copy_from_slice(SHORT);
    peer.write_all(&sent).unwrap();
    let mut received = [0; ECHOED.len() + 1_000];
    peer.read_exact(&mut received).unwrap();
    assert!(received.starts_with(ECHOED) && received.ends_with(&[7; 1_000]));
}
