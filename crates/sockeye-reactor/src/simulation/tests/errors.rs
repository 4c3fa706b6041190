//! Every call of a conversation fails once, in every way.

use sockeye_proto::Config;

use super::super::faults::{ACCEPTING, EAGAIN, EINTR, MOVING, Planned};
use super::super::peer::{ECHO, FLOOD, PUBLISH, SUBSCRIBE};
use super::super::system::Call;
use super::{Stage, millis};

/// Holds a conversation in which a call fails; tells whether it came to that.
fn converse(call: Call, after: u32, error: i32) -> bool {
    let mut stage = Stage::new(super::super::small());
    let bystander = stage.connect();
    stage.is_served(bystander);
    let planned = Planned { call, after, times: 1, error };
    stage.with(|machine| machine.faults.planned = Some(planned));
    let number = stage.with(|machine| machine.connect(4_096, 2_000, true));
    for command in [ECHO, SUBSCRIBE, PUBLISH, FLOOD, ECHO] {
        stage.say(number, command, 500);
        stage.run(millis(0));
    }
    stage.say(number, ECHO, 20_000);
    stage.run(millis(2_000));
    let left = stage.with(|machine| {
        machine.close(number);
        machine.faults.planned.map_or(0, |planned| planned.times)
    });
    stage.run(millis(2_000));
    if matches!(error, EINTR | EAGAIN) {
        let info = stage.closed(number).expect("it closed");
        assert!(info.clean && info.code == 1000.into(), "{info:?}");
    }
    stage.is_served(bystander);
    stage.finish();
    left == 0
}

// SAF-015
#[test]
fn whichever_read_write_or_accept_fails_however_nothing_else_suffers_and_nothing_is_left() {
    let moving = [MOVING, &[EINTR, EAGAIN]].concat();
    let sweeps = [(Call::Read, &moving[..]), (Call::Write, &moving), (Call::Accept, ACCEPTING)];
    for (call, errors) in sweeps {
        for &error in errors {
            let count = (0..).take_while(|after| converse(call, *after, error)).count();
            assert!(count >= if call == Call::Accept { 1 } else { 10 }, "{call:?} {count}");
        }
    }
}

#[test]
fn a_wait_that_is_interrupted_is_one_that_told_nothing() {
    assert!((0..10).all(|after| converse(Call::Wait, after, EINTR)));
}

#[test]
fn a_connection_that_cannot_be_watched_is_dropped_and_forgotten() {
    let mut stage = Stage::new(Config::server());
    let planned = |after| Planned { call: Call::Watch, after, times: 1, error: 12 };
    for after in 0..2 {
        stage.with(|machine| machine.faults.planned = Some(planned(after)));
        stage.with(|machine| machine.connect(4_096, 4_096, true));
        stage.connect();
        stage.run(millis(1));
    }
    let served = stage.connect();
    stage.is_served(served);
    stage.finish();
}
