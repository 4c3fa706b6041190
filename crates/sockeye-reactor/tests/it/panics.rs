//! Handlers that panic end their own connection and nothing else.

use crate::peer::{CLOSE, End, TEXT, frame};
use crate::probe::{Host, Probe, Seen, Watch, ignore};

/// Sees to it that a connection of another handler lives on, on the same thread.
fn others_live_on(host: &Host) {
    let (mut peer, _) = host.echo();
    peer.text("alive");
    assert_eq!(peer.read_text(), "alive");
}

/// Sees to it that the handler was told of its panic and of the end that it made, once.
fn told_of_the_panic(watch: &Watch) {
    watch.opened();
    let before_close = |seen: &Seen| !matches!(seen, Seen::Close(_));
    let mut told: Vec<_> = std::iter::from_fn(|| Some(watch.next()).filter(before_close)).collect();
    assert!(matches!(told.pop(), Some(Seen::Panicked)), "{told:?}");
    assert!(!told.iter().any(|seen| matches!(seen, Seen::Fail(_) | Seen::Panicked)), "{told:?}");
}

// RES-019, SAF-008
#[test]
fn a_panic_in_open_closes_with_1011() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let probe = probe.on_open(|_| panic!("in open"));
    let received = [frame(TEXT, b"one"), frame(TEXT, b"two")[..4].to_vec()].concat();
    let mut peer = host.connect_with(&received, probe);
    peer.write(&frame(TEXT, b"two")[4..]);
    assert_eq!(peer.close(), (1011, String::new()));
    drop(peer);
    told_of_the_panic(&watch);
    others_live_on(&host);
}

// RES-019, SAF-008
#[test]
fn a_panic_in_message_closes_with_1011_wherever_the_next_one_was_cut() {
    let host = Host::one();
    let next = frame(TEXT, &[b'x'; 200]);
    for cut in [0, 1, 6, 100, next.len()] {
        let (probe, watch) = Probe::new();
        let mut peer = host.connect(probe.on_message(|_, out| {
            let _ = out.send("before");
            panic!("in message");
        }));
        peer.write(&[&frame(TEXT, b"one"), &next[..cut]].concat());
        assert_eq!(peer.read_text(), "before");
        assert_eq!(peer.read_close(), (1011, String::new()));
        peer.write(&next[cut..]);
        peer.send(CLOSE, &1011_u16.to_be_bytes());
        assert_eq!(peer.end(), End::Fin);
        drop(peer);
        watch.opened();
        assert_eq!(watch.message(), b"one");
        assert!(matches!(watch.next(), Seen::Panicked));
        let Seen::Close(info) = watch.next() else { panic!("no message and no failure follows") };
        assert!(info.clean && info.code == 1011.into(), "{info:?}");
    }
    others_live_on(&host);
}

#[test]
fn a_close_of_the_peer_behind_a_panic_in_the_same_read_is_the_answer() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_message(|_, _| panic!("in message")));
    peer.write(&[frame(TEXT, b"one"), frame(CLOSE, &1000_u16.to_be_bytes())].concat());
    assert_eq!(peer.read_close(), (1011, String::new()));
    assert_eq!(peer.end(), End::Fin);
    drop(peer);
    assert!(watch.closed().clean);
}

#[test]
fn a_panic_in_drain_closes_with_1011() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let probe = probe.on_message(|_, out| ignore(out.send(&[7; 100 << 10][..])));
    let mut peer = host.connect(probe.on_drain(|_| panic!("in drain")));
    peer.text("go");
    assert_eq!(peer.frame().payload.len(), 100 << 10);
    assert_eq!(peer.close(), (1011, String::new()));
    drop(peer);
    told_of_the_panic(&watch);
    others_live_on(&host);
}

// RES-019, SAF-008
#[test]
fn a_panic_in_close_is_the_last_of_its_connection() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let peer = host.connect(probe.on_close(|| panic!("in close")));
    watch.opened();
    drop(peer);
    assert!(matches!(watch.next(), Seen::Close(_)));
    host.wait_for_len(0);
    others_live_on(&host);
}

#[test]
fn nobody_else_sees_what_a_handler_sent_that_panics_over_its_panic() {
    let host = Host::one();
    let (mut other, other_watch) = host.echo();
    other_watch.opened();
    let (probe, watch) = Probe::new();
    let probe = probe.on_panicked(|| panic!("once more"));
    let mut peer = host.connect(probe.on_message(|_, out| {
        let _ = out.send("a secret");
        panic!("in message");
    }));
    peer.text("go");
    watch.opened();
    watch.message();
    other.text("mine");
    assert_eq!(other.read_text(), "mine");
    assert_eq!(peer.read_text(), "a secret");
    assert_eq!(peer.close(), (1011, String::new()));
    drop(peer);
    watch.closed();
    host.wait_for_len(1);
}

/// Something of a handler's that panics when it goes.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("when dropped");
    }
}

// RES-019, SAF-008
#[test]
fn a_handler_that_panics_to_the_last_of_its_drop_leaves_its_topic_and_thread_to_others() {
    let host = Host::one();
    let (member, _watch) = Probe::new();
    let mut member = host.connect(member.on_open(|out| out.subscribe("topic")));
    for places in 0..4 {
        let (probe, watch) = Probe::new();
        let bomb = Bomb;
        let probe = probe.on_open(|out| out.subscribe("topic")).on_message(move |message, out| {
            out.publish("topic", message);
            assert!(places < 1, "in message");
        });
        let mut peer = host.connect(
            probe.on_panicked(move || assert!(places < 2, "over its panic")).on_close(move || {
                let _held = &bomb;
                assert!(places < 3, "in close");
            }),
        );
        peer.text("go");
        assert_eq!(member.read_text(), "go");
        match places {
            0 => assert_eq!(peer.read_text(), "go"),
            _ => assert_eq!(peer.close(), (1011, String::new())),
        }
        drop(peer);
        watch.closed();
        host.wait_for_len(1);
        host.publish("topic", "on it goes");
        assert_eq!(member.read_text(), "on it goes");
        others_live_on(&host);
    }
}
