//! Clocks that jump, and threads that lag.

use sockeye_proto::Config;

use super::super::peer::ECHO;
use super::{Stage, millis, seconds};

/// Connects so many, a moment after one another.
fn connect_many(stage: &mut Stage, count: usize) -> Vec<usize> {
    (0..count)
        .map(|_| {
            let number = stage.connect();
            stage.run(millis(400));
            number
        })
        .collect()
}

fn all_are_open(stage: &mut Stage, all: &[usize]) {
    for &number in all {
        assert_eq!(stage.closed(number), None, "{number}");
        stage.is_served(number);
    }
}

// LIM-016
#[test]
fn a_clock_that_jumps_ten_days_forward_disconnects_nobody() {
    let mut stage = Stage::new(Config::server());
    let all = connect_many(&mut stage, 100);
    stage.with(|machine| machine.let_pass(seconds(864_000)));
    stage.run(seconds(5));
    all_are_open(&mut stage, &all);
    stage.run(seconds(100));
    all_are_open(&mut stage, &all);
    stage.finish();
}

// LIM-017
#[test]
fn after_a_minutes_sleep_each_is_pinged_once_and_only_those_that_left_are_gone() {
    let mut stage = Stage::new(Config::server());
    let all = connect_many(&mut stage, 90);
    let pings = |stage: &mut Stage, number| stage.peer(number, |peer| peer.pings_read.len());
    let before: Vec<_> = all.iter().map(|&number| pings(&mut stage, number)).collect();
    // Some await a pong when the machine falls asleep, and it arrives meanwhile.
    for &number in &all {
        stage.peer(number, |peer| peer.is_deaf = true);
    }
    stage.run(seconds(4));
    stage.with(|machine| {
        for &number in &all {
            machine.peers[number].is_deaf = false;
        }
        for &number in all.iter().step_by(10) {
            machine.kernel.reset(number);
            machine.excuse(number, "it leaves while all sleep");
        }
        while machine.settle() {}
        machine.let_pass(seconds(60));
    });
    stage.run(millis(100));
    for (at, &number) in all.iter().enumerate() {
        if at % 10 == 0 {
            assert_eq!(stage.closed(number).expect("it is gone").code, 1006.into());
            continue;
        }
        assert_eq!(stage.closed(number), None, "{number}");
        let told = pings(&mut stage, number) - before[at];
        assert!(told <= 1, "{told} pings");
        stage.is_served(number);
    }
    stage.finish();
}

// RES-017
#[test]
fn a_thread_that_gets_too_little_time_gives_up_nobody_who_has_answered() {
    let mut stage = Stage::new(Config::server());
    let all: Vec<_> = (0..50).map(|_| stage.connect()).collect();
    stage.run(seconds(1));
    // Longer each time than a pong may take.
    stage.with(|machine| machine.lag = seconds(12));
    stage.run(seconds(1_200));
    let pinged = stage.peer(all[0], |peer| peer.pings_read.len());
    assert!(pinged > 2, "{pinged}");
    stage.with(|machine| machine.lag = millis(0));
    all_are_open(&mut stage, &all);
    stage.finish();
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_on_time_and_not_before() {
    let mut stage = Stage::new(Config::server());
    let silent = stage.connect();
    stage.is_served(silent);
    stage.peer(silent, |peer| peer.is_deaf = true);
    let other = stage.connect();
    for _ in 0..349 {
        stage.run(millis(100));
        assert_eq!(stage.closed(silent), None);
    }
    stage.run(millis(200));
    assert_eq!(stage.closed(silent).expect("it is given up").code, 1006.into());
    stage.say(other, ECHO, 5);
    stage.is_served(other);
    stage.finish();
}
