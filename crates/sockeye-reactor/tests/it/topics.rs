//! Topics: who gets what, in which order, and what becomes of those that do not read.

use std::thread;

use sockeye_proto::Config;
use sockeye_proto::handler::Out;

use crate::peer::{Peer, TEXT, frame};
use crate::probe::{Host, Probe, Seen, Watch, ignore};

/// A member of topics: `+t` subscribes, `-t` unsubscribes, `t:text` publishes, anything else comes
/// back.
fn member(host: &Host) -> (Peer, Watch) {
    let (probe, watch) = Probe::new();
    (host.connect(probe.on_message(|message, out| obey(message.as_bytes(), out))), watch)
}

fn obey(message: &[u8], out: &mut Out<'_>) {
    let text = str::from_utf8(message).unwrap();
    match (text.split_at_checked(1), text.split_once(':')) {
        (Some(("+", topic)), _) => out.subscribe(topic),
        (Some(("-", topic)), _) => out.unsubscribe(topic),
        (_, Some((topic, text))) => out.publish(topic, text),
        _ => ignore(out.send(text)),
    }
}

/// Sends orders and waits until they are carried out.
fn tell(peer: &mut Peer, orders: &[&str]) {
    orders.iter().for_each(|order| peer.text(order));
    peer.text("done");
    assert_eq!(peer.read_text(), "done");
}

#[test]
fn each_subscriber_gets_each_message_once_and_in_the_order_of_its_publisher() {
    for threads in [1, 3] {
        let host = Host::start(threads, Config::server());
        let mut members: Vec<_> = (0..12).map(|_| member(&host).0).collect();
        members.iter_mut().for_each(|member| tell(member, &["+t", "+t", "+u", "-u"]));
        let publishers = 4;
        for (publisher, member) in members.iter_mut().enumerate().take(publishers) {
            let sent: Vec<u8> = (0..500)
                .flat_map(|n| frame(TEXT, format!("t:{publisher} {n}").as_bytes()))
                .chain(frame(TEXT, b"u:nobody wants it"))
                .collect();
            member.write(&sent);
        }
        (0..500).for_each(|n| host.publish("t", &format!("{publishers} {n}")));
        for member in &mut members {
            let mut next = vec![0; publishers + 1];
            for _ in 0..500 * next.len() {
                let text = member.read_text();
                let (publisher, number) = text.split_once(' ').unwrap();
                let next = &mut next[publisher.parse::<usize>().unwrap()];
                assert_eq!(number.parse(), Ok(*next));
                *next += 1;
            }
            tell(member, &[]);
        }
    }
}

#[test]
fn one_that_unsubscribed_gets_nothing_more() {
    let host = Host::one();
    let (mut one, mut two) = (member(&host).0, member(&host).0);
    tell(&mut one, &["+t"]);
    tell(&mut two, &["+t"]);
    tell(&mut one, &["-t"]);
    tell(&mut two, &["t:later"].map(|_| "-x"));
    two.text("t:later");
    assert_eq!(two.read_text(), "later");
    tell(&mut one, &[]);
}

#[test]
fn what_is_published_in_one_turn_reaches_one_that_reads_whatever_its_length() {
    let host = Host::one();
    let (mut one, _) = member(&host);
    tell(&mut one, &["+t"]);
    let (probe, _) = Probe::new();
    let text = "x".repeat(1_000);
    let mut publisher = host.connect(
        probe.on_message(move |_, out| (0..1_500).for_each(|_| out.publish("t", text.as_str()))),
    );
    publisher.text("go");
    for _ in 0..1_500 {
        assert_eq!(one.read_text().len(), 1_000);
    }
    tell(&mut one, &[]);
}

#[test]
fn a_place_in_a_topic_leaves_with_its_connection() {
    let host = Host::one();
    let (mut first, first_watch) = member(&host);
    tell(&mut first, &["+t"]);
    let (mut second, second_watch) = member(&host);
    tell(&mut second, &["+t"]);
    // The first leaves the topic and ends in one turn, the second ends in the next.
    let held_up = host.hold_up();
    first.text("-t");
    first.finish();
    second.finish();
    drop(held_up);
    first_watch.closed();
    second_watch.closed();
    host.wait_for_len(0);
    let mut heirs: Vec<_> = (0..3).map(|_| member(&host).0).collect();
    host.publish("t", "for nobody");
    heirs.iter_mut().for_each(|heir| tell(heir, &[]));
    heirs.iter_mut().for_each(|heir| tell(heir, &["+t"]));
    host.publish("t", "once");
    for heir in &mut heirs {
        assert_eq!(heir.read_text(), "once");
        tell(heir, &[]);
    }
}

