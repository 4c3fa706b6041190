//! Connections that end without a closing handshake.

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
        assert!(peer.socket.peek(&mut [0]).unwrap() > 0);
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
