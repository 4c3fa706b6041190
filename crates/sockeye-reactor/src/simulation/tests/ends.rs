//! Ends in the middle of things.

use sockeye_proto::{CloseInfo, Config, Side};

use super::super::frames;
use super::super::kernel::Manner;
use super::super::peer::{ECHO, SUBSCRIBE};
use super::{Stage, millis};

/// Sees to it that a connection has ended without a closing handshake.
fn ended_abnormally(stage: &mut Stage, number: usize) {
    let (code, reason) = (1006.into(), String::new());
    let info = CloseInfo { code, reason, clean: false, by: Side::Transport };
    assert_eq!(stage.closed(number), Some(info));
}

// RES-021
#[test]
fn a_reset_or_an_end_anywhere_in_a_frame_is_1006_after_what_came_whole_and_nothing_spins() {
    let wire = frames::message(&[7; 200], 3);
    for manner in [Manner::Whole, Manner::Changes] {
        for cut in 0..wire.len() {
            let mut stage = Stage::of(manner, Config::server());
            let (reset, ended, other) = (stage.connect(), stage.connect(), stage.connect());
            stage.run(millis(0));
            for number in [reset, ended] {
                stage.say(number, ECHO, 10);
                stage.with(|machine| {
                    machine.send(number, &wire[..cut]);
                    machine.excuse(number, "it ends in mid-frame");
                });
            }
            stage.with(|machine| {
                machine.finish(ended);
                machine.kernel.deliver(reset, usize::MAX);
                machine.kernel.reset(reset);
            });
            let before = stage.rounds();
            stage.run(millis(1_000));
            for number in [reset, ended] {
                stage.peer(number, |peer| assert_eq!(peer.told.messages, 1));
                ended_abnormally(&mut stage, number);
            }
            stage.peer(ended, |peer| assert!(peer.owed.is_empty(), "it still read"));
            assert!(stage.rounds() - before < 10);
            stage.is_served(other);
            stage.finish();
        }
    }
}

// RES-021
#[test]
fn a_peer_that_ends_while_much_waits_for_it_reads_it_all() {
    for manner in [Manner::Whole, Manner::Changes] {
        let mut stage = Stage::of(manner, Config::server());
        let number = stage.connect_with_room(1 << 20, 1_000);
        (0..20).for_each(|_| stage.say(number, ECHO, 17_000));
        stage.with(|machine| machine.finish(number));
        stage.run(millis(10));
        stage.peer(number, |peer| {
            assert_eq!(peer.told.messages, 20);
            assert!(peer.owed.is_empty());
        });
        ended_abnormally(&mut stage, number);
        stage.finish();
    }
}

// RES-021
#[test]
fn what_arrived_before_a_reset_is_heard_although_a_write_meets_the_reset_first() {
    for manner in [Manner::Whole, Manner::Changes] {
        let mut stage = Stage::of(manner, Config::server());
        let number = stage.connect_with_room(65_536, 1_000);
        stage.run(millis(0));
        stage.peer(number, |peer| peer.is_deaf = true);
        // Some of the answer waits for room.
        stage.say(number, ECHO, 2_000);
        stage.run(millis(0));
        (0..3).for_each(|_| stage.say(number, ECHO, 10));
        stage.with(|machine| {
            machine.kernel.deliver(number, usize::MAX);
            machine.kernel.reset(number);
            machine.excuse(number, "it resets");
        });
        stage.run(millis(0));
        stage.peer(number, |peer| assert_eq!(peer.told.messages, 4));
        ended_abnormally(&mut stage, number);
        stage.finish();
    }
}

#[test]
fn of_one_that_has_left_nothing_is_left_at_once() {
    let mut stage = Stage::new(Config::server());
    let number = stage.connect();
    stage.say(number, SUBSCRIBE, 0);
    stage.is_served(number);
    assert!(!stage.0.worker.census().is_empty());
    stage.with(|machine| machine.close(number));
    stage.run(millis(0));
    assert!(stage.closed(number).is_some_and(|info| info.clean));
    let census = stage.0.worker.census();
    assert!(census.is_empty(), "{census:?}");
}
