//! permessage-deflate on the reactor; the client's half is the protocol core.

use std::io::{Read, Write};
use std::sync::Arc;

use sockeye_proto::deflate::{DeflateConfig, Params};
use sockeye_proto::{Client, Config, Connection, Event};
use sockeye_reactor::{Adopted, now};

use crate::peer::Peer;
use crate::probe::{Host, Probe};

fn config() -> Config {
    let mut config = Config::server();
    config.deflate = Some(DeflateConfig::default());
    config
}

/// Sends texts in one write of one cut, and returns what comes back and how many bytes that took.
fn echoed(host: &Host, params: Params, texts: &[String], cut: usize) -> (Vec<String>, usize) {
    let (Peer { mut socket, .. }, server) = host.pair();
    let adopted = Adopted::new(server, host.core().with_deflate(params), Probe::new().0);
    let mut core = Connection::new(Client::new(|| [1, 2, 3, 4]), Arc::new(config()), now());
    core = core.with_deflate(params);
    let mut sent = Vec::new();
    texts.iter().for_each(|text| core.send(text.as_str(), &mut sent).unwrap());
    let cut = cut.min(sent.len());
    host.reactor.adopt(adopted.received(&sent[..cut]));
    socket.write_all(&sent[cut..]).unwrap();
    let (mut received, mut bytes) = (Vec::new(), 0);
    while received.len() < texts.len() {
        let mut part = [0; 4096];
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0);
        bytes += count;
        let mut out = Vec::new();
        let mut events = core.receive(&mut part[..count], now(), &mut out);
        while let Some(event) = events.next() {
            if let Event::Message(message) = event.unwrap() {
                received.push(String::from_utf8(message.as_ref().as_bytes().to_vec()).unwrap());
            }
        }
    }
    (received, bytes)
}

#[test]
fn compressed_messages_come_back_with_and_without_contexts_kept() {
    let host = Host::start(1, config());
    let line = "so much the same, so much the same, and only the number differs: ";
    let texts: Vec<String> = (0..50).map(|n| format!("{line}{n} {}", line.repeat(n))).collect();
    let plain: usize = texts.iter().map(String::len).sum();
    let forget = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..Params::default()
    };
    let (kept, kept_bytes) = echoed(&host, Params::default(), &texts, 0);
    let (forgotten, forgotten_bytes) = echoed(&host, forget, &texts, 0);
    assert_eq!(kept, texts);
    assert_eq!(forgotten, texts);
    assert!(kept_bytes < forgotten_bytes && forgotten_bytes < plain / 2);
}

#[test]
fn compressed_messages_may_come_with_the_handshake_cut_anywhere() {
    let host = Host::start(1, config());
    let texts = ["the first the first the first ".repeat(9), "the second ".repeat(30)];
    for cut in 0..120 {
        assert_eq!(echoed(&host, Params::default(), &texts, cut).0, texts);
    }
}
