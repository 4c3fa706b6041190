//! A handler that holds its thread up.

use std::sync::mpsc;
use std::time::Duration;

use sockeye_proto::Config;
use sockeye_reactor::{Blocked, Reactor};

use crate::host::Host;
use crate::probe::{PATIENCE, Probe, ignore};

// RES-018
#[test]
fn a_handler_that_blocks_its_thread_is_reported_while_it_does() {
    let (told, reports) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut reactor = Reactor::start(1).unwrap();
    let limit = Duration::from_millis(20);
    reactor
        .report_blocking(limit, move |blocked| {
            let _ = told.send(blocked);
        })
        .unwrap();
    let host = Host::over(reactor, Config::server());
    let (probe, _watch) = Probe::new();
    let probe = probe.on_message(move |message, out| {
        released.recv_timeout(PATIENCE).unwrap();
        ignore(out.send(message));
    });
    let mut peer = host.connect(probe);
    peer.text("after");
    let Blocked { thread, since, .. } = reports.recv_timeout(PATIENCE).unwrap();
    assert_eq!(thread, 0);
    assert!(since >= limit);
    release.send(()).unwrap();
    assert_eq!(peer.read_text(), "after");
}
