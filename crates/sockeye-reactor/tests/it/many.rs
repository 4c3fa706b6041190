//! Many connections at once.

use sockeye_proto::Config;
use sockeye_reactor::Adopted;

use crate::probe::{Host, Probe, eventually};

#[test]
fn two_thousand_connections_adopted_at_once_are_all_closed_and_leave_nothing() {
    let host = Host::start(2, Config::server());
    let mut peers = Vec::new();
    let pairs: Vec<_> = (0..2_000).map(|_| host.pair()).collect();
    for (peer, server) in pairs {
        host.reactor.adopt(Adopted::new(server, host.core(), Probe::new().0));
        peers.push(peer);
    }
    assert_eq!(host.reactor.len(), 2_000);
    peers.iter_mut().for_each(|peer| peer.text("here"));
    peers.iter_mut().for_each(|peer| assert_eq!(peer.read_text(), "here"));
    // The table is not read in one piece, so others that come and go may hide some for once.
    eventually(|| host.server_sockets() == 2_000);
    host.reactor.close_all(1001.into(), "done");
    peers.iter_mut().for_each(|peer| assert_eq!(peer.close(), (1001, "done".to_owned())));
    // Ours alone are left.
    drop(peers);
    host.wait_for_len(0);
    assert!(host.reactor.is_empty());
    eventually(|| host.server_sockets() == 0);
    let (mut late, watch) = host.echo();
    assert_eq!(late.close(), (1001, "done".to_owned()));
    assert!(watch.closed().clean);
}
