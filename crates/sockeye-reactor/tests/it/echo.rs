//! Messages come back, however the stream is cut.

use std::io::Write;
use std::net::Shutdown;
use std::thread;

use sockeye_proto::Config;

use crate::peer::{BINARY, Frame, PING, PONG, TEXT, frame};
use crate::probe::{Host, Probe, ignore};

#[test]
fn many_messages_in_one_write_come_back_in_order() {
    let host = Host::one();
    let (mut peer, _) = host.echo();
    let count = 20_000;
    let sent: Vec<u8> = (0..count).flat_map(|n| frame(TEXT, format!("{n}").as_bytes())).collect();
    let mut writing = peer.socket.try_clone().unwrap();
    let writer = thread::spawn(move || writing.write_all(&sent).unwrap());
    for number in 0..count {
        assert_eq!(peer.read_text(), number.to_string());
    }
    writer.join().unwrap();
}

#[test]
fn a_message_in_writes_of_one_byte_comes_back_whole() {
    let host = Host::one();
    let (mut peer, watch) = host.echo();
    let payload: Vec<u8> = (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for byte in frame(BINARY, &payload) {
        peer.write(&[byte]);
    }
    assert_eq!(peer.frame(), Frame { opcode: BINARY, payload: payload.clone() });
    watch.opened();
    assert_eq!(watch.message(), payload);
    assert!(watch.so_far().is_empty());
}

#[test]
fn sixteen_mebibytes_go_both_ways() {
    let mut config = Config::server();
    config.limits.message = 16 << 20;
    let host = Host::start(1, config);
    let (mut peer, _) = host.echo();
    let payload: Vec<u8> = (0..16_u32 << 20).map(|n| (n / 251).to_le_bytes()[0]).collect();
    let sent = frame(BINARY, &payload);
    let mut writing = peer.socket.try_clone().unwrap();
    let writer = thread::spawn(move || writing.write_all(&sent).unwrap());
    let Frame { opcode, payload: echoed } = peer.frame();
    assert!(opcode == BINARY && echoed == payload);
    writer.join().unwrap();
}

#[test]
fn what_came_with_the_handshake_counts_wherever_it_was_cut() {
    let host = Host::one();
    let sent = [frame(TEXT, b"first"), frame(PING, b"p"), frame(BINARY, &[7; 200])].concat();
    for cut in 0..=sent.len() {
        let (probe, _) = Probe::new();
        let mut peer = host.connect_with(&sent[..cut], probe.on_open(|out| ignore(out.send("hi"))));
        peer.write(&sent[cut..]);
        assert_eq!(peer.read_text(), "hi");
        assert_eq!(peer.read_text(), "first");
        assert_eq!(peer.frame(), Frame { opcode: PONG, payload: b"p".to_vec() });
        assert_eq!(peer.frame(), Frame { opcode: BINARY, payload: vec![7; 200] });
    }
}

#[test]
fn a_peer_that_never_stops_sending_leaves_others_their_turns() {
    let host = Host::one();
    let (mut other, _) = host.echo();
    let mut flooding = host.connect(Probe::new().0.on_message(|_, _| {}));
    let ending = flooding.socket.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let part = frame(BINARY, &[0; 1 << 10]).repeat(1_000);
        while flooding.socket.write_all(&part).is_ok() {}
    });
    for number in 0..1_000 {
        other.text(&number.to_string());
        assert_eq!(other.read_text(), number.to_string());
    }
    assert!(!flood.is_finished());
    ending.shutdown(Shutdown::Both).unwrap();
    flood.join().unwrap();
    host.wait_for_len(1);
}
