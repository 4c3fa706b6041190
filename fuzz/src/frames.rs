//! Any bytes as the frames of a peer, with messages asked for whole, in pieces, and now so, now so.

use arbitrary::{Arbitrary, Unstructured};
use sockeye_proto::{Client, Error, Limit, Role, Server};

use crate::drive::{Driver, Told, chunks, delivery, joined};
use crate::setup::Setup;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Input {
    setup: Setup,
    chunk: u8,
    per_call: u8,
}

/// How messages are asked for.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Whole,
    Pieces,
    /// The other way with each chunk.
    Mixed,
}

/// Lets a client send anything to a server.
pub fn frames_server(data: &[u8]) {
    frames(Server, data);
}

/// Lets a server send anything to a client.
pub fn frames_client(data: &[u8]) {
    frames(Client::new(|| [0x37, 0xfa, 0x21, 0x3d]), data);
}

fn frames<R: Role + Copy>(role: R, data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(input) = Input::arbitrary(&mut data) else {
        return;
    };
    let bytes = data.take_rest();
    let whole = run(role, input, Mode::Whole, bytes);
    for mode in [Mode::Pieces, Mode::Mixed] {
        compare(&whole, &run(role, input, mode, bytes));
    }
}

fn run<R: Role>(role: R, input: Input, mode: Mode, bytes: &[u8]) -> Vec<Told> {
    let mut driver = Driver::new(role, input.setup);
    driver.per_call = usize::from(input.per_call).max(1);
    for (index, chunk) in chunks(bytes, input.chunk).enumerate() {
        driver.connection.set_delivery(delivery(match mode {
            Mode::Whole => false,
            Mode::Pieces => true,
            Mode::Mixed => index % 2 == 0,
        }));
        driver.receive(chunk);
        if input.setup.drains() {
            driver.write(usize::MAX);
        }
    }
    driver.finish();
    joined(&driver.told)
}

/// Compares what was told of whole messages with what was told in pieces.
fn compare(whole: &[Told], pieces: &[Told]) {
    match whole.split_last() {
        // Limits on a message do not hold for one in pieces, which then goes on.
        Some((Told::Failed(error), before)) if is_about_a_message(error) => {
            assert_eq!(pieces.get(..before.len()), Some(before));
        }
        _ => assert_eq!(whole, pieces),
    }
}

fn is_about_a_message(error: &Error) -> bool {
    matches!(error, Error::Limit(error) if error.limit != Limit::ControlRate)
}
