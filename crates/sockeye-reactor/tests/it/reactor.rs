//! What comes to a reactor, and a reactor that ends.

use std::sync::Arc;

use sockeye_proto::PreparedMessage;
use sockeye_reactor::{Adopted, Backlog};

use crate::peer::{BINARY, TEXT, frame};
use crate::probe::{Host, Probe, Seen, abnormal, eventually, ignore};

#[test]
fn a_socket_that_blocks_does_not_hold_its_thread_up() {
    let host = Host::one();
    let (mut other, _) = host.echo();
    let (probe, watch) = Probe::new();
    let (mut peer, server) = host.pair();
    server.set_nonblocking(false).unwrap();
    host.reactor.adopt(Adopted::new(server, host.core(), probe));
    watch.opened();
    peer.text("one");
    assert_eq!(peer.read_text(), "one");
    // A read that fills the buffer to its end is followed by another.
    let large = vec![1; 256 << 10];
    let whole = frame(BINARY, &large);
    peer.write(&whole[..256 << 10]);
    other.text("meanwhile");
    assert_eq!(other.read_text(), "meanwhile");
}

#[test]
fn a_socket_that_is_dead_before_it_comes_ends_at_once() {
    let host = Host::one();
    let (peer, server) = host.pair();
    std::io::Write::write_all(&mut &server, b"unread").unwrap();
    peer.reset();
    let (probe, watch) = Probe::new();
    host.reactor.adopt(Adopted::new(server, host.core(), probe).received(frame(TEXT, b"last")));
    watch.opened();
    assert_eq!(watch.message(), b"last");
    assert_eq!(watch.closed(), abnormal());

    let (peer, server) = host.pair();
    drop(peer);
    let (probe, watch) = Probe::new();
    host.reactor.adopt(Adopted::new(server, host.core(), probe));
    assert_eq!(watch.closed(), abnormal());
    host.wait_for_len(0);
}

#[test]
fn a_reactor_that_is_dropped_ends_its_connections_and_tells_each_handler() {
    let host = Host::start(2, sockeye_proto::Config::server());
    let (mut peers, watches): (Vec<_>, Vec<_>) = (0..20).map(|_| host.echo()).unzip();
    let senders: Vec<_> = watches.iter().map(crate::probe::Watch::opened).collect();
    drop(host);
    for (peer, watch) in peers.iter_mut().zip(&watches) {
        peer.end();
        assert_eq!(watch.closed(), abnormal());
    }
    // Nobody would ever take what is sent now, so it must not be kept.
    let message = Arc::new(PreparedMessage::new("too late"));
    for sender in &senders {
        sender.send_prepared(message.clone());
    }
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn a_connection_that_comes_as_the_reactor_stops_is_ended_too() {
    for _ in 0..50 {
        let host = Host::one();
        let (mut peer, _) = host.echo();
        drop(host);
        peer.end();
    }
}

#[test]
fn handlers_that_panic_while_the_reactor_is_dropped_take_nothing_with_them() {
    let host = Host::one();
    let (peers, watches): (Vec<_>, Vec<_>) = (0..5)
        .map(|_| {
            let (probe, watch) = Probe::new();
            (host.connect(probe.on_close(|| panic!("in close"))), watch)
        })
        .unzip();
    watches.iter().for_each(|watch| drop(watch.opened()));
    drop(host);
    for (mut peer, watch) in peers.into_iter().zip(watches) {
        peer.end();
        assert_eq!(watch.closed(), abnormal());
    }
}

#[test]
fn a_handler_may_drop_the_last_handle_to_its_reactor() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let last = std::sync::Mutex::new(Some(host.reactor.clone()));
    let mut peer = host.connect(probe.on_message(move |_, _| drop(last.lock().unwrap().take())));
    watch.opened();
    drop(host);
    peer.text("go");
    assert_eq!(watch.message(), b"go");
    assert_eq!(watch.closed(), abnormal());
    peer.end();
}