#[test]
fn one_that_does_not_read_is_closed_with_1008_and_others_are_not_delayed() {
    let host = Host::start(2, Config::server());
    let (mut slow, slow_watch) = member(&host);
    tell(&mut slow, &["+t"]);
    let mut quick: Vec<_> = (0..4).map(|_| member(&host).0).collect();
    quick.iter_mut().for_each(|peer| tell(peer, &["+t"]));
    let message = "x".repeat(100 << 10);
    // More than the queue and the system's buffers hold together.
    let published = 600;
    for _ in 0..published {
        host.publish("t", &message);
        quick.iter_mut().for_each(|peer| assert_eq!(peer.read_text().len(), message.len()));
    }
    let mut received = 0;
    let (code, reason) = loop {
        let frame = slow.frame();
        if frame.opcode != TEXT {
            break (u16::from_be_bytes([frame.payload[0], frame.payload[1]]), frame.payload);
        }
        received += 1;
    };
    assert_eq!((code, &reason[2..]), (1008, &b"slow consumer"[..]));
    assert!(received < published);
    slow.send(8, &1008_u16.to_be_bytes());
    slow.end();
    slow.finish();
    assert_eq!(slow_watch.closed().code, 1008.into());
    quick.iter_mut().for_each(|peer| tell(peer, &[]));
}

#[test]
fn connections_that_end_while_something_is_published_take_nobody_with_them() {
    let host = Host::start(2, Config::server());
    let (mut steady, _) = member(&host);
    tell(&mut steady, &["+t"]);
    let mut leaving: Vec<_> = (0..100).map(|_| member(&host).0).collect();
    leaving.iter_mut().for_each(|peer| tell(peer, &["+t"]));
    let ends = thread::spawn(move || leaving.into_iter().for_each(drop));
    for number in 0..2_000 {
        host.publish("t", &number.to_string());
    }
    for number in 0..2_000 {
        assert_eq!(steady.read_text(), number.to_string());
    }
    ends.join().unwrap();
    host.wait_for_len(1);
}

#[test]
fn what_was_published_goes_out_before_what_was_asked_for_after_it() {
    let host = Host::one();
    let (mut one, watch) = member(&host);
    let sender = watch.opened();
    tell(&mut one, &["+t"]);
    let held_up = host.hold_up();
    host.publish("t", "first");
    sender.send("second");
    host.publish("t", "third");
    let (mut late, _) = member(&host);
    host.close_all(1001, "bye");
    drop(held_up);
    for expected in ["first", "second", "third"] {
        assert_eq!(one.read_text(), expected);
    }
    assert_eq!(one.close(), (1001, "bye".to_owned()));
    assert_eq!(late.close(), (1001, "bye".to_owned()));
}

#[test]
fn what_a_handler_publishes_when_there_is_room_again_goes_out() {
    let host = Host::one();
    let (mut one, _) = member(&host);
    tell(&mut one, &["+t"]);
    let (probe, watch) = Probe::new();
    let probe = probe.on_open(|out| out.subscribe("fill")).on_drain(|out| out.publish("t", "room"));
    let probe = probe.on_message(|_, out| ignore(out.send(&[7; 100 << 10][..])));
    let mut producer = host.connect(probe);
    producer.text("go");
    assert_eq!(one.read_text(), "room");
    assert!(matches!(watch.next(), Seen::Open(_)));
    assert_eq!(producer.frame().payload.len(), 100 << 10);
}

#[test]
fn a_member_of_several_topics_gets_what_is_published_to_them_in_order() {
    let host = Host::one();
    let (mut member, _watch) = member(&host);
    member.text("+a");
    member.text("+b");
    let sent = ["a:1", "b:2", "a:3", "a:4", "b:5"];
    let at_once = sent.iter().flat_map(|text| frame(TEXT, text.as_bytes()));
    member.write(&at_once.collect::<Vec<_>>());
    for text in ["1", "2", "3", "4", "5"] {
        assert_eq!(member.read_text(), text);
    }
}
