//! Closing handshakes and deadlines.

use std::time::Duration;

use sockeye_proto::{CloseInfo, Config, Error, Keepalive, Side, Timeout};

use crate::peer::{BINARY, CLOSE, End, Frame, PING, PONG, TEXT, frame};
use crate::probe::{Host, Probe, Seen, abnormal, ignore};

const SHORT: Duration = Duration::from_millis(100);

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

#[test]
fn a_close_of_the_peer_is_answered_and_the_server_ends_the_stream_first() {
    let host = Host::one();
    let (mut peer, watch) = host.echo();
    peer.text("before");
    peer.send(CLOSE, &close_frame(3001, "enough"));
    assert_eq!(peer.read_text(), "before");
    assert_eq!(peer.read_close(), (3001, "enough".to_owned()));
    assert_eq!(peer.end(), End::Fin);
    drop(peer);
    let (code, reason) = (3001.into(), "enough".to_owned());
    assert_eq!(watch.closed(), CloseInfo { code, reason, clean: true, by: Side::Remote });
}

#[test]
fn a_close_of_the_handler_goes_out_behind_what_it_sent_and_ends_cleanly() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_message(|message, out| {
        let _ = out.send(message);
        out.close(4000.into(), "done");
    }));
    peer.write(&[frame(TEXT, b"one"), frame(TEXT, b"two")].concat());
    assert_eq!(peer.read_text(), "one");
    assert_eq!(peer.close(), (4000, "done".to_owned()));
    watch.opened();
    assert_eq!(watch.message(), b"one");
    let reason = String::new();
    let expected = CloseInfo { code: 4000.into(), reason, clean: true, by: Side::Local };
    assert_eq!(watch.closed(), expected, "and nothing was handed over behind the close");
}

#[test]
fn closes_that_cross_are_each_the_others_answer() {
    let host = Host::one();
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_open(|out| out.close(4000.into(), "ours")));
    peer.send(CLOSE, &close_frame(4001, "theirs"));
    assert_eq!(peer.read_close(), (4000, "ours".to_owned()));
    assert_eq!(peer.end(), End::Fin);
    drop(peer);
    let info = watch.closed();
    assert!(info.clean && info.code == 4001.into() && info.reason == "theirs");
}

#[test]
fn a_close_that_is_never_answered_ends_by_force() {
    let mut config = Config::server();
    config.timeouts.close = SHORT;
    let host = Host::start(1, config);
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_open(|out| out.close(1000.into(), "")));
    watch.opened();
    assert_eq!(watch.failed(), Error::Timeout(Timeout::Close));
    assert_eq!(watch.closed(), abnormal());
    assert_eq!(peer.read_close().0, 1000);
    assert_eq!(peer.end(), End::Fin);
}

#[test]
fn a_peer_that_does_not_end_its_stream_after_the_handshake_is_let_go() {
    let mut config = Config::server();
    config.timeouts.close = SHORT;
    let host = Host::start(1, config);
    let (mut peer, watch) = host.echo();
    peer.send(CLOSE, &close_frame(1000, ""));
    assert_eq!(peer.read_close().0, 1000);
    assert!(watch.closed().clean);
}

// CLS-010
#[test]
fn what_streams_on_behind_a_close_is_thrown_away_until_the_time_is_over() {
    let mut config = Config::server();
    config.timeouts.close = SHORT;
    let host = Host::start(1, config);
    for failed in [frame(TEXT, b"close"), frame(TEXT, b"\xff")] {
        let (probe, watch) = Probe::new();
        let mut peer = host.connect(probe.on_message(|_, out| out.close(1000.into(), "")));
        peer.write(&failed);
        let flood = frame(BINARY, &[0; 60 << 10]).repeat(16);
        while std::io::Write::write_all(&mut peer.socket, &flood).is_ok() {}
        let messages = |seen: &Seen| matches!(seen, Seen::Message(_));
        host.wait_for_len(0);
        assert!(watch.so_far().iter().filter(|seen| messages(seen)).count() <= 1);
        assert!(watch.is_over());
    }
}

// CLS-012
#[test]
fn a_close_behind_a_queue_that_a_stalled_peer_does_not_read_ends_in_time() {
    let mut config = Config::server();
    config.timeouts.close = SHORT;
    config.limits.queue = 64 << 20;
    let host = Host::start(1, config);
    let (probe, watch) = Probe::new();
    let mut peer = host.connect(probe.on_message(|_, out| {
        (0..32).for_each(|_| ignore(out.send(&[7; 1 << 20][..])));
        out.close(1000.into(), "");
    }));
    peer.text("go");
    assert_eq!(watch.closed(), abnormal());
    host.wait_for_len(0);
}

#[test]
fn a_code_that_may_not_be_sent_is_1011_and_a_long_reason_is_cut_between_characters() {
    let host = Host::one();
    for (code, sent) in [(1005, 1011), (1006, 1011), (999, 1011), (5000, 1011), (4999, 4999)] {
        let (probe, _) = Probe::new();
        let reason = "ü".repeat(100);
        let mut peer =
            host.connect(probe.on_message(move |_, out| out.close(code.into(), &reason)));
        peer.text("go");
        assert_eq!(peer.close(), (sent, "ü".repeat(61)));
    }
}

#[test]
fn a_silent_peer_is_pinged_and_given_up_when_it_stays_silent() {
    let mut config = Config::server();
    config.keepalive = Some(Keepalive::new(SHORT, SHORT));
    let host = Host::start(1, config);
    let (mut peer, watch) = host.echo();
    for _ in 0..3 {
        let Frame { opcode, payload } = peer.frame();
        assert_eq!(opcode, PING);
        peer.send(PONG, &payload);
    }
    assert_eq!(peer.frame().opcode, PING);
    watch.opened();
    assert_eq!(watch.failed(), Error::Timeout(Timeout::Keepalive));
    assert_eq!(watch.closed(), abnormal());
    assert_eq!(peer.end(), End::Fin);
}

// LIM-005
#[test]
fn an_idle_connection_is_closed_with_1001() {
    let mut config = Config::server();
    config.keepalive = None;
    config.timeouts.idle = Some(SHORT);
    let host = Host::start(1, config);
    let (mut peer, watch) = host.echo();
    peer.text("one");
    assert_eq!(peer.read_text(), "one");
    assert_eq!(peer.close(), (1001, "idle".to_owned()));
    assert!(watch.closed().clean);
}

#[test]
fn a_peer_that_reads_nothing_for_too_long_is_given_up() {
    let mut config = Config::server();
    config.timeouts.write_stall = SHORT;
    config.timeouts.close = SHORT;
    config.limits.queue = 64 << 20;
    let host = Host::start(1, config);
    let (probe, watch) = Probe::new();
    let _peer = host
        .connect(probe.on_open(|out| (0..32).for_each(|_| ignore(out.send(&[7; 1 << 20][..])))));
    watch.opened();
    assert_eq!(watch.failed(), Error::Timeout(Timeout::WriteStall));
    assert_eq!(watch.closed().code, 1008.into());
    host.wait_for_len(0);
}

#[test]
fn a_message_that_is_never_finished_is_given_up() {
    let mut config = Config::server();
    config.timeouts.message = SHORT;
    let host = Host::start(1, config);
    let (mut peer, watch) = host.echo();
    peer.write(&frame(TEXT, b"unfinished")[..8]);
    watch.opened();
    assert_eq!(watch.failed(), Error::Timeout(Timeout::Message));
    peer.read_close();
    assert_eq!(peer.end(), End::Fin);
}
