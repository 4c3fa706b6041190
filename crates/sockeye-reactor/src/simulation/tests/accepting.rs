//! Accepting when the system has something no more of.

use sockeye_proto::Config;

use super::super::faults::{ACCEPTING, ECONNABORTED, EMFILE, EPROTO, Planned};
use super::super::system::Call;
use super::{Stage, millis, seconds};

fn fail_accepting(stage: &mut Stage, times: u32, error: i32) {
    let planned = Planned { call: Call::Accept, after: 0, times, error };
    stage.with(|machine| machine.faults.planned = Some(planned));
}

// RES-001
#[test]
fn without_descriptors_accepting_waits_longer_and_longer_and_those_served_notice_nothing() {
    let mut stage = Stage::new(Config::server());
    let served = stage.connect();
    stage.is_served(served);
    fail_accepting(&mut stage, u32::MAX, EMFILE);
    let waiting = stage.knock();
    let before = stage.rounds();
    for _ in 0..30 {
        stage.run(millis(1_000));
        stage.is_served(served);
        // Whoever else comes does not bring the next attempt forward.
        stage.knock();
    }
    let rounds = stage.rounds() - before;
    assert!(rounds < 300, "{rounds} rounds in 30 seconds");
    let attempts = stage.with(|machine| machine.accept_failures.clone());
    let waits: Vec<u128> =
        attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(waits.len() > 30, "{waits:?}");
    for (number, wait) in waits.into_iter().enumerate() {
        let due = (10_u128 << number.min(7)).min(1_000);
        assert!((due..=due + 2).contains(&wait), "attempt {number} after {wait} ms");
    }
    stage.with(|machine| machine.faults.planned = None);
    stage.run(millis(1_002));
    stage.peer(waiting, |peer| assert!(peer.told.opened, "accepted within a second"));
    stage.finish();
}

// RES-002
#[test]
fn whatever_accepting_fails_with_it_goes_on_and_so_do_those_served() {
    for &error in ACCEPTING {
        for times in 1..5 {
            let mut stage = Stage::new(Config::server());
            let served = stage.connect();
            fail_accepting(&mut stage, times, error);
            let waiting: Vec<_> = (0..6).map(|_| stage.knock()).collect();
            stage.run(millis(1));
            stage.is_served(served);
            stage.run(seconds(1));
            let lost = if matches!(error, ECONNABORTED | EPROTO) { times as usize } else { 0 };
            for number in waiting.into_iter().skip(lost) {
                stage.is_served(number);
            }
            stage.finish();
        }
    }
}

#[test]
fn a_thousand_that_come_at_once_are_all_taken_in() {
    let mut stage = Stage::new(Config::server());
    let all: Vec<_> = (0..1_000).map(|_| stage.knock()).collect();
    stage.run(millis(100));
    for number in all {
        stage.peer(number, |peer| assert!(peer.told.opened, "{number}"));
    }
}

#[test]
fn a_guest_that_never_speaks_goes_when_its_time_is_up_and_others_are_heard() {
    let mut stage = Stage::new(Config::server());
    let silent = stage.with(|machine| machine.connect(4_096, 4_096, true));
    let late = stage.with(|machine| machine.connect(4_096, 4_096, true));
    stage.run(millis(9_900));
    stage.with(|machine| machine.send(late, &[]));
    stage.peer(silent, |peer| assert!(!peer.told.unheard));
    stage.run(millis(200));
    stage.peer(silent, |peer| assert!(peer.told.unheard));
    stage.peer(late, |peer| assert!(peer.told.opened));
    stage.is_served(late);
    stage.finish();
}
