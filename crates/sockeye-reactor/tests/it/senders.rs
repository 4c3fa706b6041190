//! Handles to connections in other threads.

use std::thread;

use sockeye_proto::Config;

use crate::peer::CLOSE;
use crate::probe::{Host, Probe, Seen};

#[test]
fn what_one_thread_sends_arrives_in_order_and_nothing_of_several_is_lost() {
    let host = Host::one();
    let (mut peer, watch) = host.echo();
    let sender = watch.opened();
    let threads: Vec<_> = (0..4_usize)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..2_000 {
                    sender.send(format!("{thread} {number}").as_str());
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..4 * 2_000 {
        let text = peer.read_text();
        let (thread, number) = text.split_once(' ').unwrap();
        let next = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(number.parse(), Ok(*next));
        *next += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_handler_that_is_woken_speaks_behind_what_was_sent_before() {
    let host = Host::one();
    let (mut peer, watch) = host.echo();
    let sender = watch.opened();
    let waking = sender.clone();
    thread::spawn(move || {
        sender.send("before");
        waking.wake();
    });
    assert_eq!(peer.read_text(), "before");
    assert_eq!(peer.read_text(), "awake");
    assert!(matches!(watch.next(), Seen::Wake));
}

#[test]
fn a_handle_to_one_that_has_left_reaches_nobody_in_its_place() {
    let host = Host::one();
    let (peer, watch) = host.echo();
    let sender = watch.opened();
    drop(peer);
    watch.closed();
    host.wait_for_len(0);
    sender.send("to nobody");
    let (mut heir, watch) = host.echo();
    let own = watch.opened();
    sender.send("to nobody");
    sender.close(1000.into(), "to nobody");
    own.send("to the heir");
    assert_eq!(heir.read_text(), "to the heir");
    heir.text("still here");
    assert_eq!(heir.read_text(), "still here");
}

#[test]
fn a_handle_that_was_never_a_connection_of_this_thread_reaches_nobody() {
    let host = Host::start(2, Config::server());
    let (peers, watches): (Vec<_>, Vec<_>) = (0..8).map(|_| host.echo()).unzip();
    let senders: Vec<_> = watches.iter().map(crate::probe::Watch::opened).collect();
    for (number, sender) in senders.iter().enumerate() {
        sender.send(number.to_string().as_str());
    }
    for (number, mut peer) in peers.into_iter().enumerate() {
        assert_eq!(peer.read_text(), number.to_string());
    }
}

#[test]
fn a_handle_closes_from_another_thread_behind_what_it_sent() {
    let host = Host::one();
    let (mut peer, watch) = host.echo();
    let sender = watch.opened();
    sender.send("last");
    sender.close(4001.into(), "bye");
    sender.send("too late");
    assert_eq!(peer.read_text(), "last");
    assert_eq!(peer.close(), (4001, "bye".to_owned()));
    assert!(watch.closed().clean);
}

#[test]
fn a_handle_is_good_in_the_handler_of_another_connection() {
    let host = Host::one();
    let (mut first, watch) = host.echo();
    let sender = watch.opened();
    let (probe, _) = Probe::new();
    let mut second = host.connect(probe.on_message(move |message, _| sender.send(message)));
    second.text("across");
    assert_eq!(first.read_text(), "across");
    second.send(CLOSE, b"");
    assert_eq!(second.frame().opcode, CLOSE);
}
