//! The same bytes at the same times, cut into reads in two ways: nothing may differ.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use sockeye_proto::{AnyRole, Client, CloseInfo};

use crate::drive::{Driver, Told, chunks, delivery, joined};
use crate::setup::Setup;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    setup: Setup,
    cuts: [Cuts; 2],
    steps: [Step; 4],
}

/// How a run of bytes is cut into reads, and the reads into calls.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Cuts {
    chunk: u8,
    per_call: u8,
}

/// What happens behind some more bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Step {
    bytes: u8,
    /// In tenths of a second.
    time: u8,
    written: u8,
    action: u8,
}

/// What there is to compare.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    told: Vec<Told>,
    out: Vec<u8>,
    end: Option<CloseInfo>,
}

/// Runs a whole connection twice.
pub fn split(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bytes = data.take_rest();
    let [one, other] = input.cuts.map(|cuts| run(input, cuts, bytes));
    assert_eq!(one, other);
}

fn run(input: Input, cuts: Cuts, mut bytes: &[u8]) -> Outcome {
    let role = if input.setup.is_client() {
        AnyRole::Client(Client::new(|| [1, 2, 3, 4]))
    } else {
        AnyRole::Server
    };
    let mut driver = Driver::new(role, input.setup);
    driver.per_call = usize::from(cuts.per_call).max(1);
    driver.connection.set_delivery(delivery(input.setup.in_pieces()));
    for step in input.steps {
        let (now, later) = bytes.split_at(bytes.len().min(step.bytes.into()));
        receive(&mut driver, cuts, now);
        driver.write(step.written.into());
        act(&mut driver, step.action);
        driver.wait(Duration::from_millis(100) * step.time.into());
        bytes = later;
    }
    receive(&mut driver, cuts, bytes);
    driver.wait(Duration::from_secs(120));
    let end = driver.connection.close_info().cloned();
    driver.finish();
    Outcome { told: joined(&driver.told), out: driver.out, end }
}

fn receive(driver: &mut Driver<AnyRole>, cuts: Cuts, bytes: &[u8]) {
    for chunk in chunks(bytes, cuts.chunk) {
        driver.receive(chunk);
    }
}

/// Does something of our own. What it may not do any more it refuses, the same in both runs.
fn act(driver: &mut Driver<AnyRole>, action: u8) {
    let Driver { connection, out, .. } = driver;
    match action {
        1 => driver.close(),
        2 => drop(connection.ping(b"ping", out)),
        3 => drop(connection.send("some text that is sent, some text that is sent", out)),
        4 => connection.set_delivery(delivery(true)),
        5 => connection.set_delivery(delivery(false)),
        _ => {}
    }
}