#[test]
fn a_thread_that_is_too_far_behind_closes_those_who_missed_messages_and_no_others() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let mut member = host.connect(probe.on_open(|out| out.subscribe("news")));
    watch.opened();
    let (mut addressed, own) = host.echo();
    let sender = own.opened();
    let (mut bystander, _watch) = host.echo();
    let held_up = host.hold_up();
    let tell = |text: &str| {
        host.reactor.publish("news", text);
        sender.send(text);
    };
    tell("first");
    for _ in 0..64 {
        host.reactor.publish("nobody hears this", &[0; 1 << 20][..]);
    }
    tell("missed");
    drop(held_up);
    for peer in [&mut member, &mut addressed] {
        assert_eq!(peer.read_text(), "first");
        assert_eq!(peer.read_close(), (1008, "slow consumer".to_owned()));
    }
    bystander.text("all is well");
    assert_eq!(bystander.read_text(), "all is well");
}

#[test]
fn a_member_gets_what_is_published_at_positions_behind_those_it_has() {
    let host = Host::one();
    let (probe, _watch) = Probe::new();
    let reactor = Arc::downgrade(&host.reactor);
    let probe = probe.on_message(move |_, out| {
        let reactor = reactor.upgrade().unwrap();
        for position in 2..=5 {
            // On its way while the connection joins.
            reactor.publish_at("news", position, Backlog::Queue, position.to_string().as_str());
        }
        reactor.publish("news", "without a position");
        out.subscribe_after("news", 3);
    });
    let mut member = host.connect(probe);
    member.text("join");
    for text in ["4", "5", "without a position"] {
        assert_eq!(member.read_text(), text);
    }
    host.reactor.publish_at("news", 6, Backlog::Queue, "6");
    assert_eq!(member.read_text(), "6");
}

#[test]
fn a_member_that_does_not_read_leaves_a_topic_that_skips_and_comes_back_when_all_has_left() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let probe = probe
        .on_open(|out| ["news", "mail"].iter().for_each(|topic| out.subscribe_after(topic, 0)));
    let mut late = host.connect(probe.on_drain(|out| out.subscribe_after("news", 9_000)));
    let (probe, _watch) = Probe::new();
    let mut quick = host.connect(probe.on_open(|out| out.subscribe("news")));
    watch.opened();
    quick.text("it has joined");
    assert_eq!(quick.read_text(), "it has joined");

    let payload = |position: u64| {
        let mut payload = vec![0; 4_000];
        payload[..8].copy_from_slice(&position.to_le_bytes());
        payload
    };
    let publish = |topic, position, backlog| {
        host.reactor.publish_at(topic, position, backlog, &payload(position)[..]);
    };
    let mut position = 0;
    let first = loop {
        position += 1;
        publish("news", position, Backlog::Skip);
        assert_eq!(quick.frame().payload, payload(position), "nobody waits for the late one");
        if let Some(Seen::Missed(topic, first)) = watch.so_far().pop() {
            assert_eq!(topic, "news");
            break first;
        }
    };
    publish("news", 8_999, Backlog::Skip);
    // A topic that queues goes on.
    publish("mail", 9_000, Backlog::Queue);
    for position in 1..first {
        assert_eq!(late.frame().payload, payload(position));
    }
    assert_eq!(late.frame().payload, payload(9_000));
    eventually(|| watch.so_far().iter().any(|seen| matches!(seen, Seen::Drain)));
    publish("news", 9_001, Backlog::Skip);
    assert_eq!(late.frame().payload, payload(9_001));
}

#[test]
fn a_member_that_catches_up_speaks_behind_what_was_on_its_way() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let reactor = Arc::downgrade(&host.reactor);
    let mut position = 0;
    let probe = probe.on_open(|out| out.subscribe("news")).on_message(move |_, out| {
        let reactor = reactor.upgrade().unwrap();
        for _ in 0..3 {
            position += 1;
            let text = position.to_string();
            reactor.publish_at("news", position, Backlog::Queue, text.as_str());
            reactor.publish_at("mail", position, Backlog::Queue, text.as_str());
        }
        out.catch_up(position - 1);
        ignore(out.send("behind all but one"));
        out.catch_up(position - 1);
    });
    let mut member = host.connect(probe);
    watch.opened();
    member.text("go");
    for text in ["1", "2", "behind all but one", "3"] {
        assert_eq!(member.read_text(), text);
    }
    member.text("again");
    for text in ["4", "5", "behind all but one", "6"] {
        assert_eq!(member.read_text(), text);
    }
}
