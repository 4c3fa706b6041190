//! Connections that end without a closing handshake.

use std::sync::Arc;

use sockeye_proto::PreparedMessage;
use sockeye_reactor::Adopted;

use crate::peer::{BINARY, TEXT, frame};
use crate::probe::{Host, Probe, Seen, abnormal, ignore};

fn is_close(seen: &Seen) -> bool {
    matches!(seen, Seen::Close(info) if *info == abnormal())
}

// CLS-017
#[test]
fn a_reset_in_mid_frame_is_1006_after_the_messages_that_came_whole() {
    let host = Host::one();
    for cut in [1, 5, 100] {
        let (probe, watch) = Probe::new();
        let mut peer = host.connect(probe.on_open(|out| ignore(out.send("never read"))));
        let held_up = host.hold_up();
        peer.write(&[frame(TEXT, b"whole"), frame(BINARY, &[0; 200])[..cut].to_vec()].concat());
        peer.reset();
        drop(held_up);
        watch.opened();
        assert_eq!(watch.message(), b"whole");
        assert_eq!(watch.closed(), abnormal());
        host.wait_for_len(0);
    }
}

// CLS-018
#[test]
fn an_end_of_stream_in_mid_frame_is_1006() {
    let host = Host::one();
    for cut in [0, 1, 5, 100] {
        let (mut peer, watch) = host.echo();
        peer.write(&[frame(TEXT, b"whole"), frame(BINARY, &[0; 200])[..cut].to_vec()].concat());
        peer.finish();
        watch.opened();
        assert_eq!(watch.message(), b"whole");
        assert_eq!(watch.closed(), abnormal());
        assert_eq!(peer.read_text(), "whole");
        peer.end();
    }
}

#[test]
fn a_peer_that_half_closes_while_reading_is_paused_is_heard_to_its_end() {
    let mut config = sockeye_proto::Config::server();
    config.limits.queue = 64 << 20;
    let host = Host::start(1, config);
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_message(|message, out| match message.as_bytes() {
        b"much" => (0..32).for_each(|_| ignore(out.send(&[7; 1 << 20][..]))),
        _ => ignore(out.send(message)),
    }));
    peer.text("much");
    watch.opened();
    assert_eq!(watch.message(), b"much");
    peer.text("a");
    peer.text("b");
    peer.finish();
    // The thread has seen the end of the stream before it answers this.
    let (mut other, _) = host.echo();
    other.text("round");
    assert_eq!(other.read_text(), "round");
    assert!(watch.so_far().is_empty(), "reading is paused");
    for _ in 0..32 {
        assert_eq!(peer.frame().payload.len(), 1 << 20);
    }
    assert_eq!(peer.read_text(), "a");
    assert_eq!(peer.read_text(), "b");
    peer.end();
    let told = std::iter::from_fn(|| Some(watch.next()).filter(|seen| !is_close(seen)));
    let told: Vec<_> = told.filter(|seen| !matches!(seen, Seen::Drain)).collect();
    let [Seen::Message(a), Seen::Message(b)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&a[..], &b[..]), (&b"a"[..], &b"b"[..]));
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
