//! Peers that do not read, and what a handler hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use sockeye_proto::Config;
use sockeye_proto::handler::{Out, Sent};

use crate::peer::{BINARY, TEXT, frame};
use crate::probe::{Host, Probe, Seen, ignore};

/// A message that tells its number.
fn numbered(number: u32) -> Vec<u8> {
    let mut payload = vec![9; 4_000];
    payload[..4].copy_from_slice(&number.to_le_bytes());
    payload
}

#[test]
fn a_peer_that_reads_late_gets_everything_once_and_pins_little_meanwhile() {
    let host = Host::one();
    let most = Arc::new(AtomicUsize::new(0));
    let (probe, _) = Probe::new();
    let queued = most.clone();
    let mut peer = host.connect(probe.on_message(move |message, out| {
        assert_ne!(out.send(message), Sent::Dropped);
        queued.fetch_max(out.queued(), Ordering::Relaxed);
    }));
    let count = 30_000;
    let sent: Vec<u8> = (0..count).flat_map(|n| frame(BINARY, &numbered(n))).collect();
    let taken = peer.write_until_full(&sent);
    assert!(taken < sent.len(), "somewhere it must end");
    let mut writing = peer.socket.try_clone().unwrap();
    let writer =
        thread::spawn(move || std::io::Write::write_all(&mut writing, &sent[taken..]).unwrap());
    for number in 0..count {
        assert!(peer.frame().payload == numbered(number), "{number}");
    }
    writer.join().unwrap();
    let most = most.load(Ordering::Relaxed);
    assert!(most <= host.config.limits.queue_high + 4_004, "{most}");
}

#[test]
fn room_that_returns_at_once_is_told_of() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let probe = probe.on_open(|out| {
        assert_eq!(out.send(&[7; 60 << 10][..]), Sent::Ok);
        assert_eq!(out.send(&[7; 60 << 10][..]), Sent::Buffered);
    });
    let mut peer = host.connect(probe.on_drain(|out| {
        assert_eq!(out.queued(), 0);
        assert_eq!(out.send("room"), Sent::Ok);
    }));
    assert_eq!(peer.frame().payload.len(), 60 << 10);
    assert_eq!(peer.frame().payload.len(), 60 << 10);
    assert_eq!(peer.read_text(), "room");
    watch.opened();
    assert!(matches!(watch.next(), Seen::Drain));
    peer.text("more");
    assert_eq!(peer.read_text(), "more");
    assert_eq!(watch.message(), b"more");
    assert!(watch.so_far().is_empty(), "there was room all the time");
}

#[test]
fn a_producer_that_sends_whenever_there_is_room_gets_through() {
    let host = Host::one();
    let next = Arc::new(AtomicU32::new(0));
    let produce = move |out: &mut Out<'_>| {
        while next.load(Ordering::Relaxed) < 10_000 {
            match out.send(&numbered(next.fetch_add(1, Ordering::Relaxed))[..]) {
                Sent::Ok => {}
                Sent::Buffered => return,
                Sent::Dropped => panic!("there was room"),
            }
        }
    };
    let (probe, _) = Probe::new();
    let probe = probe.on_drain(produce.clone());
    let mut peer = host.connect(probe.on_message(move |_, out| produce(out)));
    peer.text("go");
    for number in 0..10_000 {
        assert!(peer.frame().payload == numbered(number), "{number}");
    }
}

#[test]
fn what_is_dropped_is_told_of_and_so_is_the_room_after() {
    let mut config = Config::server();
    config.limits.queue = 200 << 10;
    let host = Host::start(1, config);
    let (probe, watch) = Probe::new();
    let probe = probe.on_message(|_, out| {
        let sent = [(); 4].map(|()| out.send(&[7; 60 << 10][..]));
        assert_eq!(sent, [Sent::Ok, Sent::Buffered, Sent::Buffered, Sent::Dropped]);
    });
    let mut peer = host.connect(probe);
    peer.text("go");
    (0..3).for_each(|_| assert_eq!(peer.frame().payload.len(), 60 << 10));
    watch.opened();
    watch.message();
    assert!(matches!(watch.next(), Seen::Drain));
    assert!(watch.so_far().is_empty(), "once is enough");
}

#[test]
fn a_handler_that_always_wants_to_send_does_not_spin_once_it_closes() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let probe = probe.on_message(|_, out| {
        out.close(1000.into(), "");
        assert_eq!(out.send("too late"), Sent::Dropped);
    });
    let mut peer = host.connect(probe.on_drain(|out| ignore(out.send("too late"))));
    peer.text("go");
    assert_eq!(peer.close(), (1000, String::new()));
    watch.opened();
    watch.message();
    assert!(matches!(watch.next(), Seen::Close(info) if info.clean));
}

#[test]
fn a_write_that_an_order_does_resumes_reading_as_one_of_the_poller_does() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_message(|_, out| ignore(out.send(&[7; 16 << 10][..]))));
    let sender = watch.opened();
    let count = 4_000;
    let sent: Vec<u8> = (0..count).flat_map(|_| frame(TEXT, b"x")).collect();
    peer.write(&sent);
    let (mut other, _) = host.echo();
    for _ in 0..3 {
        other.text("round");
        assert_eq!(other.read_text(), "round");
    }
    // Paused by now. The socket gets room while the thread is elsewhere, and an order fills it
    // before the thread hears of the room from the poller.
    let held_up = host.hold_up();
    while peer.drain_socket() > 0 {}
    sender.send("order");
    drop(held_up);
    let mut orders = 0;
    for _ in 0..=count {
        orders += usize::from(peer.frame().opcode == TEXT);
    }
    assert_eq!(orders, 1);
}

#[test]
fn an_open_that_sends_much_leaves_room_for_what_came_with_the_handshake() {
    let host = Host::one();
    let (probe, _) = Probe::new();
    let probe = probe.on_open(|out| (0..10).for_each(|_| ignore(out.send(&[7; 100 << 10][..]))));
    let received = [frame(BINARY, &[1; 500 << 10]), frame(BINARY, &[2; 500 << 10])].concat();
    let mut peer = host.connect_with(
        &received,
        probe.on_message(|message, out| {
            assert_ne!(out.send(message), Sent::Dropped);
        }),
    );
    for _ in 0..10 {
        assert_eq!(peer.frame().payload.len(), 100 << 10);
    }
    assert!(peer.frame().payload == [1; 500 << 10]);
    assert!(peer.frame().payload == [2; 500 << 10]);
}
