//! Peers that read too slowly, or not at all.

use std::sync::Arc;

use sockeye_proto::{Config, PreparedMessage};

use super::super::actor::TOPIC;
use super::super::peer::{BULLETIN, DISCARD, FLOOD, SUBSCRIBE, numbered};
use super::{Stage, millis, seconds};
use crate::local::Publication;
use crate::mailbox::Order;

/// Publishes some bytes to all who have subscribed.
fn publish(stage: &mut Stage, number: u32, length: usize) {
    let message = Arc::new(PreparedMessage::new(&numbered(BULLETIN, number, length)[..]));
    stage.with(|machine| machine.outside.order(Order::Publish(Publication::new(TOPIC, message))));
    stage.run(millis(0));
}

// LIM-006
#[test]
fn ten_megabytes_for_one_that_does_not_read_end_it_at_the_hard_limit_and_others_get_them() {
    let config = Config::server();
    let (high, hard) = (config.limits.queue_high, config.limits.queue);
    let mut stage = Stage::new(config);
    let (stalled, waking, reading) = (stage.connect(), stage.connect(), stage.connect());
    for number in [stalled, waking, reading] {
        stage.say(number, SUBSCRIBE, 0);
    }
    stage.run(millis(0));
    for number in [stalled, waking] {
        stage.peer(number, |peer| peer.is_deaf = true);
        // What its handler sends is told to wait from the high-water mark on.
        stage.say(number, FLOOD, 0);
        stage.run(millis(0));
        let taken: usize = stage.peer(number, |peer| peer.owed.iter().map(Vec::len).sum());
        assert!((high..high + 65_536 + 2 * 4_000).contains(&taken), "{taken}");
    }
    let mut most = 0;
    for number in 0..1_000 {
        publish(&mut stage, number, 10_000);
        most = most.max(stage.0.worker.census().unsent);
    }
    assert!((hard - 20_000..=hard + 200).contains(&most), "{most}");
    stage.peer(reading, |peer| assert_eq!(peer.publications[1], Some(1_000)));
    stage.peer(waking, |peer| peer.is_deaf = false);
    stage.run(millis(10));
    stage.peer(waking, |peer| assert_eq!(peer.close_read, Some(1008)));
    let info = stage.closed(waking).expect("it was closed");
    assert!(info.code == 1008.into() && info.reason == "slow consumer", "{info:?}");
    stage.run(seconds(6));
    assert!(stage.closed(stalled).is_some());
    assert_eq!(stage.0.worker.census().unsent, 0, "its queue is freed");
    stage.is_served(reading);
    stage.finish();
}

// LIM-007
#[test]
fn one_that_reads_a_byte_a_second_is_closed_after_thirty() {
    let mut stage = Stage::new(Config::server());
    let number = stage.connect_with_room(65_536, 1_000);
    stage.run(millis(0));
    stage.peer(number, |peer| peer.is_deaf = true);
    stage.say(number, FLOOD, 0);
    stage.run(millis(0));
    for second in 0..40 {
        stage.with(|machine| machine.client_reads(number, 1));
        let is_late = second >= 31;
        let failed = stage.peer(number, |peer| peer.told.failed.clone());
        assert_eq!(failed.as_deref() == Some("peer does not read"), is_late, "{second} s");
        stage.run(seconds(1));
    }
    assert_eq!(stage.closed(number).expect("it was closed").code, 1008.into());
    assert_eq!(stage.0.worker.census().unsent, 0);
    stage.finish();
}

#[test]
fn more_than_a_turn_reads_is_read_in_the_next() {
    let mut stage = Stage::new(Config::server());
    let (number, other) = (stage.connect_with_room(1 << 20, 4_096), stage.connect());
    (0..40).for_each(|_| stage.say(number, DISCARD, 17_000));
    stage.is_served(other);
    stage.peer(number, |peer| assert_eq!(peer.told.messages, 40));
    stage.finish();
}
